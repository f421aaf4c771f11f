"""Policies are kept byte for byte, some cannot be changed, and a change is in force at once."""

import pytest

from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.operation import Operation
from ironkeep.core.policy.builtin import DEFAULT_POLICY_TEXT
from ironkeep.core.policy.template import TemplateContext
from ironkeep.identity import policies
from ironkeep.identity.policies import normalise_names
from tests.support.services import Services

READ = 'path "secret/a" { capabilities = ["read"] }'
NOBODY = TemplateContext()


def may_read(s: Services, *names: str) -> bool:
    return s.policies.acl(s.tx, names, NOBODY).acl.decide("secret/a", Operation.READ).allowed


def said(s: Services, name: str, time_ns: int) -> str | None:
    """Return what a policy said at a time: the last text that had begun by then."""
    texts = s.policies.texts_since(s.tx, name, time_ns)
    return [text for start, text in texts if start <= time_ns][-1]


@pytest.mark.parametrize("text", [READ, f"\r\n# é\n{READ}\n\n", '{"path":{"x":{}}}'])
def test_text_comes_back_byte_for_byte(text: str) -> None:
    s = Services()
    s.policies.put(s.tx, "Dev", text, s.now)
    assert s.policies.text(s.tx, "dEV") == text
    assert said(s, "dev", s.now) == text


def test_names_are_lower_cased_and_may_hold_a_slash() -> None:
    s = Services()
    s.policies.put(s.tx, " Team/A ", READ, s.now)
    assert s.policies.names(s.tx) == ["default", "root", "team/a"]


@pytest.mark.parametrize("name", ["", " ", "a//b", "../x", "a\nb", "x" * 129])
def test_bad_names_are_refused(name: str) -> None:
    s = Services()
    with pytest.raises(InvalidRequest):
        s.policies.put(s.tx, name, READ, s.now)


def test_limits() -> None:
    s = Services()
    s.policies.put(s.tx, "x" * 128, READ, s.now)
    with pytest.raises(TooLarge):
        s.policies.put(s.tx, "big", "#" * (policies.MAX_TEXT_BYTES + 1), s.now)
    with pytest.raises(InvalidRequest):
        s.policies.put(s.tx, "empty", " \n", s.now)
    with pytest.raises(InvalidRequest):
        s.policies.put(s.tx, "surrogate", "# \ud800", s.now)
    with pytest.raises(InvalidRequest):
        s.policies.put(s.tx, "bad", 'path "x" { capabilities = ["fly"] }', s.now)


@pytest.mark.parametrize("name", ["root", "response-wrapping", "ROOT"])
def test_fixed_policies_can_be_neither_written_nor_removed(name: str) -> None:
    s = Services()
    with pytest.raises(InvalidRequest):
        s.policies.put(s.tx, name, READ, s.now)
    with pytest.raises(InvalidRequest):
        s.policies.delete(s.tx, name, s.now)


def test_default_is_there_can_be_edited_and_not_removed() -> None:
    s = Services()
    assert s.policies.text(s.tx, "default") == DEFAULT_POLICY_TEXT
    s.policies.put(s.tx, "default", READ, s.now)
    assert s.policies.text(s.tx, "default") == READ
    assert said(s, "default", s.now - 1) == DEFAULT_POLICY_TEXT
    with pytest.raises(InvalidRequest):
        s.policies.delete(s.tx, "default", s.now)


def test_history_says_what_a_policy_was_then() -> None:
    s = Services()
    s.policies.put(s.tx, "p", READ, 100)
    s.policies.delete(s.tx, "p", 200)
    s.policies.delete(s.tx, "p", 300)
    texts = [said(s, "p", t) for t in (99, 100, 199, 200)]
    assert texts == [None, READ, READ, None]
    assert not s.policies.exists(s.tx, "p")


def test_a_change_is_in_force_for_the_next_decision() -> None:
    s = Services()
    assert not may_read(s, "p")
    s.policies.put(s.tx, "p", READ, s.now)
    assert may_read(s, "p")
    s.policies.put(s.tx, "p", 'path "secret/a" { capabilities = ["deny"] }', s.now)
    assert not may_read(s, "p")
    s.policies.put(s.tx, "p", READ, s.now)
    s.policies.delete(s.tx, "p", s.now)
    assert not may_read(s, "p")


def test_an_unchanged_acl_is_compiled_once() -> None:
    s = Services()
    s.policies.put(s.tx, "p", READ, s.now)
    first = s.policies.acl(s.tx, ("default", "p"), NOBODY)
    assert s.policies.acl(s.tx, ("default", "p"), NOBODY) is first
    s.policies.put(s.tx, "default", READ, s.now)
    assert s.policies.acl(s.tx, ("default", "p"), NOBODY) is not first


def test_a_dropped_write_leaves_nothing_in_the_memo() -> None:
    s = Services()
    s.next_request()
    dropped = s.state.begin()
    s.policies.put(dropped, "p", READ, s.now)
    assert s.policies.acl(dropped, ("p",), NOBODY).acl.decide("secret/a", Operation.READ).allowed
    assert not may_read(s, "p")


def test_names_of_a_token() -> None:
    assert normalise_names(["B", "a", " a "], add_default=True) == ("a", "b", "default")
    assert normalise_names(["x", "Root"], add_default=True) == ("root",)
    assert normalise_names(["", " "], add_default=False) == ()
