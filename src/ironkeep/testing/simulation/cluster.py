"""Database servers in memory: a connector that keeps its promises, and breaks down when told to.

Each server is one endpoint with accounts, sessions, and objects by which an intruder comes back. A
standby answers with the accounts of its primary, or of the moment at which it fell behind. A login
takes the verifier of an account at its start, as PostgreSQL does, and may be finished later.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ironkeep.core.credential.connector import (
    Ambiguous,
    Logins,
    Probe,
    ProbeResult,
    Rejected,
    Target,
    Unreachable,
)
from ironkeep.core.credential.inventory import Inventory, InventoryItem, Kind, collect, item
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.testing.memory import FakeClock

NAME: Final = "simulated"
LOGIN_SECONDS: Final = 60
"""A login that takes longer is broken off: PostgreSQL's default authentication_timeout."""


class Fault(StrEnum):
    """The failure of one call."""

    LOST_REPLY = "lost"
    """It took effect, and the reply did not come."""
    NO_ANSWER = "silent"
    """It took no effect, and no reply came."""
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    IGNORED = "ignored"
    """The system reported success and did nothing."""


class Crashed(BaseException):
    """The vault's process ended within a call; no handler of the vault may catch it."""


@dataclass
class Account:
    """One login of a server."""

    password: bytes
    may_log_in: bool = True


@dataclass
class Session:
    """An open session; `thief` tells whether the attacker holds it."""

    username: str
    began_ns: int
    thief: bool = False


@dataclass
class Half:
    """A login that was begun: the server has read the account's verifier already."""

    endpoint: str
    username: str
    verifier: bytes
    password: bytes
    began_ns: int


@dataclass
class Server:
    """One endpoint; `frozen` is a standby's copy of the accounts from when it fell behind."""

    accounts: dict[str, Account]
    sessions: list[Session] = field(default_factory=list)
    frozen: dict[str, Account] | None = None
    down: bool = False
    pooled: set[str] = field(default_factory=set)
    """Accounts whose sessions a pooler opens again for the clients that it has let in."""

    def account(self, username: str) -> Account | None:
        """Return an account as this server knows it."""
        known = self.accounts if self.frozen is None else self.frozen
        return known.get(username)

    def admits(self, username: str, password: bytes) -> bool:
        """Return whether a login succeeds now."""
        account = self.account(username)
        return account is not None and account.may_log_in and account.password == password


@dataclass
class Cluster:
    """A primary with standbys, which share its accounts, and the connector to them."""

    clock: FakeClock
    servers: dict[str, Server]
    items: list[InventoryItem] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    crashes: dict[str, str] = field(default_factory=dict)
    """By operation: "before" or "after" its effect, the vault's process ends."""
    blind: bool = False
    """Whether an inventory cannot see the hooks, and says so."""
    backup: dict[str, Account] = field(default_factory=dict)
    """The accounts as they were when they were last backed up."""
    halves: list[Half] = field(default_factory=list)
    """Logins that were begun and are not finished."""
    tells: bool = True
    """Whether the system lists the logins that are under way."""
    refusals_per_minute: int = 1_000

    # The side of the vault.

    def set_password(
        self, target: Target, username: str, new: Secret, current: Secret | None
    ) -> None:
        """Set a password, logged in as the account or as the administrator."""
        server = self.at(target)

        def change() -> None:
            name = target.admin_username if current is None else username
            password = target.admin_password if current is None else current
            if not server.admits(name, password.reveal()):
                raise Unreachable("the login was refused")
            if username not in server.accounts:
                raise Rejected("there is no such account", "42704", final=True)
            server.accounts[username].password = new.reveal()

        self._change("set", target, change)

    def probe(self, target: Target, username: str, password: Secret) -> ProbeResult:
        """Present a password."""
        server, fault = self.at(target), self._fault("probe")
        self._crash("probe", "before")
        if server.down or fault is not None:
            return ProbeResult(Probe.UNKNOWN, "no answer", target.endpoint, "", 1)
        alive = server.admits(username, password.reveal())
        state, reason = (Probe.ALIVE, "logged in") if alive else (Probe.DEAD, "refused")
        self._crash("probe", "after")
        return ProbeResult(state, reason, target.endpoint, "" if alive else "28P01", 1)

    def lock(self, target: Target, username: str) -> None:
        """Forbid logins."""
        self._as_admin("lock", target, lambda: self._switch(target, username, on=False))

    def unlock(self, target: Target, username: str) -> None:
        """Allow logins."""
        self._as_admin("unlock", target, lambda: self._switch(target, username, on=True))

    def kill_sessions(self, target: Target, username: str) -> int:
        """End the sessions of an account at a server; a pooler opens those of its clients anew."""
        server = self.at(target)
        found = [each for each in server.sessions if each.username == username]

        def end() -> None:
            kept = found if username in server.pooled else []
            others = [each for each in server.sessions if each.username != username]
            server.sessions[:] = [*others, *kept]

        self._as_admin("kill", target, end)
        return len(found)

    def sessions(self, target: Target, username: str) -> tuple[InventoryItem, ...]:
        """Return the open sessions of an account at one server."""
        self._as_admin("sessions", target, lambda: None)
        now_ns = self.clock.now_ns()
        return tuple(
            item(
                Kind.SESSION,
                "session",
                str(number),
                {"open_us": str((now_ns - each.began_ns) // 1_000)},
            )
            for number, each in enumerate(self.at(target).sessions)
            if each.username == username
        )

    def addresses(self, target: Target) -> tuple[Target, ...]:
        """Return the target: no name has several addresses."""
        return (target,)

    def cautions(self, _target: Target) -> tuple[str, ...]:
        """Return no warning."""
        return ()

    def logins(self, target: Target) -> Logins:
        """Return the logins that are under way, if the system tells; waiting ends none of them."""
        self._as_admin("logins", target, lambda: None)
        if not self.tells:
            return Logins(-1, LOGIN_SECONDS)
        here = [each for each in self.halves if each.endpoint == target.endpoint]
        return Logins(sum(not self._is_late(each) for each in here), LOGIN_SECONDS)

    def inventory(self, target: Target) -> Inventory:
        """Return the accounts of a server, and whatever was added to the cluster."""
        self._as_admin("inventory", target, lambda: None)
        accounts = self.at(target).accounts
        principals = [
            item(Kind.PRINCIPAL, "account", name, {"may_log_in": str(each.may_log_in).lower()})
            for name, each in accounts.items()
        ]
        seen, gaps = ([], ["triggers"]) if self.blind else (self.items, [])
        return collect(NAME, target.endpoint, "1", [*principals, *seen], gaps)

    # The side of everybody else.

    def connect(self, endpoint: str, username: str, password: bytes, *, thief: bool) -> bool:
        """Log in; return whether that worked."""
        server = self.servers[endpoint]
        if server.down or not server.admits(username, password):
            return False
        server.sessions.append(Session(username, self.clock.now_ns(), thief))
        return True

    def begin(self, endpoint: str, username: str, password: bytes) -> Half | None:
        """Begin a login; None if the server has no such account."""
        server = self.servers[endpoint]
        account = server.account(username)
        if server.down or account is None or not account.may_log_in:
            return None
        half = Half(endpoint, username, account.password, password, self.clock.now_ns())
        self.halves.append(half)
        return half

    def finish(self, half: Half) -> bool:
        """Finish a login that the attacker began; return whether that worked."""
        server = self.servers[half.endpoint]
        self.halves = [each for each in self.halves if each is not half]
        if self._is_late(half) or server.down or half.password != half.verifier:
            return False
        server.sessions.append(Session(half.username, self.clock.now_ns(), thief=True))
        return True

    def _is_late(self, half: Half) -> bool:
        return self.clock.now_ns() - half.began_ns > LOGIN_SECONDS * SECOND_NS

    def fall_behind(self, endpoint: str) -> None:
        """Let a standby keep the accounts as they are now."""
        server = self.servers[endpoint]
        server.frozen = deepcopy(server.accounts) if server.frozen is None else server.frozen

    def back_up(self) -> None:
        """Keep a copy of the accounts of the servers that are up to date."""
        whole = next(each for each in self.servers.values() if each.frozen is None)
        self.backup = deepcopy(whole.accounts)

    def restore(self, endpoint: str) -> None:
        """Let a standby go on with the accounts of the backup."""
        self.servers[endpoint].frozen = deepcopy(self.backup) or self.servers[endpoint].frozen

    def catch_up(self, endpoint: str) -> None:
        """Let a standby follow its primary again."""
        self.servers[endpoint].frozen = None

    def at(self, target: Target) -> Server:
        """Return the server of a target; raise Unreachable when nothing listens there."""
        found = self.servers.get(target.endpoint)
        if found is None:
            raise Unreachable("no route to the system")
        return found

    def _switch(self, target: Target, username: str, *, on: bool) -> None:
        account = self.at(target).accounts.get(username)
        if account is None:
            raise Rejected("there is no such account")
        account.may_log_in = on

    def _as_admin(self, op: str, target: Target, change: "Work") -> None:
        def guarded() -> None:
            admin = target.admin_password.reveal()
            if not self.at(target).admits(target.admin_username, admin):
                raise Unreachable("the administrator's login was refused")
            change()

        self._change(op, target, guarded)

    def _change(self, op: str, target: Target, change: "Work") -> None:
        fault = Fault.UNREACHABLE if self.at(target).down else self._fault(op)
        self._crash(op, "before")
        if fault is Fault.UNREACHABLE:
            raise Unreachable("no route to the system")
        if fault is Fault.REFUSED:
            raise Rejected("the policy forbids it")
        if fault in {None, Fault.LOST_REPLY}:
            change()
        self._crash(op, "after")
        if fault in {Fault.LOST_REPLY, Fault.NO_ANSWER}:
            raise Ambiguous("the connection broke")

    def _fault(self, op: str) -> Fault | None:
        queued = self.faults.get(op)
        return queued.pop(0) if queued else None

    def _crash(self, op: str, when: str) -> None:
        if self.crashes.get(op) == when:
            del self.crashes[op]
            raise Crashed(f"the vault ended {when} {op}")


Work = Callable[[], None]
