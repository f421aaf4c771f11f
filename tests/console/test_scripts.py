"""What the pages' own scripts promise, run in the real browser from the files that are served."""

from typing import Any

import pytest
from playwright.sync_api import Error, expect

from tests.support.people.chromium import Visitor

CALL = """async ([module, name, ...given]) => (await import(`/ui/${module}.js`))[name](...given)"""


@pytest.fixture
def loaded(person: Visitor, origin: str) -> Visitor:
    person.page.goto(f"{origin}/ui/login")
    return person


def call(person: Visitor, module: str, name: str, *given: Any) -> Any:
    return person.page.evaluate(CALL, [module, name, *given])


UNSEEN = (
    "\xa0\u034f\u115f\u17b4\u180b\u2003\u2028\u2065\u2800\u3164\ufe0f\uffa0\x85\x9b"
    "\U000e0080\U000e0100"
)
"""Drawn as nothing, or as a blank that is not the plain one."""


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("secret/data/app", "secret/data/app"),
        ("Zoë, 李, 😀", "Zoë, 李, 😀"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("read\u202eterces", "read⟨U+202E⟩terces"),
        ("a\u2066b\u2069c", "a⟨U+2066⟩b⟨U+2069⟩c"),
        ("two\nlines\r\tand\x00more", "two⟨U+000A⟩lines⟨U+000D⟩⟨U+0009⟩and⟨U+0000⟩more"),
        ("zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"),
        ("line\u2028and\u2029paragraph", "line⟨U+2028⟩and⟨U+2029⟩paragraph"),
        ("private\ue000use", "private⟨U+E000⟩use"),
        ("tags\U000e0041", "tags⟨U+E0041⟩"),
        *((f"a{char}b", f"a⟨U+{ord(char):04X}⟩b") for char in UNSEEN),
    ],
)
def test_what_would_hide_or_reorder_a_text_is_shown(
    loaded: Visitor, given: str, shown: str
) -> None:
    assert call(loaded, "ironkeep", "visible", given) == shown


def test_an_element_is_made_of_text(loaded: Visitor) -> None:
    html = loaded.page.evaluate(
        """async (text) => {
          const { element } = await import("/ui/ironkeep.js");
          const made = element("p", { title: text }, text, element("b", {}, text));
          return [made.textContent, made.children.length, made.title];
        }""",
        "<img src=x onerror=alert(1)>",
    )
    assert html == ["<img src=x onerror=alert(1)>" * 2, 1, "<img src=x onerror=alert(1)>"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../sys/seal", "/v1/x/..%2Fsys%2Fseal/y"),
        ("a?list=true", "/v1/x/a%3Flist%3Dtrue/y"),
        ("a#b", "/v1/x/a%23b/y"),
        ("a%2fb", "/v1/x/a%252fb/y"),
        ("...", "/v1/x/.../y"),
    ],
)
def test_a_segment_stays_one_segment(loaded: Visitor, name: str, path: str) -> None:
    segment = call(loaded, "ironkeep", "segment", name)
    resolved = "(segment) => new URL(`/v1/x/${segment}/y`, location).pathname"
    assert loaded.page.evaluate(resolved, segment) == path


@pytest.mark.parametrize("name", [".", ".."])
def test_dots_are_no_segment(loaded: Visitor, name: str) -> None:
    with pytest.raises(Error, match="not a segment of a path"):
        call(loaded, "ironkeep", "segment", name)


@pytest.mark.parametrize(
    "address",
    [
        "", "/ui/login", "https://127.0.0.1:5/cb?x", "http://127.0.0.1.evil.test:5/cb?x",
        "http://127.0.0.1:5@evil.test/cb?x", "http://127.0.0.1:5/cb", "http://localhost:5/cb?x",
        "javascript:alert(1)//http://127.0.0.1:5/cb?x", "http://127.0.0.1:05/cb?x",
        "http://127.0.0.1:123456/cb?x", " http://127.0.0.1:5/cb?x", "http://127.0.0.1:5/cb?x\n",
    ],
)  # fmt: skip
def test_a_login_for_a_command_goes_to_this_machine_alone(loaded: Visitor, address: str) -> None:
    assert call(loaded, "ironkeep", "isLoopback", address) is False


def test_a_command_of_this_machine_is_gone_back_to(loaded: Visitor) -> None:
    assert call(loaded, "ironkeep", "isLoopback", "http://127.0.0.1:49152/cb?code=a&state=b_-")


def test_a_refusal_is_shown_in_the_server_s_words(loaded: Visitor, origin: str) -> None:
    said = loaded.page.evaluate(
        """async () => {
          const { ask } = await import("/ui/ironkeep.js");
          return ask("GET", "auth/token/lookup-self", undefined, "hvs.none").catch((error) =>
            [error.name, error.status, error.message]);
        }"""
    )
    assert said[:2] == ["Refused", 403]
    assert "denied" in said[2]
    assert loaded.origins == {origin}


def test_a_text_is_said_to_screen_readers_too(loaded: Visitor) -> None:
    call(loaded, "ironkeep", "say", "Enough <b>of</b> this\nand that", "bad")
    expect(loaded.page.get_by_role("status")).to_have_text("Enough <b>of</b> this\nand that")
