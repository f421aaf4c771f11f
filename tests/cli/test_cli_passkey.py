"""`login -method=passkey` by a browser, played here as the login page does it."""

import http.client
import json
import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ironkeep.cli import main
from ironkeep.cli.terminal import Terminal
from ironkeep.testing.server import ServerProcess
from ironkeep.testing.softauth import SoftAuthenticator

PATH = "touch"
BASE = f"auth/{PATH}"
ADDRESS = re.compile(r"http://\S+/ui/login\?cli=\S+")


class Lines:
    """Standard error, and the page that it names."""

    def __init__(self) -> None:
        self.page: queue.Queue[str] = queue.Queue()
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        found = ADDRESS.search(self.text)
        if found and "\n" in self.text[found.end() :]:
            self.page.put(found[0])
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        return False


class Browser:
    """What a browser with an authenticator does at one server."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc
        port = urlsplit(address).port
        self.key = SoftAuthenticator(origin=f"http://localhost:{port}")

    def ask(self, path: str, **data: Any) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.host, timeout=10)
        connection.request("POST", f"/v1/{BASE}/{path}", json.dumps(data))
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def register(self, ticket: str) -> None:
        begun = self.ask("register/begin", ticket=ticket)["data"]
        made = self.key.create(begun["options"])
        answer = self.ask("register/finish", id=begun["id"], credential=made, label="key")
        assert answer["data"]["authenticators"] == 1, answer

    def sign_in(self, page: str) -> str:
        """Return where the login page sends the browser."""
        cli = parse_qs(urlsplit(page).query)["cli"][0]
        begun = self.ask("login/begin", username="ada", cli=cli)["data"]
        signed = self.key.get(begun["options"])
        answer = self.ask("login/finish", id=begun["id"], credential=signed, cli=cli)
        assert answer["auth"] is None
        redirect: str = answer["data"]["redirect"]
        return redirect

    def visit(self, address: str) -> int:
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().status


@pytest.fixture
def browser(run: Any, dev: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    browser = Browser(dev.address)
    origin = browser.key.origin
    assert run("auth", "enable", f"-path={PATH}", "passkey").code == 0
    config = run("write", f"{BASE}/config", "rp_id=localhost", f"origins={origin}")
    assert config.code == 0, config.err
    run("write", f"{BASE}/users/ada", "token_policies=default")
    browser.register(run("write", "-f", "-field=ticket", f"{BASE}/users/ada/ticket").out)
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("BROWSER", "true")  # the program that does nothing
    yield browser
    monkeypatch.undo()


def log_in(out: Lines, *words: str) -> tuple[threading.Thread, list[int]]:
    codes: list[int] = []
    terminal = Terminal(None, out, out)  # type: ignore[arg-type]
    command = ("login", "-method=passkey", f"-path={PATH}", *words)
    thread = threading.Thread(target=lambda: codes.append(main.call(command, terminal)))
    thread.start()
    return thread, codes


def test_the_browser_signs_in_and_the_command_gets_the_token(
    browser: Browser, tmp_path: Path
) -> None:
    out = Lines()
    thread, codes = log_in(out, "username=ada")
    redirect = browser.sign_in(out.page.get(timeout=20))
    foreign = redirect.replace("state=", "state=x")
    assert browser.visit(foreign) == 404
    assert browser.visit(redirect.replace("/cb?", "/other?")) == 404
    assert browser.visit(redirect) == 200
    thread.join(timeout=20)
    assert codes == [0], out.text
    assert "token_meta_username    ada" in out.text
    assert (tmp_path / ".vault-token").read_text().startswith("hvs.")
    code = parse_qs(urlsplit(redirect).query)["code"][0]
    assert code not in out.text
    again = browser.ask("cli/finish", code=code, code_verifier="a" * 43)
    assert "not valid" in again["errors"][0]
