"""Managed credentials: create, replace, remove, and rotate without losing one in a crash.

A rotation is an effect (plugin/effects/effects.py): the intent is durable before the system is
called, and the outcome is journalled as one entry of kind "effect" per host. The state machine of
credentials/rotation.py decides each step; this module performs it and stores the result.
At every instant the record names the versions that may work, and their secrets are stored.

Every driver of a rotation first raises its fence epoch, so that an earlier driver that was delayed
can no longer store anything.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from ironkeep.core.errors import Conflict, TooManyRequests
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.secret import Secret
from ironkeep.credentials import jobs
from ironkeep.credentials.accounts import Accounts, claim_of
from ironkeep.credentials.connections import Connection, ConnectionId, Connections
from ironkeep.credentials.jobs import Account, Shown
from ironkeep.credentials.outcomes import Outcomes
from ironkeep.credentials.rotation import (
    KEEP_PREVIOUS,
    KEEP_RETIRED,
    next_action,
    observe,
    recent_refusals,
    reset_lost,
    start,
    take_over,
)
from ironkeep.credentials.rotation_actions import (
    Applied,
    Done,
    Killed,
    KillSessions,
    Lost,
    NotKilled,
    Observation,
    Prepare,
    Prepared,
    Present,
    Presented,
    Refused,
    Set,
    Unsure,
    Wait,
)
from ironkeep.credentials.rotation_record import (
    Record,
    RotationState,
    Stage,
    Strategy,
    Version,
    adopt,
)
from ironkeep.credentials.store import Credential, CredentialId, CredentialStore
from ironkeep.plugin.effects.answer import Outside
from ironkeep.plugin.effects.effects import Effects, Steps, Turn, Work
from ironkeep.store.barrier import DueRecord
from ironkeep.store.state import Tx

MAX_STEPS: Final = 100
"""Actions in one run of a rotation; a plain one takes nine, and every failure pauses it."""


class Rotated(msgspec.Struct, frozen=True):
    """The state of a rotation after it was run as far as possible.

    `done`: `current` works everywhere and every earlier version is refused. `lost`: no version
    works, and only a person can continue. `refused`: the system will never accept the first
    version, and the credential was removed. Otherwise the tick continues it at until_ns; with
    `lagging`, `current` works and only some other host has not followed the first one yet.
    """

    done: bool
    lost: bool
    current: int
    reason: str
    until_ns: int
    refused: bool = False
    lagging: bool = False


_EVER_CURRENT: Final = (Stage.CURRENT, Stage.PREVIOUS)


class Credentials:
    """The operations; a request begins one in a turn and waits for it with `effects.run`."""

    def __init__(self, store: CredentialStore, connections: Connections, effects: Effects) -> None:
        self.store: Final = store
        self.connections: Final = connections
        self._effects: Final = effects
        self._outcomes: Final = Outcomes(effects)
        self.accounts: Final = Accounts(store, connections, effects, self._outcomes)
        self.on_linked: Final[list[Callable[[Turn, CredentialId, NodeId], None]]] = []
        """Called when a credential is linked to the system that it opens."""
        self.on_addressed: Final[list[Callable[[Turn, Connection], None]]] = []
        """Called with the connection whose endpoints are to be on record."""

    def system_of(self, tx: Tx, which: CredentialId) -> NodeId:
        """Return the node of the system that a credential opens."""
        return self.connections.get(tx, self.store.connection_of(tx, which)).system

    def create(
        self,
        turn: Turn,
        which: CredentialId,
        about: Credential,
        strategy: Strategy,
        known: Secret | None,
    ) -> None:
        """Create a managed credential; `known` is its password, None if the vault has none yet."""
        connection_id = ConnectionId(which.mount, about.connection)
        connection = self.connections.get(turn.tx, connection_id)
        self.connections.take_account(turn.tx, connection_id, about.username, which.path)
        refusals = self.connections.connector(connection).refusals_per_minute
        burnt = self.store.burnt(turn.tx, which)
        record = adopt(
            f"{which.mount}/{which.path}",
            strategy,
            epoch=1,
            refusals=refusals,
            current=None if known is None else burnt + 1,
            burnt=burnt,
        )
        self.store.write_about(turn.tx, which, about)
        if known is not None:
            self.store.write_secret(turn.tx, which, burnt + 1, known, turn.now_ns)
        self.store.write_record(turn.tx, which, record, turn.now_ns)
        self._linked(turn, which, connection.system)

    def configure(self, turn: Turn, which: ConnectionId, connection: Connection) -> None:
        """Store a connection, and put its endpoints on record."""
        self.connections.put(turn.tx, which, connection)
        self.put_on_record(turn, which)

    def put_on_record(self, turn: Turn, which: ConnectionId) -> None:
        """Put the endpoints of a connection on record; a connection of an older release has none.

        Those that were removed from the configuration belong to it.
        """
        connection = self.connections.get(turn.tx, which)
        for listener in self.on_addressed:
            listener(turn, connection)

    def relink(self, turn: Turn, which: ConnectionId) -> None:
        """Report the system of every credential of a connection whose system has changed."""
        system = self.connections.get(turn.tx, which).system
        for path in self.connections.accounts(turn.tx, which).values():
            self._linked(turn, CredentialId(which.mount, path), system)

    def _linked(self, turn: Turn, which: CredentialId, system: NodeId) -> None:
        for listener in self.on_linked:
            listener(turn, which, system)

    def replace(self, turn: Turn, which: CredentialId, known: Secret) -> None:
        """Store a password that a person set by hand, unless it is the current one.

        The earlier versions are kept as previous ones. It also ends a rotation in progress, and it
        is the only repair for a lost account that alone could set its own password.
        """
        self._require_free(which)
        record = self.store.record(turn.tx, which)
        for current in record.at(Stage.CURRENT):
            if self.store.secret(turn.tx, which, current).equals(known.reveal()):
                return
        number = max((each.number for each in record.versions), default=record.burnt) + 1
        replaced = msgspec.structs.replace(
            adopt(
                record.secret,
                record.strategy,
                epoch=record.epoch + 1,
                refusals=record.refusals,
                current=number,
                burnt=record.burnt,
            ),
            versions=(*_outdated(record), Version(number, Stage.CURRENT)),
            refused_ns=record.refused_ns,
        )
        self.store.write_secret(turn.tx, which, number, known, turn.now_ns)
        about = self.store.about(turn.tx, which)
        about = msgspec.structs.replace(about, rotated_ns=turn.now_ns)
        self.store.write_about(turn.tx, which, about)
        self.store.write_record(turn.tx, which, replaced, turn.now_ns)

    def remove(self, turn: Turn, which: CredentialId) -> None:
        """Remove a credential; its password at the system is not changed."""
        self._require_free(which)
        self._forget(turn, which)

    def rotate(self, turn: Turn, which: CredentialId, *, reset: bool = False) -> Steps[Rotated]:
        """Begin a rotation, or continue the one in progress, as far as possible now.

        With `reset`, the administering account resets a lost credential: a person must decide that.
        """
        with self._effects.claimed(claim_of(which)):
            record = self._taken_over(turn, which)
            if record.state is RotationState.LOST and reset:
                record = reset_lost(record, record.epoch)
            elif record.state is RotationState.IDLE:
                self._require_room(record, turn.now_ns)
                record = start(record, record.epoch)
            # The caller may just have repaired the cause of the pause.
            record = msgspec.structs.replace(record, not_before_ns=0)
            return (yield from self._drive(turn, which, record))

    def resume(self, turn: Turn, row: DueRecord) -> Steps[object]:
        """Start or continue the rotation of a due record; a driver for Effects.register."""
        which = CredentialId(row.place.mount, row.path.split("/", 2)[2])
        with self._effects.claimed(claim_of(which)):
            record = self._taken_over(turn, which)
            due_ns = self.store.about(turn.tx, which).due_ns
            if record.state is RotationState.IDLE and due_ns is not None and due_ns <= turn.now_ns:
                record = start(record, record.epoch)
            return (yield from self._drive(turn, which, record))

    def turns(self, tx: Tx, row: DueRecord) -> tuple[str, int]:
        """Return the connection of a due record, and since when it is due: for Effects.register."""
        about = self.store.find(tx, CredentialId(row.place.mount, row.path.split("/", 2)[2]))
        if about is None:
            return row.place.mount, row.due_ns
        return f"{row.place.mount}/{about.connection}", min(row.due_ns, about.due_ns or row.due_ns)

    def _require_room(self, record: Record, now_ns: int) -> None:
        """Raise TooManyRequests if the first step, presenting a version, would have to wait."""
        recent = len(recent_refusals(record, now_ns))
        if record.strategy is Strategy.SELF and recent >= record.refusals:
            raise TooManyRequests(
                "the rotation was not begun: the account has had its limit of refused logins in a "
                "minute. Try again in a minute"
            )

    def _taken_over(self, turn: Turn, which: CredentialId) -> Record:
        record = self.store.record(turn.tx, which)
        return take_over(record, record.epoch + 1)

    def _drive(self, turn: Turn, which: CredentialId, record: Record) -> Steps[Rotated]:
        """Perform actions and observe their results until nothing is left to do now."""
        epoch = record.epoch
        self.store.write_record(turn.tx, which, record, turn.now_ns)
        for _ in range(MAX_STEPS):
            action = next_action(record, turn.now_ns)
            if isinstance(action, Done | Wait | Lost):
                return self._standing(turn, which, record, action)
            if isinstance(action, Prepare):
                secret = self.store.new_secret()
                self.store.write_secret(turn.tx, which, action.version, secret, turn.now_ns)
                seen: Observation = Prepared(action.version)
            else:
                account = self.accounts.account(turn.tx, which)
                work = self._work(turn.tx, which, account, action)
                began_ns = turn.now_ns
                turn, result = yield Outside(work, account.system)
                seen = self._seen(turn, which, account, action, result, began_ns)
            # The stored record may have changed during the work; `observe` then refuses the result.
            before = self.store.record(turn.tx, which)
            record = observe(before, seen, turn.now_ns, epoch)
            if isinstance(seen, Refused) and seen.final and not record.at(*_EVER_CURRENT):
                self._forget(turn, which)
                return Rotated(False, False, 0, seen.reason, 0, refused=True)
            self.store.write_record(turn.tx, which, record, turn.now_ns)
            if record.state is not before.state:
                self._outcomes.moved(turn, which, record)
        raise Conflict(f"the rotation of {which.path} has not ended after {MAX_STEPS} steps")

    def _forget(self, turn: Turn, which: CredentialId) -> None:
        """Remove a credential and release its account."""
        about = self.store.about(turn.tx, which)
        connection = ConnectionId(which.mount, about.connection)
        self.connections.leave_account(turn.tx, connection, about.username)
        self.store.remove(turn.tx, which, turn.now_ns)

    def _work(
        self, tx: Tx, which: CredentialId, account: Account, action: Present | Set | KillSessions
    ) -> Work:
        match action:
            case Present(version):
                return partial(jobs.present, account, self.store.secret(tx, which, version))
            case Set(version, using):
                new = self.store.secret(tx, which, version)
                current = None if using is None else self.store.secret(tx, which, using)
                return partial(jobs.apply, account, action, new, current)
            case KillSessions():
                return partial(jobs.end_sessions, account)

    def _seen(
        self,
        turn: Turn,
        which: CredentialId,
        account: Account,
        action: Present | Set | KillSessions,
        result: Any,
        began_ns: int,
    ) -> Observation:
        """Journal the result of an action, and return it as the state machine's observation."""
        match action:
            case Present(version):
                shown: Shown = result
                self._outcomes.presented(turn, which, account, version, began_ns, shown)
                return Presented(
                    version, shown.state, shown.reason, shown.full, shown.first, shown.refused
                )
            case Set():
                answer: Applied | Refused | Unsure = result
                self._outcomes.set(turn, which, account, action, answer)
                return answer
            case KillSessions():
                ended = self._outcomes.ended(turn, which, account, result, began_ns)
                return Killed() if ended.killed else NotKilled(ended.reason)

    def _standing(
        self, turn: Turn, which: CredentialId, record: Record, action: Done | Wait | Lost
    ) -> Rotated:
        current = next(iter(record.at(Stage.CURRENT)), 0)
        if isinstance(action, Done):
            return Rotated(True, False, current, "", 0)
        if isinstance(action, Lost):
            return Rotated(False, True, current, action.reason, 0)
        if action.alert:
            self._outcomes.stuck(turn, which, record, action)
        lagging = record.lagging is True
        return Rotated(False, False, current, action.reason, action.until_ns, lagging=lagging)

    def _require_free(self, which: CredentialId) -> None:
        with self._effects.claimed(claim_of(which)):
            """No other operation holds it, and none can start before this request has executed."""


def _outdated(record: Record) -> list[Version]:
    """Return the newest versions of record, with their stages once another version is current."""
    previous = record.at(Stage.CURRENT, Stage.PREVIOUS)[:KEEP_PREVIOUS]
    retired = record.at(Stage.PENDING, Stage.RETIRED)[:KEEP_RETIRED]
    stages = dict.fromkeys(previous, Stage.PREVIOUS) | dict.fromkeys(retired, Stage.RETIRED)
    return [
        Version(each.number, stages[each.number], each.dead)
        for each in record.versions
        if each.number in stages
    ]
