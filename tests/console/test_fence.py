"""The fence around the pages, in a real browser: what they may not do, and what others may not."""

import pytest
from playwright.sync_api import Browser, Error, expect

from ironkeep.testing.server import ServerProcess
from tests.console.conftest import Elsewhere
from tests.support.people.chromium import NOTHING, Visitor

PAGES = ["register", "register?ticket=t", "login", "login?cli=abc", "step-up/abc", "approvals"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_asks_its_own_origin_alone_and_keeps_nothing(
    person: Visitor, origin: str, page: str
) -> None:
    person.page.goto(f"{origin}/ui/{page}", wait_until="networkidle")
    assert person.origins == {origin}
    assert person.violations() == []
    assert person.errors == []
    assert person.kept() == NOTHING


@pytest.mark.parametrize(
    ("script", "directive"),
    [
        ("document.body.innerHTML = '<img src=x onerror=hacked()>'", "require-trusted-types-for"),
        (("document.head.append(Object.assign(document.createElement('style'),"
         " {textContent: 'p{}'}))"), "style-src-elem"),
        ("document.body.appendChild(new Image()).src = other", "img-src"),
        ("fetch(other).catch(() => 0)", "connect-src"),
        ("document.body.appendChild(document.createElement('iframe')).src = other", "frame-src"),
        (("Object.assign(document.body.appendChild(document.createElement('form')),"
         " {action: other}).submit()"), "form-action"),
    ],
)  # fmt: skip
def test_the_policy_holds_against_a_script_of_ours_gone_wrong(
    person: Visitor, origin: str, elsewhere: Elsewhere, script: str, directive: str
) -> None:
    """Whatever got into a page: it makes no markup, and takes nothing anywhere."""
    person.page.goto(f"{origin}/ui/login", wait_until="networkidle")
    with person.page.expect_event("console", lambda each: "has been blocked" in each.text):
        person.page.evaluate(
            f"(other) => {{ try {{ {script} }} catch {{}} }}", f"{elsewhere.origin}/taken"
        )
    assert {each.partition(":")[0] for each in person.violations()} == {directive}
    assert elsewhere.asked == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_in_no_frame(
    person: Visitor, origin: str, elsewhere: Elsewhere, page: str
) -> None:
    elsewhere.page = f'<!doctype html><iframe src="{origin}/ui/{page}"></iframe>'
    with person.page.expect_event("console", lambda each: "frame-ancestors" in each.text):
        person.page.goto(elsewhere.origin, wait_until="load")
    assert all(not frame.url.startswith(origin) for frame in person.page.frames)


def test_another_origin_gets_nothing_from_the_api(
    person: Visitor, server: ServerProcess, origin: str, elsewhere: Elsewhere
) -> None:
    """Even with a token, a page elsewhere neither sends it nor reads any answer."""
    elsewhere.page = "<!doctype html><title>elsewhere</title>"
    person.page.goto(elsewhere.origin)
    tried = """async ([url, init]) => {
      try { return (await fetch(url, init)).status } catch (error) { return error.name }
    }"""
    url = f"{origin}/v1/auth/token/lookup-self"
    with_token = {"headers": {"X-Vault-Token": server.token}, "credentials": "include"}
    assert person.page.evaluate(tried, [url, with_token]) == "TypeError"
    assert person.page.evaluate(tried, [url, {"credentials": "include"}]) == "TypeError"
    plain = {"method": "POST", "body": "{}", "headers": {"Content-Type": "text/plain"}}
    assert person.page.evaluate(tried, [f"{origin}/v1/sys/seal", plain]) == "TypeError"
    assert server.api("GET", "sys/seal-status")["sealed"] is False
    person.page.goto(f"{origin}/ui/login")
    assert person.page.evaluate(tried, ["/v1/auth/token/lookup-self", with_token]) == 200


def test_whoever_opens_a_page_has_no_hold_of_it(
    person: Visitor, origin: str, elsewhere: Elsewhere
) -> None:
    elsewhere.page = "<!doctype html><title>elsewhere</title>"
    person.page.goto(elsewhere.origin)
    with person.context.expect_page() as opened:
        person.page.evaluate(f"() => {{ window.held = window.open('{origin}/ui/approvals') }}")
    opened.value.wait_for_load_state()
    assert person.page.evaluate("() => window.held.closed") is True
    assert opened.value.evaluate("() => window.opener === null") is True


def test_no_page_sends_its_address_along(
    person: Visitor, origin: str, elsewhere: Elsewhere
) -> None:
    elsewhere.page = "<!doctype html><title>elsewhere</title>"
    person.page.goto(f"{origin}/ui/register?ticket=of-nobody")
    with person.page.expect_request(f"{elsewhere.origin}/") as asked:
        person.page.evaluate(f"() => {{ location.href = '{elsewhere.origin}/' }}")
    assert "referer" not in asked.value.all_headers()


def test_a_ticket_leaves_the_address_bar_at_once(person: Visitor, origin: str) -> None:
    person.page.goto(f"{origin}/ui/register?ticket=of-nobody")
    expect(person.page.get_by_role("status")).to_have_attribute("data-kind", "bad")
    assert person.page.url == f"{origin}/ui/register"
    person.page.reload()
    expect(person.page.get_by_label("Your ticket")).to_be_visible()
    expect(person.page.get_by_label("Your ticket")).to_have_value("")


def test_without_its_script_a_page_shows_nothing_to_fill_in(browser: Browser, origin: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"{origin}/ui/login")
        assert "This page needs JavaScript" in page.content()
        expect(page.get_by_role("button")).to_have_count(0)
    finally:
        context.close()


def test_a_script_of_a_page_is_run_from_its_own_file_alone(person: Visitor, origin: str) -> None:
    person.page.goto(f"{origin}/ui/login")
    with pytest.raises(Error, match="requires 'TrustedScript'"):
        person.page.add_script_tag(content="window.hacked = true")
    assert person.page.evaluate("() => window.hacked") is None
