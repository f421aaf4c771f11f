"""The rotation of one static credential as a state machine: no I/O, no clock, no secret material.

    state      condition                               next action           then
    IDLE       one version is current                  Done
    PREPARING  a new version is wanted                 Prepare(n)            PREPARED
    PREPARED   its material is stored; the target      SELF: Present(pending), COMMITTED if alive
               may or may not have it                  if it may have been
                                                       sent; the others; Set  APPLIED
    APPLIED    the target confirmed the new version    Present(pending)      COMMITTED if alive
    COMMITTED  pending became current, in one record   KillSessions          RETIRING
    RETIRING   sessions are ended                      Present(current),     IDLE if the old ones
                                                       Present(old)          are refused
    LOST       no version known here works             Lost                  reset_lost

The caller keeps the record and the material of every version in it, and repeats these steps: get
`next_action`, perform it, `observe` the result, and store the new record in one commit. So the
intent and its material are durable before the target sees them, and a crash at any point loses no
credential: on start `take_over` drops all observations, and the machine asks the target again. An
account that sets its own password presents pending before any other version, because the target may
have accepted pending without its answer arriving, and then refuses the others; an administering
account sets pending again, which changes nothing. UNKNOWN changes no state, with one exception: if
the target has no connection left, the sessions of the account are ended first, as they belong to
the version that is being replaced.

credentials/rotation_actions.py defines the actions and observations.

A system with several hosts is changed at the first one, whose answer decides that the new version
is in force. The others may be replicas that follow later: until they do, the rotation stays in
RETIRING and asks again.

The driver of the machine has a fence epoch; a driver with an older epoch cannot change the record.
The store must likewise refuse a record that is not the successor of the stored one.

Versions go from pending to current, previous and retired, and never back. Three previous ones are
kept in case the target is restored from its own backup; never serve them. Destroy the material of a
version that is no longer in the record.
"""

from collections.abc import Callable
from typing import Final

from msgspec import UNSET

from ironkeep.core.credential.connector import Probe
from ironkeep.core.errors import Conflict
from ironkeep.credentials.rotation_actions import (
    Action,
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
from ironkeep.credentials.rotation_record import Record, RotationState, Stage, Strategy, Version

KEEP_PREVIOUS: Final = 3
KEEP_RETIRED: Final = 3
"""Retired versions kept, including those that the target refused: a refusal can be wrong."""

MAX_UNVERIFIED: Final = 5
"""Times the target may report a password as set and then refuse it, before the state is LOST."""

BACKOFF_NS: Final = 5_000_000_000
MAX_BACKOFF_NS: Final = 3_600_000_000_000
"""The longest pause between attempts, an hour; attempts never stop."""

ALERT_ATTEMPT: Final = 3
"""Failed attempts after which a person is alerted."""

LAG_ATTEMPT: Final = 3
"""The attempt at which the pause for a replica that lags stays: 40 s."""

WINDOW_NS: Final = 60_000_000_000
MAX_REASON: Final = 500

_MADE_ROOM_NS: Final = 1
"""A `not_before_ns` in the past that means: sessions were just ended, do not end them again."""


def start(record: Record, epoch: int) -> Record:
    """Begin a rotation; raise Conflict if one is running or another driver has the record."""
    _fence(record, epoch)
    if record.state is not RotationState.IDLE:
        raise Conflict(f"a rotation of {record.secret} is {record.state}: let it finish")
    return record.but(state=RotationState.PREPARING, attempt=0, unverified=0, reason="")


def take_over(record: Record, epoch: int) -> Record:
    """Return the record for a new driver, after a crash or the loss of the former driver.

    The former driver's observations are dropped, because it may have done more than it stored,
    unless it was only waiting.
    """
    if epoch <= record.epoch:
        raise Conflict(f"fence epoch {epoch} is not after {record.epoch}: another driver took over")
    seen = record.seen if record.held is True else ()
    return record.but(epoch=epoch, seen=seen, held=UNSET)


def reset_lost(record: Record, epoch: int) -> Record:
    """Let the admin account set the pending version of a lost credential.

    Only a person may decide this.
    """
    _fence(record, epoch)
    if record.state is not RotationState.LOST:
        raise Conflict(f"{record.secret} is not lost")
    return record.but(
        strategy=Strategy.ADMIN,
        state=RotationState.PREPARED,
        seen=(),
        attempt=0,
        unverified=0,
        not_before_ns=0,
    )


def next_action(record: Record, now_ns: int) -> Action:
    """Return the next action; it stays the same until an observation or the passing of time."""
    if record.state is RotationState.IDLE:
        return Done()
    if record.state is RotationState.LOST:
        return Lost(record.reason)
    if now_ns < record.not_before_ns:
        return _wait(record, record.not_before_ns, record.reason)
    action = _NEXT[record.state](record)
    recent = recent_refusals(record, now_ns)
    if isinstance(action, Present) and len(recent) >= record.refusals:
        # The next probe could be refused too, and lock the account for its owner.
        reason = "the limit on refused logins a minute is reached"
        return _wait(record, recent[-record.refusals] + WINDOW_NS, reason)
    return action


def observe(record: Record, observation: Observation, now_ns: int, epoch: int) -> Record:
    """Return the record after observation; raise Conflict unless it answers the next action.

    Store the result before performing the next action.
    """
    _fence(record, epoch)
    action = next_action(record, now_ns)
    wanted = _ANSWERS.get(type(action), ())
    versions = {getattr(each, "version", None) for each in (action, observation)}
    if not isinstance(observation, wanted) or len(versions) > 1:
        raise Conflict(f"{type(observation).__name__} does not answer {type(action).__name__}")
    after = _observed(record, observation, now_ns)
    limited = after.not_before_ns <= now_ns and isinstance(next_action(after, now_ns), Wait)
    return after.but(held=True if limited and after.seen else UNSET)


def _observed(record: Record, observation: Observation, now_ns: int) -> Record:
    match observation:
        case Prepared(version):
            return _prepared(record, version)
        case Presented():
            return _presented(record, observation, now_ns)
        case Applied():
            return record.but(state=RotationState.APPLIED, seen=())
        case Refused(version, reason):
            retired = record.staged({version: Stage.RETIRED})
            return _later(retired, now_ns, reason, state=RotationState.PREPARING)
        case Unsure(_, reason, full):
            return _failed(record, now_ns, reason, full=full)
        case NotKilled(reason):
            return _later(record, now_ns, reason)
        case Killed():
            return _killed(record)


def recent_refusals(record: Record, now_ns: int) -> tuple[int, ...]:
    """Return the times of refused logins within the window before now."""
    return tuple(each for each in record.refused_ns if each > now_ns - WINDOW_NS)


def _next_prepared(record: Record) -> Action:
    """Set pending as admin; for SELF present pending first, then set it with a working version."""
    pending = record.at(Stage.PENDING)[0]
    seen = dict(record.seen)
    if seen.get(pending) is Probe.UNKNOWN:
        return KillSessions()
    if record.strategy is Strategy.ADMIN:
        return Set(pending, None)
    # A version that was never sent is not presented: it could only be refused. Once another one is
    # seen to work, pending is sent next.
    if pending not in seen and record.sent is not False and Probe.ALIVE not in seen.values():
        return Present(pending)
    for number in record.others():
        if number not in seen:
            return Present(number)
        if seen[number] is Probe.ALIVE:
            return Set(pending, number)
    raise AssertionError("a record is LOST once all its versions are dead")


def _next_applied(record: Record) -> Action:
    return KillSessions() if record.seen else Present(record.at(Stage.PENDING)[0])


def _next_retiring(record: Record) -> Action:
    """Present current first, so that it is known to work while old versions are tried."""
    current = record.at(Stage.CURRENT)[0]
    return Present(record.unproven()[0] if current in dict(record.seen) else current)


_NEXT: Final[dict[RotationState, Callable[[Record], Action]]] = {
    RotationState.PREPARING: lambda record: Prepare(record.next_number()),
    RotationState.PREPARED: _next_prepared,
    RotationState.APPLIED: _next_applied,
    RotationState.COMMITTED: lambda _: KillSessions(),
    RotationState.RETIRING: _next_retiring,
}

_ANSWERS: Final[dict[type, tuple[type, ...]]] = {
    Prepare: (Prepared,),
    Present: (Presented,),
    Set: (Applied, Refused, Unsure),
    KillSessions: (Killed, NotKilled),
}


def _prepared(record: Record, version: int) -> Record:
    """Add version as pending, and remove the oldest retired versions."""
    forgotten = set(record.at(Stage.RETIRED)[KEEP_RETIRED:])
    kept = tuple(each for each in record.versions if each.number not in forgotten)
    versions = (*kept, Version(version, Stage.PENDING))
    return record.but(state=RotationState.PREPARED, seen=(), versions=versions, sent=False)


def _presented(record: Record, shown: Presented, now_ns: int) -> Record:
    """Record the result of a probe, and change the state if it decides that."""
    version, state = shown.version, _deciding(record, shown)
    record = record.but(lagging=UNSET)
    if shown.refused or state is Probe.DEAD:
        record = record.but(refused_ns=(*recent_refusals(record, now_ns), now_ns))
    if state is Probe.UNKNOWN:
        reason = shown.reason or "the target gave no clear answer"
        if _is_lag(record, shown):
            record = record.but(lagging=True, attempt=min(record.attempt, LAG_ATTEMPT))
        return _failed(record, now_ns, reason, full=shown.full)
    if state is Probe.ALIVE:
        record = record.marked({version}, dead=False)
    record = record.but(seen=(*record.seen, (version, state)))
    if record.state is RotationState.PREPARED:
        return _presented_prepared(record, version, state)
    if record.state is RotationState.APPLIED:
        return _committed(record) if state is Probe.ALIVE else _unverified(record, now_ns)
    return _presented_retiring(record, version, state, now_ns)


def _deciding(record: Record, shown: Presented) -> Probe:
    """Return the first host's answer about pending, else that of all hosts."""
    pending = shown.version in record.at(Stage.PENDING)
    return shown.first if pending and shown.first is not None else shown.state


def _is_lag(record: Record, shown: Presented) -> bool:
    """Return whether the first host answers as it should once the rotation is finished."""
    current = shown.version in record.at(Stage.CURRENT)
    return record.state is RotationState.RETIRING and shown.first is (
        Probe.ALIVE if current else Probe.DEAD
    )


def _failed(record: Record, now_ns: int, reason: str, *, full: bool) -> Record:
    """Retry later; but if the target had no connection left, end the account's sessions first."""
    pending = record.at(Stage.PENDING)
    if not full or not pending or record.not_before_ns == _MADE_ROOM_NS:
        return _later(record, now_ns, reason)
    # next_action returns KillSessions for this observation.
    return record.but(seen=((pending[0], Probe.UNKNOWN),), reason=reason[:MAX_REASON])


def _killed(record: Record) -> Record:
    if record.state is RotationState.COMMITTED:
        return record.but(state=RotationState.RETIRING, seen=(), attempt=0)
    return record.but(seen=(), not_before_ns=_MADE_ROOM_NS)


def _presented_prepared(record: Record, version: int, state: Probe) -> Record:
    if state is Probe.ALIVE:
        # From this record on, pending is sent.
        return _committed(record) if version in record.at(Stage.PENDING) else record.but(sent=True)
    dead = {number for number, seen in record.seen if seen is Probe.DEAD}
    if record.strategy is Strategy.SELF and dead.issuperset(record.others()):
        return record.but(state=RotationState.LOST, reason="the target refuses every known version")
    return record


def _presented_retiring(record: Record, version: int, state: Probe, now_ns: int) -> Record:
    """Continue until current works and every older version is refused."""
    if version in record.at(Stage.CURRENT):
        if state is Probe.DEAD:
            # The password was changed there, or the target was restored: earlier proofs are void.
            record = record.marked({each.number for each in record.versions}, dead=False)
            reason = "the target no longer accepts the current version"
            return _later(record, now_ns, reason, state=RotationState.PREPARING)
    elif state is Probe.ALIVE:
        return _later(record, now_ns, "the target still accepts an old version")
    else:
        record = record.marked({version}, dead=True)
    return record if record.unproven() else _idle(record)


def _unverified(record: Record, now_ns: int) -> Record:
    """Retry, MAX_UNVERIFIED times at most, a version that the target confirmed and then refused."""
    count = record.unverified + 1
    reason = "the target refuses the version that it confirmed"
    if count >= MAX_UNVERIFIED:
        return record.but(state=RotationState.LOST, unverified=count, reason=reason)
    return _later(record.but(unverified=count), now_ns, reason, state=RotationState.PREPARED)


def _committed(record: Record) -> Record:
    """Make pending current and current previous, in one step.

    Call only in PREPARED or APPLIED: a second call would lose the previous version.
    """
    moves = dict.fromkeys(record.at(Stage.CURRENT), Stage.PREVIOUS)
    moves |= dict.fromkeys(record.at(Stage.PENDING), Stage.CURRENT)
    moved = record.staged(moves)
    surplus = moved.at(Stage.PREVIOUS)[KEEP_PREVIOUS:]
    moved = moved.staged(dict.fromkeys(surplus, Stage.RETIRED))
    return moved.but(
        state=RotationState.COMMITTED, seen=(), attempt=0, unverified=0, reason="", sent=UNSET
    )


def _idle(record: Record) -> Record:
    return record.but(
        state=RotationState.IDLE, seen=(), attempt=0, not_before_ns=0, reason="", sent=UNSET
    )


def _later(record: Record, now_ns: int, reason: str, state: RotationState | None = None) -> Record:
    """Wait for a growing pause, and then repeat all probes of the target."""
    pause = min(BACKOFF_NS << min(record.attempt, 20), MAX_BACKOFF_NS)
    return record.but(
        state=state or record.state,
        seen=(),
        attempt=record.attempt + 1,
        not_before_ns=now_ns + pause,
        reason=reason[:MAX_REASON],
    )


def _wait(record: Record, until_ns: int, reason: str) -> Wait:
    return Wait(until_ns, reason, alert=record.attempt >= ALERT_ATTEMPT)


def _fence(record: Record, epoch: int) -> None:
    if epoch != record.epoch:
        raise Conflict(f"fence epoch {epoch} is not that of {record.secret}: another driver has it")
