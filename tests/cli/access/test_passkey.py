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
from fido2 import cbor
from fido2.ctap import CtapDevice
from fido2.ctap2.base import Ctap2
from fido2.hid import CAPABILITY, CTAPHID

from ironkeep.cli import main
from ironkeep.cli.access import passkey
from ironkeep.cli.output.terminal import Terminal
from ironkeep.testing.server import ServerProcess
from tests.support.commands import Run
from tests.support.people.softauth import SoftAuthenticator

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
        connection = http.client.HTTPConnection(self.host, timeout=60)
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
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().status


class SecurityKey(CtapDevice):
    """A security key as the USB side of CTAP 2 shows it: it verifies its user by itself."""

    def __init__(self, inside: SoftAuthenticator) -> None:
        self.inside = inside

    @property
    def capabilities(self) -> int:
        return CAPABILITY.CBOR

    def call(
        self, cmd: int, data: bytes = b"", event: Any = None, on_keepalive: Any = None
    ) -> bytes:
        del event, on_keepalive
        assert cmd == CTAPHID.CBOR
        if data[0] == Ctap2.CMD.GET_INFO:
            options = {"rk": True, "up": True, "uv": True}
            return b"\0" + cbor.encode({1: ["FIDO_2_0"], 3: self.inside.model, 4: options, 6: [1]})
        assert data[0] == Ctap2.CMD.GET_ASSERTION
        asked: Any = cbor.decode(data[1:])
        used = self.inside.credentials[-1]
        assert (asked[1], asked[5]) == (used.rp_id, {"uv": True})
        authenticator_data, signature = self.inside.sign(used, asked[2])
        credential = {"type": "public-key", "id": used.id}
        answer = {1: credential, 2: authenticator_data, 3: signature, 4: {"id": used.handle}}
        return b"\0" + cbor.encode(answer)

    def close(self) -> None:
        """Nothing is open."""

    @classmethod
    def list_devices(cls) -> Iterator["SecurityKey"]:
        raise NotImplementedError


@pytest.fixture(scope="session")
def drawer() -> list[Browser]:
    """What was registered at the one server of these tests."""
    return []


@pytest.fixture
def browser(
    run: Run, dev: ServerProcess, drawer: list[Browser], monkeypatch: pytest.MonkeyPatch
) -> Browser:
    if not drawer:
        drawer.append(Browser(dev.address))
        origin = drawer[0].key.origin
        assert run("auth", "enable", f"-path={PATH}", "passkey").code == 0
        config = run("write", f"{BASE}/config", "rp_id=localhost", f"origins={origin}")
        assert config.code == 0, config.err
        run("write", f"{BASE}/users/ada", "token_policies=default")
        drawer[0].register(run("write", "-f", "-field=ticket", f"{BASE}/users/ada/ticket").out)
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("BROWSER", "true")  # the program that does nothing
    return drawer[0]


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
    redirect = browser.sign_in(out.page.get(timeout=120))
    foreign = redirect.replace("state=", "state=x")
    assert browser.visit(foreign) == 404
    assert browser.visit(redirect.replace("/cb?", "/other?")) == 404
    assert browser.visit(redirect) == 200
    thread.join(timeout=120)
    assert codes == [0], out.text
    assert "token_meta_username    ada" in out.text
    assert (tmp_path / ".vault-token").read_text().startswith("hvs.")
    code = parse_qs(urlsplit(redirect).query)["code"][0]
    assert code not in out.text
    again = browser.ask("cli/finish", code=code, code_verifier="a" * 43)
    assert "not valid" in again["errors"][0]


@pytest.mark.parametrize("more", [[], ["-no-print"], ["-no-store"]])
def test_who_signs_in_instead_of_who_was_named_gets_nowhere(
    browser: Browser, tmp_path: Path, more: list[str]
) -> None:
    """Somebody who learnt the address signs in there as themselves, and brings the code."""
    out = Lines()
    thread, codes = log_in(out, "username=grace", *more)
    assert browser.visit(browser.sign_in(out.page.get(timeout=20))) == 200
    thread.join(timeout=20)
    assert codes == [1]
    assert "'ada' signed in, not 'grace'" in out.text
    assert "hvs." not in out.text
    assert not (tmp_path / ".vault-token").exists()


def test_who_signed_in_is_said_whatever_is_not_printed(browser: Browser) -> None:
    out = Lines()
    thread, codes = log_in(out, "-no-print")
    assert browser.visit(browser.sign_in(out.page.get(timeout=20))) == 200
    thread.join(timeout=20)
    assert codes == [0]
    assert "Signed in as ada." in out.text


def test_the_address_stands_in_no_command_line(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser is given a file of this user alone, which leads to the page and then is gone."""
    asked = tmp_path / "asked"
    program = tmp_path / "browser"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {asked}\np="${{1#file://}}"\ncat "$p" >> {asked}\n'
        f'stat -c "%a %n" "$p" "${{p%/*}}" >> {asked}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    monkeypatch.setattr("webbrowser._tryorder", None)  # it reads the variable once
    out = Lines()
    thread, codes = log_in(out)
    address = out.page.get(timeout=20)
    assert browser.visit(browser.sign_in(address)) == 200
    thread.join(timeout=20)
    assert codes == [0], out.text
    line, page, *modes = asked.read_text().splitlines()
    assert line.startswith("file:///")
    assert "cli=" not in line
    assert f"url={address}" in page
    assert [each.split()[0] for each in modes] == ["600", "700"]
    assert not Path(line.removeprefix("file://")).exists()


def test_a_login_with_a_name_is_not_wrapped(browser: Browser, run: Run) -> None:
    del browser
    done = run("login", "-method=passkey", f"-path={PATH}", "-wrap-ttl=5m", "username=ada")
    assert done.code == 1
    assert "cannot check username" in done.err


def test_the_waiting_address_is_called_by_its_own_name_alone(browser: Browser) -> None:
    out = Lines()
    thread, codes = log_in(out)
    redirect = browser.sign_in(out.page.get(timeout=20))
    parts = urlsplit(redirect)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 404
    assert browser.visit(redirect) == 200
    thread.join(timeout=20)
    assert codes == [0], out.text


def test_a_security_key_that_is_plugged_in_signs_here(
    browser: Browser, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkey, "list_devices", lambda: iter([SecurityKey(browser.key)]))
    monkeypatch.setenv("VAULT_ADDR", browser.key.origin)
    done = run("login", "-method=passkey", f"-path={PATH}")
    assert done.code == 0, done.err
    assert "token_meta_username    ada" in done.out
    assert (tmp_path / ".vault-token").read_text().startswith("hvs.")


def test_a_server_at_another_address_gets_no_signature(
    browser: Browser, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkey, "list_devices", lambda: iter([SecurityKey(browser.key)]))
    before = browser.key.credentials[-1].counter
    done = run("login", "-method=passkey", f"-path={PATH}")  # at 127.0.0.1, which is not localhost
    assert done.code == 1
    assert "the security key did not answer" in done.err
    assert browser.key.credentials[-1].counter == before
    assert not (tmp_path / ".vault-token").exists()
