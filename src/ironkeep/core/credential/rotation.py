"""The rotation of one static credential as a state machine: no I/O, no clock, no secret material.

    state      what is true                            next action           then
    IDLE       one version is current                  Done
    PREPARING  a new version is wanted                 Prepare(n)            PREPARED
    PREPARED   its material is stored; the target      SELF: Present(pending), COMMITTED if alive
               may or may not have it                  then the others; Set  APPLIED
    APPLIED    the target said that it took it         Present(pending)      COMMITTED if alive
    COMMITTED  pending became current, in one record   KillSessions          RETIRING
    RETIRING   sessions are ended                      Present(current),     IDLE if the old ones
                                                       Present(old)          are refused
    LOST       no version known here works             Lost                  break_glass

The caller keeps the record and the material of every version in it, and repeats: `next_action`,
perform it, `observe` what happened, store the new record in one commit. The intent, with its
material, is thus durable before the target hears of it, and a crash anywhere loses no credential:
on start `take_over` forgets what was seen, and the machine asks the target again. An account that
sets its own password presents pending before any other, because a target that took it and whose
answer was lost refuses the others; the administering account sets pending once more, which changes
nothing. UNKNOWN moves nothing; but where the target has no connection left, the sessions of the
account are ended first: they belong to the version that is being replaced.

Whoever drives the machine holds a fence epoch; a driver that was overtaken cannot move the
record. The store must likewise refuse a record that is not the successor of the stored one.

Versions go pending, current, previous, retired, and never back. Three previous ones are kept, for
a target that was restored from its own backup; never serve them. A version that is no longer in
the record has no further use: destroy its material.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from ironkeep.core.credential.connector import Probe
from ironkeep.core.credential.rotation_record import Record, Stage, State, Strategy, Version
from ironkeep.core.errors import Conflict

KEEP_PREVIOUS: Final = 3
KEEP_RETIRED: Final = 3
"""A version that the target refused to take is kept a while too: a refusal can be wrong."""

MAX_UNVERIFIED: Final = 5
"""How often the target may report a password set and then refuse it, before the version is lost."""

BACKOFF_NS: Final = 5_000_000_000
MAX_BACKOFF_NS: Final = 3_600_000_000_000
"""An hour: it is never given up, and never hammered."""

ALERT_ATTEMPT: Final = 3
"""From the third failure on, a person should look."""

WINDOW_NS: Final = 60_000_000_000
MAX_REASON: Final = 500

_MADE_ROOM_NS: Final = 1
"""A pause that was over long ago: sessions were ended just now, and are not ended again at once."""


class Prepare(msgspec.Struct, frozen=True):
    """Make new material for this version and store it in the same commit as the next record."""

    version: int


class Present(msgspec.Struct, frozen=True):
    """Probe the target with this version."""

    version: int


class Set(msgspec.Struct, frozen=True):
    """Make version the target's password, logged in with version `using`, or as admin when None."""

    version: int
    using: int | None


class KillSessions(msgspec.Struct, frozen=True):
    """End every session that an older version opened."""


class Wait(msgspec.Struct, frozen=True):
    """Come back at until_ns; tell a person when alert."""

    until_ns: int
    reason: str
    alert: bool


class Done(msgspec.Struct, frozen=True):
    """Nothing to do: current works, the one before is refused."""


class Lost(msgspec.Struct, frozen=True):
    """No version in the record works; only a person may go on, by `break_glass`."""

    reason: str


Action = Prepare | Present | Set | KillSessions | Wait | Done | Lost


class Prepared(msgspec.Struct, frozen=True):
    """The material of version is stored."""

    version: int


class Presented(msgspec.Struct, frozen=True):
    """What probing with version showed; `full`: the target had no connection left for it."""

    version: int
    state: Probe
    reason: str = ""
    full: bool = False


class Applied(msgspec.Struct, frozen=True):
    """The target said that it took version."""

    version: int


class Refused(msgspec.Struct, frozen=True):
    """The target said that it did not take version (connector.Rejected); `final`: nor ever will."""

    version: int
    reason: str
    final: bool = False


class Unsure(msgspec.Struct, frozen=True):
    """Setting version failed, with or without effect (connector: Ambiguous, Unreachable)."""

    version: int
    reason: str
    full: bool = False


class Killed(msgspec.Struct, frozen=True):
    """No session of an older version is left."""


class NotKilled(msgspec.Struct, frozen=True):
    """Sessions may be left."""

    reason: str


Observation = Prepared | Presented | Applied | Refused | Unsure | Killed | NotKilled


def start(record: Record, epoch: int) -> Record:
    """Begin a rotation; raise Conflict when one is under way or another driver holds the record."""
    _fence(record, epoch)
    if record.state is not State.IDLE:
        raise Conflict(f"a rotation of {record.secret} is {record.state}: let it finish")
    return record.but(state=State.PREPARING, attempt=0, unverified=0, reason="")


def take_over(record: Record, epoch: int) -> Record:
    """Return the record for a new driver, after a crash or instead of one that is gone.

    What the former driver saw is forgotten: it may have done more than it could write down.
    """
    if epoch <= record.epoch:
        raise Conflict(
            f"fence epoch {epoch} is not after {record.epoch}: another driver came later"
        )
    return record.but(epoch=epoch, seen=())


def break_glass(record: Record, epoch: int) -> Record:
    """Let the admin account set the pending version of a lost credential; a person's decision."""
    _fence(record, epoch)
    if record.state is not State.LOST:
        raise Conflict(f"{record.secret} is not lost")
    return record.but(
        strategy=Strategy.ADMIN,
        state=State.PREPARED,
        seen=(),
        attempt=0,
        unverified=0,
        not_before_ns=0,
    )


def next_action(record: Record, now_ns: int) -> Action:
    """Return what to do now; the same until something is observed or time passes."""
    if record.state is State.IDLE:
        return Done()
    if record.state is State.LOST:
        return Lost(record.reason)
    if now_ns < record.not_before_ns:
        return _wait(record, record.not_before_ns, record.reason)
    action = _NEXT[record.state](record)
    recent = _recent(record, now_ns)
    if isinstance(action, Present) and len(recent) >= record.refusals:
        # Any probe may be refused; one more could lock the account, for its owner too.
        reason = "the limit on refused logins a minute is reached"
        return _wait(record, recent[-record.refusals] + WINDOW_NS, reason)
    return action


def observe(record: Record, observation: Observation, now_ns: int, epoch: int) -> Record:
    """Return the record after observation; raise Conflict unless it answers the next action.

    The result must be stored before the next action is performed.
    """
    _fence(record, epoch)
    action = next_action(record, now_ns)
    wanted = _ANSWERS.get(type(action), ())
    versions = {getattr(each, "version", None) for each in (action, observation)}
    if not isinstance(observation, wanted) or len(versions) > 1:
        raise Conflict(f"{type(observation).__name__} does not answer {type(action).__name__}")
    match observation:
        case Prepared(version):
            return _prepared(record, version)
        case Presented():
            return _presented(record, observation, now_ns)
        case Applied():
            return record.but(state=State.APPLIED, seen=())
        case Refused(version, reason):
            retired = record.staged({version: Stage.RETIRED})
            return _later(retired, now_ns, reason, state=State.PREPARING)
        case Unsure(_, reason, full):
            return _failed(record, now_ns, reason, full=full)
        case NotKilled(reason):
            return _later(record, now_ns, reason)
        case Killed():
            return _killed(record)


def _next_prepared(record: Record) -> Action:
    """For SELF pending first; then whichever version works sets it."""
    pending = record.at(Stage.PENDING)[0]
    seen = dict(record.seen)
    if seen.get(pending) is Probe.UNKNOWN:
        return KillSessions()
    if record.strategy is Strategy.ADMIN:
        return Set(pending, None)
    if pending not in seen:
        return Present(pending)
    for number in record.others():
        if number not in seen:
            return Present(number)
        if seen[number] is Probe.ALIVE:
            return Set(pending, number)
    raise AssertionError("a record of which every version is dead is LOST")


def _next_applied(record: Record) -> Action:
    return KillSessions() if record.seen else Present(record.at(Stage.PENDING)[0])


def _next_retiring(record: Record) -> Action:
    """Present current first: while an old one is tried, the new one is known to work."""
    current = record.at(Stage.CURRENT)[0]
    return Present(record.unproven()[0] if current in dict(record.seen) else current)


_NEXT: Final[dict[State, Callable[[Record], Action]]] = {
    State.PREPARING: lambda record: Prepare(record.next_number()),
    State.PREPARED: _next_prepared,
    State.APPLIED: _next_applied,
    State.COMMITTED: lambda _: KillSessions(),
    State.RETIRING: _next_retiring,
}

_ANSWERS: Final[dict[type, tuple[type, ...]]] = {
    Prepare: (Prepared,),
    Present: (Presented,),
    Set: (Applied, Refused, Unsure),
    KillSessions: (Killed, NotKilled),
}


def _prepared(record: Record, version: int) -> Record:
    """Add version as pending, and forget the oldest retired ones."""
    forgotten = set(record.at(Stage.RETIRED)[KEEP_RETIRED:])
    kept = tuple(each for each in record.versions if each.number not in forgotten)
    versions = (*kept, Version(version, Stage.PENDING))
    return record.but(state=State.PREPARED, seen=(), versions=versions)


def _presented(record: Record, shown: Presented, now_ns: int) -> Record:
    """Note what was seen, and move when it decides something."""
    version, state = shown.version, shown.state
    if state is Probe.UNKNOWN:
        reason = shown.reason or "the target gave no clear answer"
        return _failed(record, now_ns, reason, full=shown.full)
    if state is Probe.DEAD:
        record = record.but(refused_ns=(*_recent(record, now_ns), now_ns))
    else:
        record = record.marked({version}, dead=False)
    record = record.but(seen=(*record.seen, (version, state)))
    if record.state is State.PREPARED:
        return _presented_prepared(record, version, state)
    if record.state is State.APPLIED:
        return _committed(record) if state is Probe.ALIVE else _unverified(record, now_ns)
    return _presented_retiring(record, version, state, now_ns)


def _failed(record: Record, now_ns: int, reason: str, *, full: bool) -> Record:
    """Come back later; but for want of a connection, end the account's sessions and try at once."""
    pending = record.at(Stage.PENDING)
    if not full or not pending or record.not_before_ns == _MADE_ROOM_NS:
        return _later(record, now_ns, reason)
    # What next_action answers by ending sessions.
    return record.but(seen=((pending[0], Probe.UNKNOWN),), reason=reason[:MAX_REASON])


def _killed(record: Record) -> Record:
    if record.state is State.COMMITTED:
        return record.but(state=State.RETIRING, seen=(), attempt=0)
    return record.but(seen=(), not_before_ns=_MADE_ROOM_NS)


def _presented_prepared(record: Record, version: int, state: Probe) -> Record:
    if state is Probe.ALIVE:
        return _committed(record) if version in record.at(Stage.PENDING) else record
    dead = {number for number, seen in record.seen if seen is Probe.DEAD}
    if record.strategy is Strategy.SELF and dead.issuperset(record.others()):
        return record.but(state=State.LOST, reason="the target refuses every known version")
    return record


def _presented_retiring(record: Record, version: int, state: Probe, now_ns: int) -> Record:
    """Go on until current works and every one before it is refused."""
    if version in record.at(Stage.CURRENT):
        if state is Probe.DEAD:
            # Somebody set another, or the target went back in time: no proof stands any more.
            record = record.marked({each.number for each in record.versions}, dead=False)
            reason = "the target no longer takes the version it took"
            return _later(record, now_ns, reason, state=State.PREPARING)
    elif state is Probe.ALIVE:
        return _later(record, now_ns, "the target still takes an old version")
    else:
        record = record.marked({version}, dead=True)
    return record if record.unproven() else _idle(record)


def _unverified(record: Record, now_ns: int) -> Record:
    """Try again, a bounded number of times, what the target took and then refuses."""
    count = record.unverified + 1
    reason = "the target refuses the version that it said it took"
    if count >= MAX_UNVERIFIED:
        return record.but(state=State.LOST, unverified=count, reason=reason)
    return _later(record.but(unverified=count), now_ns, reason, state=State.PREPARED)


def _committed(record: Record) -> Record:
    """Make pending current and current previous, together.

    Only ever from PREPARED or APPLIED: run again in COMMITTED it would lose the previous version.
    """
    moves = dict.fromkeys(record.at(Stage.CURRENT), Stage.PREVIOUS)
    moves |= dict.fromkeys(record.at(Stage.PENDING), Stage.CURRENT)
    moved = record.staged(moves)
    surplus = moved.at(Stage.PREVIOUS)[KEEP_PREVIOUS:]
    moved = moved.staged(dict.fromkeys(surplus, Stage.RETIRED))
    return moved.but(state=State.COMMITTED, seen=(), attempt=0, unverified=0, reason="")


def _idle(record: Record) -> Record:
    return record.but(state=State.IDLE, seen=(), attempt=0, not_before_ns=0, reason="")


def _later(record: Record, now_ns: int, reason: str, state: State | None = None) -> Record:
    """Come back after a growing pause, and then ask the target everything anew."""
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


def _recent(record: Record, now_ns: int) -> tuple[int, ...]:
    """Return the times of the refused logins in the window that ends now."""
    return tuple(each for each in record.refused_ns if each > now_ns - WINDOW_NS)


def _fence(record: Record, epoch: int) -> None:
    if epoch != record.epoch:
        raise Conflict(f"fence epoch {epoch} does not hold {record.secret}: another driver does")
