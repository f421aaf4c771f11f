"""What people do on the pages, in the real browser against the real server."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from ironkeep.testing.server import ServerProcess
from tests.console.team import GUARDED, SHARED, Asked, Person, set_up
from tests.support.people.chromium import NOTHING, visitor

NUMBERS = count(1)


@pytest.fixture(scope="module", autouse=True)
def passkeys(server: ServerProcess, origin: str) -> None:
    """Configure the server for every test of this file, whichever runs first."""
    set_up(server, origin)


@pytest.fixture(scope="module")
def team(server: ServerProcess, origin: str, browser: Browser) -> Iterator[tuple[Person, Person]]:
    """Return ann and bob, each with a registered authenticator in a browser of their own."""
    with ExitStack() as stack:
        people = [
            Person(name, stack.enter_context(visitor(browser)), server, origin)
            for name in ("ann", "bob")
        ]
        for person in people:
            person.register()
        yield people[0], people[1]


@pytest.fixture
def ann(team: tuple[Person, Person]) -> Person:
    return team[0]


@pytest.fixture
def bob(team: tuple[Person, Person]) -> Person:
    return team[1]


@pytest.fixture
def eve(server: ServerProcess, origin: str, browser: Browser) -> Iterator[Person]:
    """Return somebody new: whose request was refused has to wait before the next."""
    with visitor(browser) as profile:
        person = Person(f"eve-{next(NUMBERS)}", profile, server, origin)
        person.register()
        yield person


def test_a_person_registers_and_signs_in(ann: Person, tmp_path: Path) -> None:
    assert [each["isResidentCredential"] for each in ann.credentials()] == [True]
    ann.sign_in()
    page = ann.visitor.page
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("team")
    page.screenshot(path=tmp_path / "signed-in.png")
    assert ann.visitor.kept() == NOTHING
    page.reload()
    expect(page.get_by_role("heading", name="You are signed in")).to_be_hidden()


@pytest.mark.parametrize("leave", ["reload", "another page", "close"])
def test_whoever_leaves_a_page_ends_its_token(eve: Person, leave: str) -> None:
    token, page = eve.page_token(), eve.visitor.page
    assert eve.lookup(token) == 200
    if leave == "reload":
        page.reload()
    elif leave == "close":
        page.close()
    else:
        page.goto(f"{eve.origin}/ui/approvals")
    # The page does not wait for its last request, so neither is there anything to wait for here.
    assert any(eve.lookup(token) == 403 for _ in range(200))


def test_signing_out_ends_the_token(ann: Person) -> None:
    token = ann.page_token()
    assert ann.lookup(token) == 200
    ann.visitor.page.get_by_role("button", name="Sign out").click()
    expect(ann.visitor.page.get_by_role("status")).to_have_text("You are signed out.")
    assert ann.lookup(token) == 403


def test_a_ticket_registers_once(server: ServerProcess, origin: str, browser: Browser) -> None:
    with visitor(browser) as first, visitor(browser) as second:
        person = Person("carl", first, server, origin)
        ticket = person.invite()
        person.register(ticket=ticket)
        thief = Person("carl", second, server, origin)
        thief.open_ticket(ticket)
        expect(second.page.get_by_role("status")).to_contain_text("the ticket is not valid")
        expect(second.page.get_by_role("button", name="Register with a touch")).to_have_count(0)


def test_a_ticket_works_in_the_page_alone_that_opened_it(
    server: ServerProcess, origin: str, browser: Browser
) -> None:
    """What a history, a session file or a mailbox keeps of it binds nothing."""
    with visitor(browser) as first, visitor(browser) as second:
        person = Person("cleo", first, server, origin)
        ticket = person.invite()
        person.open_ticket(ticket)
        expect(first.page.get_by_label("A name for this authenticator")).to_be_visible()
        thief = Person("cleo", second, server, origin)
        thief.open_ticket(ticket)
        expect(second.page.get_by_role("status")).to_contain_text("opened in another page")
        assert thief.post("auth/passkey/register/begin", {"ticket": ticket}).status_code == 400
        person.touch("blue key")


def test_no_address_holds_a_ticket(server: ServerProcess) -> None:
    server.api("POST", "auth/passkey/users/clio", {"token_policies": "team"})
    made = server.api("POST", "auth/passkey/users/clio/ticket", {})["data"]
    assert made["ticket"] not in made["url"]
    assert made["url"].endswith("/ui/register")


def test_the_second_authenticator_follows_the_first(
    server: ServerProcess, origin: str, browser: Browser, tmp_path: Path
) -> None:
    with visitor(browser) as profile:
        person = Person("dora", profile, server, origin)
        person.register()
        page = profile.page
        expect(page.get_by_role("heading", name="Now a second one")).to_be_visible()
        page.screenshot(path=tmp_path / "second.png")
        profile.remove_authenticator(person.authenticator)
        person.touch("red key in the safe")
        expect(page.get_by_text("You have 2 authenticators; 2 are needed.")).to_be_visible()
        page.screenshot(path=tmp_path / "registered.png")
        person.sign_in()
        expect(page.locator("#facts")).to_contain_text("dora")


def test_an_authenticator_that_does_not_know_its_owner_signs_nobody_in(ann: Person) -> None:
    ann.visitor.set_verified(ann.authenticator, verified=False)
    try:
        ann.sign_in()
        status = ann.visitor.page.get_by_role("status")
        expect(status).to_contain_text("Your authenticator gave no answer")
    finally:
        ann.visitor.set_verified(ann.authenticator, verified=True)
    expect(ann.visitor.page.get_by_role("button", name="Sign in")).to_be_enabled()


def test_one_touch_opens_one_read(ann: Person, tmp_path: Path) -> None:
    token = ann.token()
    refused = ann.read(GUARDED, token)
    assert refused.status_code == 403
    assert "insufficient_user_authentication" in refused.headers["www-authenticate"]
    link = re.search(r"/ui/step-up/[\w-]+", refused.json()["errors"][0])
    assert link is not None
    page = ann.visitor.page
    page.goto(ann.origin + link[0])
    expect(page.locator("#facts")).to_contain_text(GUARDED)
    expect(page.locator("#facts")).to_contain_text("ann")
    page.screenshot(path=tmp_path / "step-up.png")
    page.get_by_role("button", name="Allow it with a touch").click()
    expect(page.get_by_role("status")).to_contain_text("Allowed, once")
    assert ann.read(GUARDED, token).json()["data"]["data"] == {"key": "kept"}
    assert ann.read(GUARDED, token).status_code == 403
    page.goto(ann.origin + link[0])
    expect(page.get_by_role("status")).to_contain_text("nothing waits for a touch here")


@pytest.mark.parametrize("consistent", [False, True], ids=["text alone", "text and challenge"])
def test_a_page_signs_only_what_it_shows(ann: Person, consistent: bool) -> None:
    """Whoever alters the answer on its way gets no signature over something else."""
    token = ann.token()
    link = ann.step_up_link(GUARDED, token)
    page, touches = ann.visitor.page, ann.touches()
    page.route(
        "**/v1/auth/passkey/step-up/*", altering("guarded", "harmless", consistent=consistent)
    )
    try:
        page.goto(ann.origin + link)
        if consistent:
            page.get_by_role("button", name="Allow it with a touch").click()
            expect(page.get_by_role("status")).to_contain_text("another challenge was signed")
        else:
            status = page.get_by_role("status")
            expect(status).to_contain_text("something other than it shows")
            expect(page.get_by_role("button")).to_have_count(0)
            assert ann.touches() == touches
    finally:
        page.unroute_all()
    assert ann.read(GUARDED, token).status_code == 403


def test_the_touch_of_somebody_else_allows_nothing(ann: Person, bob: Person) -> None:
    token = ann.token()
    page = bob.visitor.page
    page.goto(ann.origin + ann.step_up_link(GUARDED, token))
    page.get_by_role("button", name="Allow it with a touch").click()
    expect(page.get_by_role("status")).to_have_attribute("data-kind", "bad")
    assert ann.read(GUARDED, token).status_code == 403


def test_another_person_approves_with_the_number(eve: Person, bob: Person, tmp_path: Path) -> None:
    asked = ask(eve, reason="Rotate the key: incident 4711")
    card = inbox(bob)
    for text in (eve.name, SHARED, "Rotate the key: incident 4711", "two-person"):
        expect(card).to_contain_text(text)
    bob.visitor.page.screenshot(path=tmp_path / "approvals.png", full_page=True)
    wrong = str(200 if asked.number == 100 else 100)
    number = card.get_by_label("Number on the requester's screen")
    number.fill(wrong)
    card.get_by_role("button", name="Approve with a touch").click()
    status = bob.visitor.page.get_by_role("status")
    expect(status).to_contain_text("not the number on the requester's screen")
    assert eve.unwrap(asked).status_code == 400
    number.fill(str(asked.number))
    touches = bob.touches()
    card.get_by_role("button", name="Approve with a touch").click()
    expect(status).to_have_text(f"Approved: {SHARED}")
    assert bob.touches() == touches + 1
    assert eve.unwrap(asked).json()["data"]["data"] == {"key": "kept"}
    assert eve.unwrap(asked).status_code == 400


def test_hostile_words_of_a_requester_are_text(eve: Person, bob: Person, tmp_path: Path) -> None:
    """What is in a path comes from whoever asks, and is read by who decides."""
    path = f"{SHARED}<img src=x onerror=alert(1)>'\"&lt;/code>"
    reason = "<script>fetch('//evil')</script><b>approve me</b>"
    asked = ask(eve, path=path, reason=reason)
    card = inbox(bob)
    expect(card).to_contain_text(path)
    expect(card).to_contain_text(reason)
    assert card.locator("img, script, b").count() == 0
    bob.visitor.page.screenshot(path=tmp_path / "hostile.png", full_page=True)
    assert bob.visitor.violations() == []
    assert bob.visitor.origins == {bob.origin}
    card.get_by_role("button", name="Refuse").click()
    expect(bob.visitor.page.get_by_role("status")).to_contain_text("Refused")
    expect(bob.visitor.page.locator("#requests")).to_have_text("Nothing waits for you.")
    assert eve.unwrap(asked).status_code == 400


def test_nobody_decides_on_their_own_request(eve: Person) -> None:
    asked = ask(eve)
    eve.sign_in("approvals")
    expect(eve.visitor.page.locator("#requests")).to_have_text("Nothing waits for you.")
    assert eve.unwrap(asked).status_code == 400
    withdraw(eve, asked)


def test_an_approver_signs_for_this_approval_alone(eve: Person, bob: Person) -> None:
    """A server, or who sits before it, that asks to sign another statement gets nothing."""
    asked = ask(eve)
    card = inbox(bob)
    page, touches = bob.visitor.page, bob.touches()
    page.route("**/v1/auth/passkey/step-up/*", altering(asked.accessor, "other", consistent=True))
    try:
        card.get_by_label("Number on the requester's screen").fill(str(asked.number))
        card.get_by_role("button", name="Approve with a touch").click()
        status = page.get_by_role("status")
        expect(status).to_contain_text("something else: nothing was signed")
    finally:
        page.unroute_all()
    assert bob.touches() == touches
    assert eve.unwrap(asked).status_code == 400
    withdraw(eve, asked)


def test_nothing_was_asked_of_anybody_else_and_nothing_was_forbidden(
    ann: Person, bob: Person
) -> None:
    for person in (ann, bob):
        person.sign_in()
        expect(person.visitor.page.get_by_role("button", name="Sign out")).to_be_visible()
        assert person.visitor.origins == {person.origin}
        assert person.visitor.violations() == []
        assert person.visitor.errors == []
        assert person.visitor.kept() == NOTHING


def altering(old: str, new: str, *, consistent: bool) -> Callable[[Route], None]:
    """Return what puts another text into a demand on its way to the page, and maybe its hash."""

    def alter(route: Route) -> None:
        if route.request.method != "GET":
            route.continue_()
            return
        answer = route.fetch()
        document = answer.json()
        text = document["data"]["statement"].replace(old, new)
        document["data"]["statement"] = text
        if consistent:
            challenge = urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
            document["data"]["options"]["publicKey"]["challenge"] = challenge
        route.fulfill(response=answer, json=document)

    return alter


def withdraw(person: Person, asked: Asked) -> None:
    path = f"approval/requests/{asked.accessor}/withdraw"
    assert person.post(path, {}, asked.token).status_code == 204


def ask(person: Person, path: str = SHARED, reason: str = "") -> Asked:
    token = person.token()
    answer = person.read(path, token, reason=reason).json()
    assert "wrap_info" in answer, answer
    number = re.search(r"number (\d{3})\b", " ".join(answer["warnings"]))
    assert number is not None
    info = answer["wrap_info"]
    return Asked(token, info["token"], info["accessor"], int(number[1]))


def inbox(person: Person) -> Locator:
    person.sign_in("approvals")
    card = person.visitor.page.locator("#requests > li")
    expect(card).to_have_count(1)
    return card
