"""The steps of an operation that call a connector, with their results as plain values.

Each function runs on a worker thread and calls another system. It receives the targets and secrets
that it needs, and touches no state of the vault. A system with several hosts is changed at the
first host and probed at all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from ironkeep.core.credential.connector import (
    Ambiguous,
    Connector,
    ConnectorError,
    Logins,
    Probe,
    ProbeResult,
    Rejected,
    Target,
)
from ironkeep.core.credential.inventory import InventoryItem
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.secret import Secret
from ironkeep.credentials.rotation_actions import Applied, Refused, Set, Unsure


class Shown(msgspec.Struct, frozen=True):
    """The results of presenting one version to every host."""

    answers: tuple[ProbeResult, ...]

    @property
    def state(self) -> Probe:
        """Return ALIVE or DEAD when all hosts agree, else UNKNOWN.

        An address at which nothing listens does not count if another one of its host answers.
        """
        return _agreed(self.answers)

    @property
    def first(self) -> Probe:
        """Return the state at the first host, where passwords are set."""
        return _agreed([each for each in self.answers if each.host == self.answers[0].host])

    @property
    def refused(self) -> bool:
        """Return whether any host counted a refused login."""
        return any(each.state is Probe.DEAD for each in self.answers)

    @property
    def full(self) -> bool:
        """Return whether any host had no connection left."""
        return any(each.full for each in self.answers)

    @property
    def blocked(self) -> bool:
        """Return whether any host accepted the password but refused the login."""
        return any(each.blocked for each in self.answers)

    @property
    def reason(self) -> str:
        """Return the hosts' reasons as one sentence."""
        reasons = list(dict.fromkeys(each.reason for each in self.answers))
        if len(reasons) == 1:
            return reasons[0]
        return "; ".join(f"{each.endpoint}: {each.reason}" for each in self.answers)


def _agreed(answers: Sequence[ProbeResult]) -> Probe:
    reached = {each.host for each in answers if not each.unreached}
    states = {each.state for each in answers if not (each.unreached and each.host in reached)}
    return states.pop() if len(states) == 1 else Probe.UNKNOWN


class EndedAt(msgspec.Struct, frozen=True):
    """The result of ending an account's sessions at one host.

    `killed` means that at one moment no session was left. `remaining` is the number of sessions a
    moment later, or -1 if it could not be read: the account's owner may have logged in again, and
    anything that outlives a session (a prepared transaction) counts too. `logins` is None if they
    were not looked at.
    """

    endpoint: str
    killed: bool
    ended: int
    remaining: int
    reason: str = ""
    logins: Logins | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An account of another system, with all that is needed to act on it."""

    connector: Connector
    targets: Sequence[Target]
    system: NodeId
    username: str


def _each(account: Account) -> Iterator[Target]:
    """Yield every target once for each address of its host: each may be a server of its own."""
    for target in account.targets:
        yield from account.connector.addresses(target)


def present(account: Account, secret: Secret) -> Shown:
    """Present secret to every host."""
    return Shown(
        tuple(
            account.connector.probe(target, account.username, secret) for target in _each(account)
        )
    )


def cautions(account: Account) -> list[str]:
    """Return what a person who configures the first host should know; nothing if it is silent."""
    try:
        return list(account.connector.cautions(account.targets[0]))
    except ConnectorError as failure:
        return [f"the host could not be looked at: {failure}"]


def apply(
    account: Account, action: Set, new: Secret, current: Secret | None
) -> Applied | Refused | Unsure:
    """Set a password; return whether the target applied it, refused it, or may have done either."""
    try:
        account.connector.set_password(account.targets[0], account.username, new, current)
    except (Rejected, InvalidRequest) as failure:
        final = isinstance(failure, Rejected) and failure.final
        return Refused(action.version, str(failure), final)
    except ConnectorError as failure:
        return Unsure(action.version, str(failure), failure.full)
    return Applied(action.version)


def lock(account: Account) -> None:
    """Forbid new logins."""
    account.connector.lock(account.targets[0], account.username)


def unlock(account: Account) -> None:
    """Allow logins again."""
    account.connector.unlock(account.targets[0], account.username)


def end_sessions(account: Account, *, settle: bool = False) -> tuple[EndedAt, ...]:
    """End the account's sessions at every host, and count those that remain.

    With `settle`, first wait for the logins that are under way, and count those that remain so.
    """
    return tuple(_end_at(account, target, settle=settle) for target in _each(account))


def _end_at(account: Account, target: Target, *, settle: bool) -> EndedAt:
    ended, killed, reason = 0, False, ""
    logins: Logins | None = None
    try:
        if settle:
            logins = account.connector.logins(target)
        try:
            ended = account.connector.kill_sessions(target, account.username)
            killed = True
        except Ambiguous as failure:
            reason = str(failure)
        left = len(account.connector.sessions(target, account.username))
    except ConnectorError as failure:
        return EndedAt(target.endpoint, killed, ended, -1, reason or str(failure), logins)
    return EndedAt(target.endpoint, killed, ended, left, reason, logins)


def sessions(account: Account) -> tuple[tuple[str, InventoryItem], ...]:
    """Return (endpoint, session) for every open session of the account."""
    return tuple(
        (target.endpoint, each)
        for target in _each(account)
        for each in account.connector.sessions(target, account.username)
    )
