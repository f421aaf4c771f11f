"""An outside system in memory: a connector that keeps its promises, and breaks down when told to.

Accounts have one password and open sessions. Faults are queued per operation and used up one a
call. `hook` is called before and after everything that reaches the system, and may raise.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
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

NAME: Final = "simulated"


class Fault(Enum):
    """What goes wrong in one call."""

    LOST_REPLY = "it happened, the reply did not come"
    NO_ANSWER = "it did not happen, and no reply came"
    UNREACHABLE = "the system was not reached"
    REFUSED = "the system said no"
    IGNORED = "the system said yes and did nothing"
    DEFECT = "the connector has a bug"


@dataclass
class Account:
    """One login; `open_us` is how long its sessions are open, None where the system cannot tell."""

    password: bytes
    may_log_in: bool = True
    sessions: int = 0
    open_us: int | None = None


@dataclass
class SimulatedSystem:
    """The connector and the system behind it, in one."""

    refusals_per_minute: int = 10
    accounts: dict[str, Account] = field(default_factory=dict)
    stale: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """By endpoint: passwords that a replica still holds."""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    hook: Callable[[str, str], None] = lambda _when, _op: None
    items: list[InventoryItem] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    under_way: Logins = field(default_factory=lambda: Logins(0, 60))
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By host: its addresses, if there are several."""
    warned: tuple[str, ...] = ()
    full: bool = False
    """Whether an account with open sessions finds no room for another login."""

    def break_down(self, op: str, *faults: Fault) -> None:
        """Queue faults for the next calls of op."""
        self.faults.setdefault(op, []).extend(faults)

    def set_password(
        self, target: Target, username: str, new: Secret, current: Secret | None
    ) -> None:
        """Set a password, logged in as the account or as the administrator."""

        def change() -> None:
            who = target.admin_username if current is None else username
            password = target.admin_password if current is None else current
            if not self._admits(target, who, password):
                raise Unreachable("the login was refused")
            if username not in self.accounts:
                raise Rejected("there is no such account", "42704", final=True)
            self.accounts[username].password = new.reveal()

        self._change("set", change)

    def probe(self, target: Target, username: str, password: Secret) -> ProbeResult:
        """Present a password."""
        self.hook("before", "probe")
        self.calls["probe"] += 1
        fault = self._fault("probe")
        if fault is Fault.DEFECT:
            raise RuntimeError("a bug")
        state, reason = Probe.UNKNOWN, "no answer"
        if fault is None and self.full and self.accounts[username].sessions:
            self.hook("after", "probe")
            return ProbeResult(state, "no room (53300)", target.endpoint, "53300", 1, full=True)
        if fault is None:
            alive = self._admits(target, username, password)
            state = Probe.ALIVE if alive else Probe.DEAD
            reason = "logged in" if alive else "refused"
            self.refused[username] += not alive
        self.hook("after", "probe")
        return ProbeResult(state, reason, target.endpoint, "", 1)

    def lock(self, target: Target, username: str) -> None:
        """Forbid logins."""
        self._as_admin("lock", target, lambda: self._switch(username, may_log_in=False))

    def unlock(self, target: Target, username: str) -> None:
        """Allow logins."""
        self._as_admin("unlock", target, lambda: self._switch(username, may_log_in=True))

    def kill_sessions(self, target: Target, username: str) -> int:
        """End the sessions."""
        count = self.accounts[username].sessions if username in self.accounts else 0

        def end() -> None:
            if username in self.accounts:
                self.accounts[username].sessions = 0

        self._as_admin("kill", target, end)
        return count

    def sessions(self, target: Target, username: str) -> tuple[InventoryItem, ...]:
        """Return the open sessions."""
        self._as_admin("sessions", target, lambda: None)
        account = self.accounts.get(username) or Account(b"")
        age = {} if account.open_us is None else {"open_us": str(account.open_us)}
        return tuple(item(Kind.SESSION, "session", str(n), age) for n in range(account.sessions))

    def logins(self, target: Target) -> Logins:
        """Return the logins that are under way."""
        self._as_admin("logins", target, lambda: None)
        return self.under_way

    def addresses(self, target: Target) -> tuple[Target, ...]:
        """Return the target for each address of its name."""
        return tuple(replace(target, address=each) for each in self.names.get(target.host, ())) or (
            target,
        )

    def cautions(self, _target: Target) -> tuple[str, ...]:
        """Return warnings."""
        return self.warned

    def inventory(self, target: Target) -> Inventory:
        """Return the accounts and whatever a test put in."""
        self._as_admin("inventory", target, lambda: None)
        principals = [
            item(Kind.PRINCIPAL, "account", name, {"may_log_in": str(account.may_log_in).lower()})
            for name, account in self.accounts.items()
        ]
        return collect(NAME, target.endpoint, "1", [*principals, *self.items], self.gaps)

    def _switch(self, username: str, *, may_log_in: bool) -> None:
        if username not in self.accounts:
            raise Rejected("there is no such account")
        self.accounts[username].may_log_in = may_log_in

    def _as_admin(self, op: str, target: Target, change: Callable[[], None]) -> None:
        def guarded() -> None:
            known = (target.admin_password, *target.earlier_passwords)
            if not any(self._admits(target, target.admin_username, each) for each in known):
                raise Unreachable("the administrator's login was refused")
            change()

        self._change(op, guarded)

    def _change(self, op: str, change: Callable[[], None]) -> None:
        self.hook("before", op)
        self.calls[op] += 1
        fault = self._fault(op)
        if fault is Fault.DEFECT:
            raise RuntimeError("a bug")
        if fault is Fault.UNREACHABLE:
            raise Unreachable("no route to the system")
        if fault is Fault.REFUSED:
            raise Rejected("the policy forbids it")
        if fault in {None, Fault.LOST_REPLY}:
            change()
        self.hook("after", op)
        if fault in {Fault.LOST_REPLY, Fault.NO_ANSWER}:
            raise Ambiguous("the connection broke")

    def _fault(self, op: str) -> Fault | None:
        queued = self.faults.get(op)
        return queued.pop(0) if queued else None

    def _admits(self, target: Target, username: str, password: Secret) -> bool:
        account = self.accounts.get(username)
        if account is None or not account.may_log_in:
            return False
        held = self.stale.get(target.endpoint, {}).get(username, account.password)
        return password.equals(held)
