"""The real vault over memory ports, the people around it, and what the attacker holds.

The clock moves a second with each request. The set-up is made once and copied for each story.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any, Final

from ironkeep.app import PLUGINS
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.plugin.settings import ServerSettings
from ironkeep.testing.memory import FakeClock, MemoryStorage
from ironkeep.testing.simulation.cluster import Account, Cluster, Crashed, Half, Server
from ironkeep.testing.vault import Reply, Vault
from ironkeep.tlog.cosignature import Cosigner
from ironkeep.tlog.note import SigningKey

PRIMARY: Final = "db.example:5432"
STANDBY: Final = "standby.example:5432"
OTHER: Final = "other.example:5432"
"""Endpoints: of the database, and of one that is not there at first."""
ADMIN: Final = b"admin password"
SECRETS: Final = ("key", "pay", "mail")
"""Names below secret/data/: `key` and `mail` decrypt stores, `pay` opens a portal. The repository
holds a copy of `key` that is encrypted under `mail`."""
CIPHERTEXT: Final = b"an encrypted copy of the key" * 3
PEOPLE: Final = ("ann", "bob", "cat")
RESPONDERS: Final = ("rita", "rob")

_STAFF: Final = """
path "secret/data/key" { capabilities = ["read"] }
path "secret/data/mail" { capabilities = ["create", "update"] }
path "database/static-creds/*" { capabilities = ["read"] }
path "database/static-roles/*" { capabilities = ["create", "update", "read", "delete"] }
path "auth/token/create*" { capabilities = ["create", "update", "sudo"] }
path "auth/userpass/users/*" { capabilities = ["create", "update", "delete"] }
path "auth/approle/role/*" { capabilities = ["create", "update", "read"] }
path "sys/policies/acl/*" { capabilities = ["create", "update", "read"] }
"""
_READER: Final = """
path "secret/data/key" { capabilities = ["read"] }
path "database/static-creds/*" { capabilities = ["read"] }
"""
_PAYER: Final = """
path "secret/data/pay" { capabilities = ["read"] }
"""
_RESPONDER: Final = """
path "incident/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
"""

_MAILER: Final = """
path "secret/data/mail" { capabilities = ["read"] }
"""
POLICIES: Final = {
    "staff": _STAFF, "reader": _READER, "payer": _PAYER, "mailer": _MAILER,
    "responder": _RESPONDER,
}  # fmt: skip


def password_of(name: str) -> str:
    """Return the first password of a person."""
    return f"password of {name}"


@dataclass
class Bag:
    """What the attacker holds: values as they were seen, never what a log says of them."""

    tokens: list[str] = field(default_factory=list)
    wraps: list[str] = field(default_factory=list)
    logins: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Paths of the vault with the fields of a login there."""
    values: list[tuple[str, str]] = field(default_factory=list)
    """(name of a secret, its value)."""
    ciphertexts: list[str] = field(default_factory=list)
    """Names of secrets of which the attacker has an encrypted copy."""
    accounts: list[tuple[str, str]] = field(default_factory=list)
    """(account of the database, a password of it)."""
    halves: list[Half] = field(default_factory=list)
    requests: list[Waiting] = field(default_factory=list)
    """Logins to the vault that are under way."""
    hooks: list[str] = field(default_factory=list)
    """Names of objects at the database that act for the attacker."""
    policies: dict[str, str] = field(default_factory=dict)
    """Policies of the vault that the attacker wrote, with their texts."""


class World:
    """One vault, one cluster, and everybody who acts on them."""

    def __init__(self) -> None:
        self.cosigner: Final = Cosigner(SigningKey("tower", Secret(sha256(b"tower").digest())))
        settings = ServerSettings(witnesses=(("tower", self.cosigner.key.format()),), quorum=1)
        clock = FakeClock()
        first = {"admin": ADMIN, "app": b"imported password", "payroll": b"as it was set up"}
        accounts = {name: Account(password) for name, password in first.items()}
        self.cluster = Cluster(clock, {PRIMARY: Server(accounts), STANDBY: Server(accounts)})
        self.vault = Vault.started(
            PLUGINS, clock=clock, connectors={"postgresql": self.cluster}, settings=settings
        )
        self.bag = Bag()
        self.sessions: dict[str, str] = {}
        self.case = ""
        self.judged: list[tuple[str, int]] = []
        """(case, instant) of each verdict that was asked for."""
        self.began_ns = 0
        self.portal: dict[str, set[str]] = {}
        """The values of each secret that its users take, each until it is revoked there."""
        self.versions: dict[str, list[str]] = {}
        self.stated: list[str] = []
        """Statements of one responder that another one has looked into and can confirm."""
        self.unfounded: list[str] = []
        """Reasons why nobody can know whether the attacker is out."""
        self._set_up()

    @classmethod
    def fresh(cls) -> "World":
        """Return a world after its set-up."""
        return _template().copied()

    def copied(self) -> "World":
        """Return a copy of everything but requests under way."""
        other: World = copy.copy(self)
        old = self.vault
        clock = FakeClock(old.clock.now_ns())
        cluster = copy.deepcopy(self.cluster, {id(self.cluster.clock): clock})
        storage = MemoryStorage()
        storage.restore(old.storage.snapshot())
        vault = Vault(
            PLUGINS,
            storage=storage,
            disk=old.disk.copy(),
            clock=clock,
            seed=old.seed + 1,
            connectors={"postgresql": cluster},
            settings=old.settings,
        )
        vault.keys, vault.root = old.keys, old.root
        vault.unseal()
        bag = copy.deepcopy(self.bag, {id(self.bag.requests): []})
        cluster.halves = list(bag.halves)
        other.vault, other.cluster, other.bag = vault, cluster, bag
        other.sessions, other.portal = dict(self.sessions), copy.deepcopy(self.portal)
        other.versions = copy.deepcopy(self.versions)
        other.judged = list(self.judged)
        other.stated, other.unfounded = list(self.stated), list(self.unfounded)
        return other

    def _set_up(self) -> None:
        self.must("sys/auth/userpass", {"type": "userpass"})
        self.must("sys/auth/approle", {"type": "approle"})
        for name, policy in POLICIES.items():
            self.must(f"sys/policies/acl/{name}", {"policy": policy})
        granted = {"ann": "staff", "bob": "reader", "cat": "payer"}
        for name in (*PEOPLE, *RESPONDERS):
            user = {
                "password": password_of(name),
                "token_policies": granted.get(name, "responder"),
            }
            self.must(f"auth/userpass/users/{name}", user)
        self._secrets()
        for name in RESPONDERS:
            self.sessions[name] = self.login(name)

    def _secrets(self) -> None:
        for name in SECRETS:
            value = f"first value of {name}"
            self.must(f"secret/data/{name}", {"data": {"v": value}})
            self.portal[name], self.versions[name] = {value}, [value]
        self.must("sys/mounts/database", {"type": "database"})
        hosts = [each.partition(":")[0] for each in (PRIMARY, STANDBY)]
        config = {
            "plugin_name": "postgresql-database-plugin",
            "username": "admin",
            "password": ADMIN.decode(),
            "allowed_roles": "*",
            "host": ",".join(hosts),
            "poolers": "none",
        }
        self.must("database/config/orders", config)
        role = {"db_name": "orders", "username": "app", "password": "imported password"}
        self.must("database/static-roles/app", role)
        for name in ("key", "mail"):
            link = {"source": f"secret/{name}", "kind": "decrypts", "targets": f"store:{name}s"}
            self.must("incident/links", {**link, "basis": "how the store is made"})
        link = {"source": "secret/pay", "kind": "opens", "targets": "system:portal"}
        self.must("incident/links", {**link, "basis": "the portal's own configuration"})

    # Requests.

    def ask(
        self,
        op: Operation,
        path: str,
        data: Mapping[str, Any] | None = None,
        token: str | None = "root",
        wrap: int | None = None,
    ) -> Reply | None:
        """Make a request, a second after the last one; None if the vault's process ended in it."""
        self.vault.clock.advance(seconds=1)
        try:
            return self.vault.request(op, path, data, token=token, wrap=wrap)
        except Crashed:
            self.restart()
            return None

    def wait(self, seconds: int) -> None:
        """Let time pass, with the vault's timed work, in which its process may end, too."""
        try:
            self.vault.tick(seconds)
        except Crashed:
            self.restart()

    def write(
        self, path: str, data: Mapping[str, Any] | None = None, token: str | None = "root"
    ) -> Reply | None:
        """Write, and return the answer if it was a good one."""
        return _good(self.ask(Operation.UPDATE, path, data, token))

    def read(self, path: str, token: str | None = "root") -> Reply | None:
        """Read, and return the answer if it was a good one."""
        return _good(self.ask(Operation.READ, path, None, token))

    def must(self, path: str, data: Mapping[str, Any]) -> Reply:
        """Write as root; the answer must be a good one."""
        reply = self.ask(Operation.UPDATE, path, data)
        assert reply is not None, path
        assert reply.error is None, (path, reply.body)
        return reply

    def login(self, name: str, password: str = "") -> str:
        """Log somebody in; return the token, empty if that was refused."""
        data = {"password": password or password_of(name)}
        reply = self.write(f"auth/userpass/login/{name}", data, None)
        return "" if reply is None else reply.token

    def on(
        self, what: str, data: Mapping[str, Any], who: str = "rita", *, honest: bool = True
    ) -> dict[str, Any] | None:
        """Do something in the case as a responder; None if it was refused.

        What an honest one states can be confirmed later by a second person.
        """
        path = f"incident/cases/{self.case}/{what}"
        reply = self.write(path, data, self.sessions[who])
        if reply is None:
            return None
        found = data_of(reply)
        for each in (found, *found.get("rotated", ())) if honest else ():
            self.stated += [each["confirm"]] if "confirm" in each else []
        return found

    def verdict(self) -> dict[str, Any]:
        """Return the verdict of the case once the witness has seen everything."""
        self.witness()
        return self.verdict_now()

    def verdict_now(self) -> dict[str, Any]:
        """Return the verdict of the case with what the witness has seen so far."""
        return self._verdict(self.case, {})

    def verdict_then(self, case: str, time_ns: int) -> dict[str, Any]:
        """Return the verdict of a case as of an instant."""
        ago = -((time_ns - self.vault.clock.now_ns()) // SECOND_NS) + 1
        return self._verdict(case, {"as_of": f"{ago}s"})

    def _verdict(self, case: str, data: Mapping[str, Any]) -> dict[str, Any]:
        path = f"incident/cases/{case}/verdict"
        reply = _good(self.ask(Operation.READ, path, data, self.sessions["rita"]))
        if reply is None:
            self.sessions["rita"] = self.login("rita")
            reply = _good(self.ask(Operation.READ, path, data, self.sessions["rita"]))
        assert reply is not None, "a responder reads the verdict"
        return reply.data

    def witness(self) -> None:
        """Sign what is durable, and have the witness cosign it."""
        self.vault.witness(self.cosigner)

    def restart(self) -> None:
        """Start the vault again over the same storage and log, and unseal it."""
        self.vault = self.vault.restarted()
        self.vault.unseal()
        self.bag.requests.clear()

    def mark(self) -> None:
        """Remember now as the earliest time from which the attacker holds anything."""
        self.began_ns = self.began_ns or self.vault.clock.now_ns()

    def renew(self, name: str, *, alone: bool = True) -> None:
        """Give a secret another value; its users take the one of before no longer, if `alone`."""
        self.give(name, f"value of {name} at {self.vault.clock.now_ns()}", alone=alone)

    def give(self, name: str, value: str, *, alone: bool = True) -> None:
        """Give a secret a value, as `renew` does."""
        if self.write(f"secret/data/{name}", {"data": {"v": value}}):
            self.portal[name].add(value)
            if alone:
                self.revoke(name, len(self.versions[name]))
            self.versions[name].append(value)

    def revoke(self, name: str, version: int) -> None:
        """Let nobody take a version of a secret any more."""
        self.portal[name] -= set(self.versions[name][version - 1 : version])

    def token(self, number: int) -> str:
        """Return one of the attacker's tokens; empty if there is none."""
        tokens = self.bag.tokens
        return tokens[number % len(tokens)] if tokens else ""


def _good(reply: Reply | None) -> Reply | None:
    return None if reply is None or reply.error is not None else reply


def data_of(reply: Reply | None) -> dict[str, Any]:
    """Return the data of an answer; empty if there is none."""
    return reply.data if reply is not None and reply.body and reply.body.get("data") else {}


@cache
def _template() -> World:
    return World()


def value_in(reply: Reply | None, path: str) -> str:
    """Return the secret in an answer: of the key/value engine or of a database account, or ""."""
    found = data_of(reply)
    inner = found if path.startswith("database/") else found.get("data") or {}
    return str(inner.get("password") or inner.get("v") or "")
