"""`ironkeep login -method=passkey`: by a security key that is plugged in, else by the browser.

A key that is plugged in signs here; its PIN is typed without echo and goes to the key alone. Else
the login page opens in the browser, which hands a code to 127.0.0.1 by a redirect (RFC 8252), and
only this process has the secret that turns it into a token (RFC 7636). The address is printed too,
for a browser that does not open by itself; it gives nothing to who reads it.
"""

import base64
import getpass
import hmac
import secrets
import time
import webbrowser
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2.pin import ClientPin
from fido2.hid import list_devices
from fido2.webauthn import PublicKeyCredentialRequestOptions

from ironkeep.cli.client import Client
from ironkeep.cli.connection import Connection
from ironkeep.cli.terminal import Terminal
from ironkeep.core.errors import InvalidCredentials, InvalidRequest

WAIT_SECONDS: Final = 180
"""For the person in the browser."""
READ_SECONDS: Final = 5
"""For one request at the loopback address: who connects and says nothing holds nobody up."""
SECRET_BYTES: Final = 32

_PORTS: Final = {"http": 80, "https": 443}
_PAGE: Final = (
    b"<!doctype html><meta charset=utf-8><title>Ironkeep</title>"
    b"<p>You are signed in at the command. Close this page."
)
_HEADERS: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
)

Document = dict[str, Any]


def log_in(client: Client, terminal: Terminal, path: str, username: str) -> Document:
    """Log in; return the answer. Raise what the client raises, and InvalidRequest for no answer."""
    device = _device()
    if device is None:
        return _by_browser(client, terminal, path, username)
    return _by_key(client, terminal, path, username, device)


def _device() -> CtapDevice | None:
    """Return a security key that is plugged in and may be used, or None."""
    try:
        return next(list_devices(), None)
    except (OSError, NotImplementedError):
        return None


class _Asking(UserInteraction):
    """Tells the person what the key waits for."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal: Final = terminal

    def prompt_up(self) -> None:
        self._terminal.note("Touch your security key.")

    def request_pin(self, permissions: ClientPin.PERMISSION, rp_id: str | None) -> str | None:
        del permissions, rp_id
        return getpass.getpass("PIN of the security key (will be hidden): ") or None


def _by_key(
    client: Client, terminal: Terminal, path: str, username: str, device: CtapDevice
) -> Document:
    begun = _data(client.write(f"auth/{path}/login/begin", {"username": username}))
    options = PublicKeyCredentialRequestOptions.from_dict(begun["options"]["publicKey"])
    collector = DefaultClientDataCollector(_origin(client.connection))
    try:
        signer = Fido2Client(device, collector, _Asking(terminal))
        signed = signer.get_assertion(options).get_response(0)
    except (ClientError, CtapError, OSError, ValueError) as error:
        why = error.code.name if isinstance(error, ClientError | CtapError) else str(error)
        raise InvalidCredentials(
            f"the security key gave no answer ({why}): unplug it to use the browser instead"
        ) from None
    given = {"id": begun["id"], "credential": dict(signed)}
    return client.write(f"auth/{path}/login/finish", given) or {}


def _by_browser(client: Client, terminal: Terminal, path: str, username: str) -> Document:
    verifier, state = (_text(secrets.token_bytes(SECRET_BYTES)) for _ in range(2))
    with _Loopback(state) as loopback:
        waiting = {
            "port": loopback.server_port,
            "state": state,
            "code_challenge": _text(sha256(verifier.encode()).digest()),
        }
        started = _data(client.write(f"auth/{path}/cli/start", waiting))
        address = f"{client.connection.address}{started['page']}"
        terminal.note(f"Sign in in your browser{f' as {username}' if username else ''}:\n{address}")
        webbrowser.open(address)
        code = loopback.wait()
    fetched = {"code": code, "code_verifier": verifier}
    return client.write(f"auth/{path}/cli/finish", fetched) or {}


class _Loopback(HTTPServer):
    """Waits on 127.0.0.1 for the one request that brings the code."""

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Callback)
        self.state: Final = state
        self.code = ""

    def wait(self) -> str:
        """Return the code; raise InvalidRequest when nobody brings it in time."""
        until = time.monotonic() + WAIT_SECONDS
        while not self.code:
            left = until - time.monotonic()
            if left <= 0:
                raise InvalidRequest("nobody signed in in the browser in time: run this again")
            self.timeout = left
            self.handle_request()
        return self.code


class _Callback(BaseHTTPRequestHandler):
    """Takes the code from a request with our state, and nothing from any other."""

    timeout: ClassVar[float | None] = READ_SECONDS

    def do_GET(self) -> None:
        """Answer the browser."""
        assert isinstance(self.server, _Loopback)
        parts = urlsplit(self.path)
        given = parse_qs(parts.query)
        state, code = given.get("state", [""])[0], given.get("code", [""])[0]
        ours = hmac.compare_digest(state.encode(), self.server.state.encode())
        if parts.path != "/cb" or not ours or not code:
            self.send_error(404)
            return
        self.server.code = code
        self.send_response(200)
        for name, value in _HEADERS:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Say nothing: the line would hold the code."""


def _origin(connection: Connection) -> str:
    """Return the origin of the server's pages, as a browser would write it."""
    parts = urlsplit(connection.address)
    if parts.port == _PORTS[parts.scheme]:
        return f"{parts.scheme}://{parts.hostname}"
    return connection.address


def _data(document: Document | None) -> Document:
    data = (document or {}).get("data")
    if not isinstance(data, dict):
        raise InvalidRequest("the server's answer is none of this method: look at -path")
    return data


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
