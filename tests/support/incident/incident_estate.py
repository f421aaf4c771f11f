"""A small estate in memory with a witness: people, secrets, a database, a backup key; and a breach.

The database is simulated behind the real engine. The clock moves a second with each request, so
that times tell the order.
"""

import copy
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final

from ironkeep.app import PLUGINS
from ironkeep.core.credential.connector import Connector
from ironkeep.core.evidence import records as ev
from ironkeep.core.operation import Operation
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.plugin.settings import ServerSettings
from ironkeep.testing.memory import FakeClock, MemoryStorage
from ironkeep.testing.parts import tables, text
from ironkeep.testing.vault import Reply, Vault
from tests.support.credentials.simulated import Account, SimulatedSystem
from tests.support.log.sample_log import sample_cosigner

WITNESS: Final = "witness.example"
PASSWORD: Final = "correct horse battery"
BACKUP_KEY: Final = "backup-key-0f4c6f2f9a7b"
CIPHERTEXT: Final = b"an encrypted copy of the backup key" * 3

_RESPONDER: Final = """
path "incident/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
"""
_ENGINEER: Final = """
path "database/static-creds/app" { capabilities = ["read"] }
path "auth/token/create" { capabilities = ["update"] }
path "incident/documents" { capabilities = ["update"] }
"""

_MAIL: Final = """
path "secret/data/app/*" { capabilities = ["read"] }
"""


@dataclass(frozen=True, slots=True)
class Real:
    """A real database instead of the simulated one, with an account `app`."""

    connector: Connector
    config: Mapping[str, Any]


class Estate:
    """The vault of the estate, driven as its people would."""

    def __init__(
        self,
        *,
        hosts: str = "db.example",
        real: Real | None = None,
        pooled: str | None = "none",
    ) -> None:
        self.system: Final = SimulatedSystem(
            accounts={"admin": Account(b"admin password"), "app": Account(b"imported password")}
        )
        self.cosigner: Final = sample_cosigner(WITNESS)
        settings = ServerSettings(witnesses=(("tower", self.cosigner.key.format()),), quorum=1)
        connectors: dict[str, Connector] = {
            "postgresql": self.system if real is None else real.connector
        }
        self.vault: Final = Vault.started(PLUGINS, connectors=connectors, settings=settings)
        self._people()
        where = {"host": hosts} if real is None else dict(real.config)
        self._secrets(where if pooled is None else {"poolers": pooled, **where})
        self.responder = self.login("responder")
        self.auditor: Final = self.login("auditor")

    @classmethod
    def fresh(cls) -> "Estate":
        """Return an estate as it is after its set-up, by way of a copy: set-up hashes passwords."""
        return _copied(_template())

    def _people(self) -> None:
        self.must("sys/auth/userpass", {"type": "userpass"})
        self.must("sys/policies/acl/responder", {"policy": _RESPONDER})
        self.must("sys/policies/acl/engineer", {"policy": _ENGINEER})
        self.must("sys/policies/acl/mail", {"policy": _MAIL})
        people = {"engineer": "engineer", "colleague": "engineer,mail", "responder": "responder"}
        people["auditor"] = "responder"
        for name, granted in people.items():
            user = {"password": PASSWORD, "token_policies": granted}
            self.must(f"auth/userpass/users/{name}", user)

    def _secrets(self, database: Mapping[str, Any]) -> None:
        self.must("sys/mounts/database", {"type": "database"})
        config = {
            "plugin_name": "postgresql-database-plugin",
            "username": "admin",
            "password": "admin password",
            "allowed_roles": "*",
            **database,
        }
        self.must("database/config/orders", config)
        role = {"db_name": "orders", "username": "app", "password": "imported password"}
        self.must("database/static-roles/app", role)
        self.must("secret/data/app/mail", {"data": {"password": "mail-secret-91b2"}})
        self.must("secret/data/backup/key", {"data": {"key": BACKUP_KEY}})
        self.must("secret/data/backup/wrapping", {"data": {"key": "wrapping-key-5d2c"}})

    def register_copy(self) -> None:
        """Put the encrypted copy of the backup key on record."""
        copy = {
            "name": "repository copy",
            "sha256": sha256(CIPHERTEXT).hexdigest(),
            "wraps": "secret/backup/key",
            "opened_by": "secret/backup/wrapping",
        }
        self.must("incident/documents/registered", copy)

    def request(
        self, op: Operation, path: str, data: Mapping[str, Any] | None = None, token: str = "root"
    ) -> Reply:
        """Make a request, a second after the last one."""
        self.vault.clock.advance(seconds=1)
        return self.vault.request(op, path, data, token=token)

    def must(
        self, path: str, data: Mapping[str, Any] | None = None, token: str = "root"
    ) -> dict[str, object]:
        """Write, and return the data of the answer, which must be a good one; empty without any."""
        reply = self.request(Operation.UPDATE, path, data or {}, token)
        assert reply.error is None, (path, reply.body)
        return reply.data if reply.body and reply.body.get("data") else {}

    def get(self, path: str, token: str = "root", **data: object) -> dict[str, object]:
        """Read, and return the data of the answer, which must be a good one."""
        reply = self.request(Operation.READ, path, data, token)
        assert reply.error is None, (path, reply.body)
        return reply.data

    def login(self, name: str) -> str:
        """Log somebody in; return the token."""
        self.vault.clock.advance(seconds=1)
        reply = self.vault.request(
            Operation.UPDATE, f"auth/userpass/login/{name}", {"password": PASSWORD}, token=None
        )
        assert reply.error is None, reply.body
        return reply.token

    def read_password(self, token: str) -> str:
        """Read the database password with somebody's token."""
        return text(self.get("database/static-creds/app", token), "password")

    # The case, as a responder works on it.

    def open_case(self, *subjects: str, start: str = "10s", token: str | None = None) -> str:
        """Open a case; return its number."""
        given = {
            "title": "a session was stolen",
            "subjects": list(subjects),
            "start": start,
            "basis": "the last good image of the machine",
        }
        return text(self.must("incident/cases", given, token or self.responder), "id")

    def on(self, case: str, what: str, **data: object) -> dict[str, object]:
        """Do something in a case; what the responder states, the auditor confirms."""
        done = self.must(f"incident/cases/{case}/{what}", data, self.responder)
        rotated = tables(done, "rotated") if "rotated" in done else []
        for stated in (done, *rotated):
            if "confirm" in stated:
                self.confirm(case, text(stated, "confirm"))
        return done

    def confirm(self, case: str, *items: str) -> None:
        """Confirm statements of the responder as another person."""
        self.must(f"incident/cases/{case}/confirm", {"items": list(items)}, self.auditor)

    def evict(self, case: str) -> None:
        """Do everything that a case asks for, but for what only people can state."""
        for step in ("contain", "rotate", "kill", "probe", "sweep"):
            self.on(case, step)

    def state(self, case: str) -> None:
        """State what people state in a case that went well."""
        for item in ev.ROOT_ITEMS:
            self.on(case, "check-root", item=item, sound=True, detail="looked at, as expected")
        self.on(case, "residue", words="what was seen stays seen")

    def verdict(self, case: str, **data: object) -> dict[str, object]:
        """Return the verdict of a case once the witness has seen everything."""
        self.witness()
        return self.get(f"incident/cases/{case}/verdict", self.responder, **data)

    def pack(self, case: str, **data: Any) -> bytes:
        """Return the pack of a case once the witness has seen everything."""
        self.witness()
        self.vault.clock.advance(seconds=1)
        answer = self.vault.pipeline.handle(
            self.vault.asked(Operation.READ, f"incident/cases/{case}/pack", data, self.responder)
        )
        body = self.vault.settle(answer).body
        assert body is not None
        return body

    def trust(self) -> TrustedKeys:
        """Return the keys that somebody pins who has visited this vault."""
        return TrustedKeys.parse(text(self.get("incident/trust", self.responder), "trust").encode())

    def witness(self) -> None:
        """Sign what is durable, and have the witness cosign it."""
        self.vault.witness(self.cosigner)


@cache
def _template() -> Estate:
    return Estate()


def _copied(template: Estate) -> Estate:
    """Return an estate over copies of the template's storage, log and system, unsealed."""
    copied = copy.copy(template)
    system = copy.deepcopy(template.system)
    old = template.vault
    storage = MemoryStorage()
    storage.restore(old.storage.snapshot())
    vault = Vault(
        PLUGINS,
        storage=storage,
        disk=old.disk.copy(),
        clock=FakeClock(old.clock.now_ns()),
        seed=1,
        connectors={"postgresql": system},
        settings=old.settings,
    )
    vault.keys, vault.root = old.keys, old.root
    vault.unseal()
    vars(copied).update(system=system, vault=vault)
    return copied


def opened(verdict: Mapping[str, object]) -> set[tuple[str, str]]:
    """Return (check, label) of everything that stands against a case."""
    return {(text(item, "check"), text(item, "label")) for item in tables(verdict, "open_items")}


def document(text: bytes) -> str:
    """Return a text as it is handed in."""
    return b64encode(text).decode()


def parsed(body: bytes) -> Any:
    """Return an answer's JSON."""
    return json.loads(body)
