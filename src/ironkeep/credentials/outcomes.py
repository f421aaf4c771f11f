"""Journal entries about the outcomes of effects on a credential.

They have the kind "effect"; `path` and `mount` name the credential, and `audited` contains, per op:

    probe   version system endpoint state code reason at_ns took_ms      one for each host
    set     version system endpoint by result [reason]
    kill    system endpoint killed ended remaining reason [logins]       one for each host
    lock, unlock   system endpoint
    rotate  state current [reason]                                       at each change of state
    stuck   attempts until_ns reason                                     needs a person's attention

`version` and `system` are nodes (core/evidence/node.py); at_ns is the instant before the credential
was presented.
"""

from collections.abc import Container
from typing import Final

import msgspec

from ironkeep.core.event import Value
from ironkeep.core.evidence.casefile import of_name
from ironkeep.core.evidence.node import NodeId
from ironkeep.credentials.jobs import Account, EndedAt, Shown
from ironkeep.credentials.rotation_actions import Applied, Refused, Set, Unsure, Wait
from ironkeep.credentials.rotation_record import Record, Stage
from ironkeep.credentials.store import CredentialId
from ironkeep.plugin.effects.effects import Effects, Turn


class Probed(msgspec.Struct, frozen=True):
    """The result of presenting one version, begun at at_ns."""

    version: NodeId
    system: NodeId
    at_ns: int
    shown: Shown


class Ended(msgspec.Struct, frozen=True):
    """The result of ending the sessions of an account, begun at began_ns."""

    system: NodeId
    began_ns: int
    done_ns: int
    hosts: tuple[EndedAt, ...]

    def counted(self, endpoints: Container[str] | None = None) -> "Ended | None":
        """Return the part at those hosts, of all or of endpoints, whose sessions were counted.

        A host with several addresses counts only as a whole. A pooler that is configured as a host
        does not count: it shows only its own sessions.
        """
        bad = {
            of_name(each.endpoint)
            for each in self.hosts
            if each.remaining < 0 or each.endpoint in self.pooled
        }
        hosts = tuple(
            each
            for each in self.hosts
            if of_name(each.endpoint) not in bad
            and (endpoints is None or of_name(each.endpoint) in endpoints)
        )
        return msgspec.structs.replace(self, hosts=hosts) if hosts else None

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Return host:port of every host, once if it has several addresses."""
        return tuple(dict.fromkeys(of_name(each.endpoint) for each in self.hosts))

    @property
    def killed(self) -> bool:
        """Return whether every host ended all sessions."""
        return all(each.killed for each in self.hosts)

    @property
    def ended(self) -> int:
        """Return the number of ended sessions."""
        return sum(each.ended for each in self.hosts)

    @property
    def remaining(self) -> int:
        """Return the number of remaining sessions; -1 if any host could not be asked."""
        counts = [each.remaining for each in self.hosts]
        return -1 if -1 in counts else sum(counts)

    @property
    def logins(self) -> int:
        """Return how many logins may still finish, where they are listed."""
        return sum(max(each.logins.under_way, 0) for each in self.hosts if each.logins)

    @property
    def login_seconds(self) -> int:
        """Return the longest login where they are not listed: 0 for nowhere, -1 for unknown."""
        longest = [
            -1 if each.logins is None else each.logins.longest_seconds
            for each in self.hosts
            if each.logins is None or each.logins.under_way < 0
        ]
        return -1 if -1 in longest else max(longest, default=0)

    @property
    def unlisted(self) -> int:
        """Return how many replicas follow these hosts without being one of them."""
        logins = [each.logins for each in self.hosts if each.logins is not None]
        return max(sum(each.followers - each.follows for each in logins), 0)

    @property
    def pooled(self) -> list[str]:
        """Return the endpoints that turned out to be poolers, whose clients nobody can see."""
        return [
            each.endpoint
            for each in self.hosts
            if each.logins is not None and each.logins.pooled and each.logins.under_way >= 0
        ]

    @property
    def reason(self) -> str:
        """Return the hosts' failures as one sentence, or ""."""
        return "; ".join(each.reason for each in self.hosts if each.reason)


class Outcomes:
    """Writes the journal entries."""

    def __init__(self, effects: Effects) -> None:
        self._effects: Final = effects

    def presented(
        self,
        turn: Turn,
        which: CredentialId,
        account: Account,
        version: int,
        began_ns: int,
        shown: Shown,
    ) -> Probed:
        """Journal the result of presenting a version, one entry for each host."""
        node = which.version(version)
        for each in shown.answers:
            audited: dict[str, Value] = {
                "version": node,
                "system": account.system,
                "endpoint": each.endpoint,
                "state": str(each.state),
                "code": each.code,
                "reason": each.reason,
                "at_ns": began_ns,
                "took_ms": each.took_ms,
            }
            self._effects.note(turn, "probe", which.mount, which.path, audited)
        return Probed(node, account.system, began_ns, shown)

    def set(
        self,
        turn: Turn,
        which: CredentialId,
        account: Account,
        action: Set,
        result: Applied | Refused | Unsure,
    ) -> None:
        """Journal the target's answer to a new password."""
        audited: dict[str, Value] = {
            "version": which.version(action.version),
            "system": account.system,
            "endpoint": account.targets[0].endpoint,
            "by": "admin" if action.using is None else which.version(action.using),
            "result": type(result).__name__.lower(),
        }
        if not isinstance(result, Applied):
            audited["reason"] = result.reason
        self._effects.note(turn, "set", which.mount, which.path, audited)

    def ended(
        self,
        turn: Turn,
        which: CredentialId,
        account: Account,
        hosts: tuple[EndedAt, ...],
        began_ns: int,
    ) -> Ended:
        """Journal the result of ending sessions, one entry for each host."""
        for each in hosts:
            audited: dict[str, Value] = {
                "system": account.system,
                "endpoint": each.endpoint,
                "killed": each.killed,
                "ended": each.ended,
                "remaining": each.remaining,
                "reason": each.reason,
            }
            if each.logins is not None:
                audited["logins"] = each.logins.under_way
            self._effects.note(turn, "kill", which.mount, which.path, audited)
        return Ended(account.system, began_ns, turn.now_ns, hosts)

    def switched(self, turn: Turn, which: CredentialId, account: Account, op: str) -> None:
        """Journal that an account was locked or unlocked."""
        audited: dict[str, Value] = {
            "system": account.system,
            "endpoint": account.targets[0].endpoint,
        }
        self._effects.note(turn, op, which.mount, which.path, audited)

    def moved(self, turn: Turn, which: CredentialId, record: Record) -> None:
        """Journal the new state of a rotation."""
        current = next(iter(record.at(Stage.CURRENT)), 0)
        audited: dict[str, Value] = {"state": str(record.state), "current": current}
        if record.reason:
            audited["reason"] = record.reason
        self._effects.note(turn, "rotate", which.mount, which.path, audited)

    def stuck(self, turn: Turn, which: CredentialId, record: Record, wait: Wait) -> None:
        """Journal that a rotation keeps failing."""
        audited: dict[str, Value] = {
            "attempts": record.attempt,
            "until_ns": wait.until_ns,
            "reason": wait.reason,
        }
        self._effects.note(turn, "stuck", which.mount, which.path, audited)
