"""`ironkeep login -method=passkey`: by a security key that is plugged in, else by the browser.

A key that is plugged in signs here; its PIN is typed without echo and goes to the key alone. Else
the login page opens in the browser, which hands a code to 127.0.0.1 by a redirect (RFC 8252), and
only this process has the secret that turns it into a token (RFC 7636). The address is printed too,
for a browser that does not open by itself.

Whoever knows the address can sign in there as themselves, and this command would be theirs. So it
stands in no command line, which every user of the machine can read: the browser is given a private
file that leads there. And who came back is held against who was named, and always said.
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
            f"the security key gave no answer ({why}): unplug it to use the browser instead"
        ) from None
    given = {"id": begun["id"], "credential": dict(signed)}
    return client.write(f"auth/{path}/login/finish", given) or {}


def _by_browser(client: Client, terminal: Terminal, path: str, username: str) -> Document:
    if username and client.connection.wrap_ttl:
        raise InvalidRequest("a wrapped login does not say who signed in: give no username")
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
    """Yield the URL of a file of this user alone that leads to address; it is gone afterwards.

    In the home folder: browsers that are confined see no other. Without one the address is shown
    all the same, and is opened by hand.
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
    """Say who signed in; end the session and raise InvalidCredentials when another was named."""
    token, who = auth.get("client_token"), (auth.get("metadata") or {}).get("username", "")
    terminal.note(f"Signed in as {who or 'somebody without a name'}.")
    if not named or not token or named.lower() == str(who).lower():
        return
    with suppress(Refused, Unreachable):
        client.send("PUT", "auth/token/revoke-self", data={}, token=Secret(token.encode()))
    raise InvalidCredentials(
        f"{who!r} signed in, and not {named!r}: nothing is kept. If you did not do this yourself, "
        "somebody else knew the address: tell who runs this vault"
    )


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
