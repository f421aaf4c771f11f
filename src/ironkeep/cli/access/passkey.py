"""`ironkeep login -method=passkey`: with a plugged-in security key, or else in the browser.

A plugged-in key signs here; its PIN is typed without echo and goes to the key only. Without a key
the login page opens in the browser, which passes a code to 127.0.0.1 by a redirect (RFC 8252). Only
this process has the secret that turns the code into a token (RFC 7636). The address is printed too,
in case the browser does not open.

Another user who knows the address could sign in there as themselves, and this command would run
with their token. So the address never appears in a command line, which every user of the machine
can read: the browser opens a private file that leads there. The name of the user who signed in is
always printed, and compared with the requested one.
"""

import base64
import html
import secrets
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2.pin import ClientPin
from fido2.hid import list_devices
from fido2.webauthn import PublicKeyCredentialRequestOptions

from ironkeep.cli.client.client import Client
from ironkeep.cli.client.connection import Connection
from ironkeep.cli.client.loopback import Loopback
from ironkeep.cli.client.tokenfile import home
from ironkeep.cli.failures import Refused, Unreachable
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidCredentials, InvalidRequest
from ironkeep.core.secret import Secret

SECRET_BYTES: Final = 32

_PORTS: Final = {"http": 80, "https": 443}
_LEADING: Final = (
    "<!doctype html><meta charset=utf-8><title>Ironkeep</title>"
    '<meta name="referrer" content="no-referrer">'
    '<meta http-equiv="refresh" content="0;url={address}">'
    '<p><a href="{address}">Sign in</a></p>\n'
)

Document = dict[str, Any]


def log_in(client: Client, terminal: Terminal, path: str, username: str) -> Document:
    """Log in; return the answer. Raise the client's errors, InvalidRequest without an answer."""
    device = _device()
    if device is None:
        return _by_browser(client, terminal, path, username)
    return _by_key(client, terminal, path, username, device)


def _device() -> CtapDevice | None:
    """Return a usable plugged-in security key, or None."""
    try:
        return next(list_devices(), None)
    except (OSError, NotImplementedError):
        return None


class _Asking(UserInteraction):
    """Asks the user for the touch and the PIN that the key waits for."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal: Final = terminal

    def prompt_up(self) -> None:
        self._terminal.note("Touch your security key.")

    def request_pin(self, permissions: ClientPin.PERMISSION, rp_id: str | None) -> str | None:
        del permissions, rp_id
        return self._terminal.secret(None, "PIN of the security key").reveal().decode() or None


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
            f"the security key did not answer ({why}): unplug it to use the browser instead"
        ) from None
    given = {"id": begun["id"], "credential": dict(signed)}
    return client.write(f"auth/{path}/login/finish", given) or {}


def _by_browser(client: Client, terminal: Terminal, path: str, username: str) -> Document:
    if username and client.connection.wrap_ttl:
        raise InvalidRequest("a wrapped login cannot check username: leave it out")
    verifier, state = (_text(secrets.token_bytes(SECRET_BYTES)) for _ in range(2))
    with Loopback(state) as loopback:
        waiting = {
            "port": loopback.port,
            "state": state,
            "code_challenge": _text(sha256(verifier.encode()).digest()),
        }
        started = _data(client.write(f"auth/{path}/cli/start", waiting))
        address = f"{client.connection.address}{started['page']}"
        terminal.note(f"Sign in in your browser{f' as {username}' if username else ''}:\n{address}")
        with _private_page(address) as page:
            webbrowser.open(page)
            code = loopback.wait()
    fetched = {"code": code, "code_verifier": verifier}
    document = client.write(f"auth/{path}/cli/finish", fetched) or {}
    _require_person(client, terminal, username, document.get("auth") or {})
    return document


@contextmanager
def _private_page(address: str) -> Iterator[str]:
    """Yield the URL of a private file that leads to address, and delete the file afterwards.

    It is in the home folder, because confined browsers see no other. Without a home folder the
    printed address must be opened by hand.
    """
    try:
        folder = TemporaryDirectory(prefix="ironkeep-login-", dir=home())
    except (OSError, InvalidRequest):
        yield "about:blank"
        return
    with folder as name:
        page = Path(name) / "login.html"
        page.touch(mode=0o600)
        page.write_text(_LEADING.format(address=html.escape(address)), encoding="utf-8")
        yield page.as_uri()


def _require_person(client: Client, terminal: Terminal, named: str, auth: Document) -> None:
    """Print the user who signed in; if another was requested, revoke the token and raise.

    Raises InvalidCredentials.
    """
    token, who = auth.get("client_token"), (auth.get("metadata") or {}).get("username", "")
    terminal.note(f"Signed in as {who or 'a user without a name'}.")
    if not named or not token or named.lower() == str(who).lower():
        return
    with suppress(Refused, Unreachable):
        client.send("PUT", "auth/token/revoke-self", data={}, token=Secret(token.encode()))
    raise InvalidCredentials(
        f"{who!r} signed in, not {named!r}: the token was not stored. If you did not do this "
        "yourself, another person knew the address: tell the operators of this vault"
    )


def _origin(connection: Connection) -> str:
    """Return the origin of the server's pages in the form of a browser."""
    parts = urlsplit(connection.address)
    if parts.port == _PORTS[parts.scheme]:
        return f"{parts.scheme}://{parts.hostname}"
    return connection.address


def _data(document: Document | None) -> Document:
    data = (document or {}).get("data")
    if not isinstance(data, dict):
        raise InvalidRequest("the server's answer is not from this auth method: check -path")
    return data


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
