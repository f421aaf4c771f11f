"""A thief of 2022: somebody who has what was taken from one person's machine, or a shell on it.

typed.txt        a keylogger's catch: all that was typed, a line each
home/            an infostealer's catch: every file of the machine, browser profile and all
agent/           a live shell: what speaks for the device while its agent runs
"""

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.attacks.positions.attempts import Attempts, Row
from tests.attacks.positions.chains import made_of
from tests.attacks.positions.surface import routes
from tests.support.devices.soft_device import SoftDevice
from tests.support.devices.tls_client import TlsClient

TOKEN: Final = re.compile(r"hv[sb]\.[A-Za-z0-9_\-]{24,}")


class Thief:
    """Tries what its loot allows."""

    def __init__(self, attempts: Attempts) -> None:
        self.attempts: Final = attempts
        self.loot: Final = attempts.loot
        self.target: Final = attempts.target
        self.nowhere: Final = attempts.nowhere
        self.row: Final = attempts.row
        self.ask: Final = attempts.ask
        typed = "\n".join(self.files("typed")).split("\n")
        self.typed: Final = sorted({line for line in typed if line})
        self.tokens: Final = sorted(
            {found for text in self.files("home") for found in TOKEN.findall(text)}
        )

    def files(self, kind: str) -> Iterator[str]:
        """Yield the text of every stolen file of a kind."""
        for path in sorted((self.loot / kind).rglob("*")):
            if path.is_file():
                yield path.read_bytes().decode("utf-8", "replace")

    def run(self) -> None:
        """Try everything."""
        self.knock()
        self.type()
        self.replay()
        self.impersonate()
        self.ride()

    def knock(self) -> None:
        """K7: an unmanaged machine, with nothing but the address, on every route."""
        row = self.row("K7", "no token, every route, from an unenrolled machine")
        for method, path in routes(self.target):
            self.ask(row, self.nowhere, method, path, {} if method == "POST" else None)

    def type(self) -> None:
        """K8: every typed line as a password of every typed name, at every way to log in."""
        row = self.row("K8", "typed input at every login, and as a token")
        self.log_in(row, self.nowhere)
        for line in self.typed:
            self.ask(row, self.nowhere, "GET", "auth/token/lookup-self", token=line)

    def log_in(self, row: Row, client: TlsClient) -> None:
        """Log in by what was typed, over a connection; with whom that works, take all there is."""
        pairs = [(name, password) for name in self.typed for password in self.typed]
        for mount in self.target["logins"]:
            for name, password in pairs:
                given = {"password": password}
                made = self.ask(row, client, "POST", f"{mount}login/{name}", given)
                if made:
                    self.export(client, made["auth"]["client_token"], "K10")

    def replay(self) -> None:
        """K3, K9: every stolen token on every route, and to enrol a device of the attacker's."""
        row = self.row("K9", "stolen tokens on every route, from another machine")
        for token in self.tokens:
            for method, path in routes(self.target, tokens_only=True):
                self.ask(row, self.nowhere, method, path, {} if method == "POST" else None, token)
            self.export(self.nowhere, token, "K11")
            device = SoftDevice()
            wish = {"name": "x", "ownership": "corporate", "key_spki": device.spki}
            self.ask(row, self.nowhere, "POST", "device/enrol/start", wish, token)

    def impersonate(self) -> None:
        """K9: every stolen private key as the device's: a certificate, and with it the tokens."""
        row = self.row("K9", "stolen device keys: certificates, and tokens over them")
        for text in self.files("home"):
            for key in keys_in(text):
                for device in self.target["devices"]:
                    client = self.certified(row, key, device)
                    if client is None:
                        continue
                    for token in self.tokens:
                        self.export(client, token, "K11")
                    self.log_in(row, client)

    def certified(self, row: Row, key: EllipticCurvePrivateKey, device: str) -> TlsClient | None:
        """Return a connection by a certificate that a stolen device key asked for, if any."""
        soft = SoftDevice(key)
        soft.id = device

        def send(path: str, data: Any) -> Any:
            answer = self.ask(row, self.nowhere, "POST", path, data)
            if answer is None:
                raise PermissionError(path)
            return answer["data"]

        try:
            made = soft.certificate(send)
        except PermissionError:
            return None
        paths = self.loot / "forged.pem", self.loot / "forged.key"
        for path, pem in zip(paths, made, strict=True):
            path.write_bytes(pem)
        return self.attempts.connect(*paths)

    def ride(self) -> None:
        """K11: a live shell on the device asks its agent for everything, as the user could."""
        files = self.loot / "agent" / "now.pem", self.loot / "agent" / "now.key"
        if files[0].exists():
            agent = self.attempts.connect(*files)
            for token in self.tokens:
                self.export(agent, token, "K11")
                self.launder(agent, token)
                self.loosen(agent, token)
                self.respell(agent, token)

    def launder(self, client: TlsClient, token: str) -> None:
        """Make other tokens of one token, every way that policy allows, and take all with each."""
        row = self.row("K12", "children, orphans, roles, aliases and machines made by that token")
        send = partial(self.ask, row, client)
        for client_token in made_of(send, token, self.target["policies"], "k12"):
            self.secrets(client, client_token, "K12")
            self.ask(row, self.nowhere, "LIST", "secret/metadata/", token=client_token)

    def loosen(self, client: TlsClient, token: str) -> None:
        """Lower what bounds that token, every way that policy allows; then take all again."""
        row = self.row("K13", "lower budgets, classes and break-glass, then export again")
        limits = {"hour": 0, "day": 0, "month": 0}
        for kind in ("entity", "device", "team", "house"):
            self.ask(row, client, "POST", f"sys/budgets/defaults/{kind}", limits, token)
        self.ask(row, client, "POST", "sys/budgets/defaults", {"soft": 100}, token)
        for mount in self.target["secrets"]:
            for secret_class in self.target["classes"]:
                at = f"sys/classes/{mount}{secret_class}"
                self.ask(row, client, "DELETE", at, token=token)
                self.ask(row, client, "POST", at, {"class": "open"}, token)
                self.ask(row, client, "POST", f"{at}/0", {"class": "open"}, token)
        people = {"people": "k12a,k12b", "policies": self.target["policies"], "need": 1}
        self.ask(row, client, "POST", "sys/break-glass/config", people, token)
        self.secrets(client, token, "K13")

    def respell(self, client: TlsClient, token: str) -> None:
        """Ask for every secret by each spelling that a parser might take for another object."""
        row = self.row("K14", "every secret by other spellings of its path")
        for mount in self.target["secrets"]:
            for name in self.names(row, client, token, f"{mount}metadata/"):
                for path in spellings(mount, name):
                    self.ask(row, client, "GET", path, token=token)

    def export(self, client: TlsClient, token: str, step: str) -> None:
        """Read everything that can be listed, wrapped and not; then every other route, once."""
        self.secrets(client, token, step)
        row = self.row(step, "every other route with that token")
        for method, path in routes(self.target, tokens_only=True):
            if method in ("GET", "LIST"):
                self.ask(row, client, method, path, token=token)

    def secrets(self, client: TlsClient, token: str, step: str) -> None:
        """Read everything that can be listed, wrapped and not."""
        row = self.row(step, "all secrets that can be listed")
        for mount in self.target["secrets"]:
            for name in self.names(row, client, token, f"{mount}metadata/"):
                path = f"{mount}data/{name}"
                self.ask(row, client, "GET", path, token=token)
                self.unwrapped(row, client, token, path)
                self.ask(row, client, "GET", f"{mount}subkeys/{name}", token=token)

    def unwrapped(self, row: Row, client: TlsClient, token: str, path: str) -> None:
        """Have an answer wrapped, and open it here and elsewhere."""
        row.tried += 1
        _, body = client.send("GET", path, None, token, {"X-Vault-Wrap-TTL": "60"})
        info = body.get("wrap_info") if isinstance(body, dict) else None
        if info:
            given = {"token": info["token"]}
            self.ask(row, self.nowhere, "POST", "sys/wrapping/unwrap", given)
            self.ask(row, client, "POST", "sys/wrapping/unwrap", given, token)

    def names(self, row: Row, client: TlsClient, token: str, folder: str) -> Iterator[str]:
        """Yield the names below a folder, at any depth."""
        listed = self.ask(row, client, "LIST", folder, token=token)
        for name in listed["data"]["keys"] if listed else ():
            if name.endswith("/"):
                below = self.names(row, client, token, folder + name)
                yield from (name + each for each in below)
            else:
                yield name


def spellings(mount: str, name: str) -> Iterator[str]:
    """Yield paths that may mean the secret of that name."""
    at, folders, last = mount.rstrip("/"), *name.rpartition("/")[::2]
    yield from (
        f"{at}/data/{name}/", f"{at}/data//{name}", f"{at}//data/{name}", f"/{at}/data/{name}",
        f"{at}/data/{name}%20", f"{at}/data/%20{name}", f"{at}/data/{name.upper()}",
        f"{at}/data/{folders}%2F{last}", f"{at}/data/./{name}", f"{at}/data/x/../{name}",
        f"{at}/DATA/{name}", f"{at}/data/{name}?version=1", f"{at}/subkeys/{name}?depth=9",
        f"{at}/metadata/{name}", f"{at}/{name}", f"{at}/data/{name}%00",
        f"{at}/data/{name}%EF%B8%8F",
    )  # fmt: skip


def keys_in(text: str) -> Iterator[EllipticCurvePrivateKey]:
    """Yield the P-256 keys in a file."""
    for found in re.findall(r"-----BEGIN [A-Z ]*KEY-----[^-]+-----END [A-Z ]*KEY-----", text):
        with contextlib.suppress(ValueError, TypeError):
            key = load_pem_private_key(found.encode(), password=None)
            if isinstance(key, EllipticCurvePrivateKey):
                yield key
