"""`ironkeep login -method=passkey` and the login page, together: a browser, a command, a server."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from ironkeep.testing.server import ServerProcess
from tests.console.team import Person, set_up
from tests.support.people.chromium import NOTHING, visitor

SECONDS = 60


@pytest.fixture(scope="module")
def ann(server: ServerProcess, origin: str, browser: Browser) -> Iterator[Person]:
    set_up(server, origin)
    with visitor(browser) as profile:
        person = Person("ann", profile, server, origin)
        person.register()
        yield person


@contextmanager
def login(ann: Person, home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command; yield it and the address that it shows."""
    env = {**ann.server.environment(), "VAULT_ADDR": ann.origin, "HOME": str(home)}
    env = {**env, "BROWSER": "/bin/true %s", "VAULT_TOKEN": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "ironkeep", "login", "-method=passkey", "-no-print"],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    end = threading.Timer(SECONDS, process.kill)
    end.start()
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        address = next((line.strip() for line in lines if "/ui/login?cli=" in line), "")
        yield process, address
    finally:
        end.cancel()
        process.kill()
        process.communicate()


def test_a_login_in_the_browser_is_handed_to_the_command(ann: Person, tmp_path: Path) -> None:
    page = ann.visitor.page
    with login(ann, tmp_path) as (process, address):
        page.goto(address)
        expect(page.get_by_role("status")).to_contain_text("A command on this machine asks")
        page.screenshot(path=tmp_path / "login.png")
        answers: list[dict[str, Any]] = []

        def read(route: Route) -> None:
            answer = route.fetch()
            answers.append(answer.json())
            route.fulfill(response=answer)

        page.route("**/login/finish", read)
        page.get_by_role("button", name="Sign in with your passkey").click()
        expect(page.locator("body")).to_contain_text("You are signed in at the command")
        assert process.wait(SECONDS) == 0
    page.unroute_all()
    assert [answer["auth"] for answer in answers] == [None]
    assert page.url.startswith("http://127.0.0.1:")
    token = (tmp_path / ".vault-token").read_text(encoding="ascii").strip()
    assert ann.lookup(token) == 200
    code = page.url.partition("code=")[2].partition("&")[0]
    given = {"code": code, "code_verifier": "v" * 43}
    assert ann.post("auth/passkey/cli/finish", given).status_code in (400, 403)
    assert ann.visitor.violations() == []
    page.goto(f"{ann.origin}/ui/login")
    assert ann.visitor.kept() == NOTHING


@pytest.mark.parametrize("cli", ["x", "AAAA", "A" * 90, "../../etc", "%3Cscript%3E"])
def test_an_id_that_no_command_was_given_leads_nowhere(ann: Person, cli: str) -> None:
    page = ann.visitor.page
    page.goto(f"{ann.origin}/ui/login?cli={cli}")
    page.get_by_role("button", name="Sign in with your passkey").click()
    expect(page.get_by_role("status")).to_have_attribute("data-kind", "bad")
    assert page.url.startswith(f"{ann.origin}/ui/login")
