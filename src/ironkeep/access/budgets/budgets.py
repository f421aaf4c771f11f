"""Breadth budgets: how many different secrets a person, a device, a team and the house may read.

    sys/budgets : limits -> what each kind of subject may read by default
                  subject / kind / id -> its own limits, a raise of them, a machine's manifest
                  sum / kind / id -> weights charged, by time
                  charge / kind / id / secret -> when that secret was last charged, and its weight

What is counted is breadth: a secret read again within the hour is free, and within a longer window
it counts once in that window. Whoever owns a device can read what its user may read, but not all of
it; that is what an export needs.

A charge is written in the transaction that a refusal keeps, in the batch of the answer, so no
answer leaves before its charge is durable. Requests execute one after another: two cannot both take
the last place. Time is the later of the clock and the last charge, so a clock that is put back
opens nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from ironkeep.access.budgets.manifests import lists
from ironkeep.access.budgets.record import (
    ALL,
    DAY,
    DEVICE,
    HOUR,
    HOUSE,
    MONTH,
    PERSON,
    SLOT,
    TEAM,
    WEIGHTS,
    Charge,
    Defaults,
    Subject,
    Sums,
    limits_in_force,
)
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import EntityId
from ironkeep.core.policy.decision import Deny, denied
from ironkeep.core.policy.secret_class import SecretClass
from ironkeep.core.ports import Row
from ironkeep.core.text.spelling import Spelling
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.entities import Identity
from ironkeep.plugin.token import Session
from ironkeep.store.barrier import DueRecord, Store
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf, escape_part
from ironkeep.store.state import Tx

MAX_MANIFEST: Final = 1_000
MAX_FREE: Final = 4_096
"""Secrets of one session that are known to be free; past it they are looked up anew."""
MAX_RAISE_SECONDS: Final = 7 * DAY

UNLISTED: Final = "the path is not in its manifest, which whoever set it can extend"

_SLOT_NS: Final = SLOT * SECOND_NS
_LIMITS: Final = "limits"
_CHANGES: Final = ""
"""Where a session keeps of which number of changes what it remembers is: no secret's name."""
_SET_UP: Final = "\0set up"
"""By people whom the one who is charged has set up."""

PLACE: Final = "sys/budgets"
"""The reserved place of budgets and of what was charged to them."""

T = TypeVar("T", bound=msgspec.Struct)

_DEFAULTS: Final = Codec(Defaults)
_SUBJECT: Final = Codec(Subject)
_CHARGE: Final = Codec(Charge)
_SUMS: Final = Codec(Sums)


@dataclass(frozen=True, slots=True)
class Move:
    """What one subject's rows become when a read is let through."""

    where: str
    secret: str
    sums: Sums
    charge: Charge


@dataclass(frozen=True, slots=True)
class Assessment:
    """The cost of a read. `limit` refuses it; `near` says that a soft limit is passed."""

    limit: Deny | None = None
    near: bool = False
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """One read: of which secret, its weight, when, and the spelling of its path."""

    secret: str
    weight: int
    now_ns: int
    spelling: Spelling | None = None


@dataclass(frozen=True, slots=True)
class _Charged:
    """A subject to be charged, and `by` what else than its own tokens, "" for these."""

    kind: str
    who: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a read costs one subject: nothing until a time, or a move of its rows."""

    free_until_ns: int = 0
    limit: Deny | None = None
    near: bool = False
    move: Move | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a subject has used of one window."""

    window: str
    used: int
    limit: int


@dataclass(slots=True)
class _Known:
    """What was read of the limits, while their row is the same."""

    row: Row | None = None
    defaults: Defaults = field(default_factory=Defaults)
    fuse: bool = False
    stamp: int = 0
    changes: int = 0
    """How often anything was set: what sessions remember as free is of before or after."""


FREE: Final = Assessment()


class Budgets:
    """Charges reads, and keeps who may read how much."""

    def __init__(self, stores: StoreOf, identity: Identity) -> None:
        self._stores: Final = stores
        self._identity: Final = identity
        self._known: Final = _Known()

    def assess(
        self,
        tx: Tx,
        session: Session,
        secret: str,
        guard: SecretClass,
        now_ns: int,
        spelling: Spelling | None = None,
    ) -> Assessment:
        """Return what reading a secret (`mount uuid/path`) costs who asks; nothing is charged yet.

        `spelling` is that of paths below the mount. Reading it again within the hour is free, and
        costs one look into memory.
        """
        record = session.record
        if not (session.people or record.device) and not self._has_fuse(tx):
            return FREE
        if session.remembered.get(_CHANGES) != self._known.changes:
            # What is set for somebody holds for secrets that they have read already.
            session.remembered.clear()
            session.remembered[_CHANGES] = self._known.changes
        if now_ns < session.remembered.get(secret, 0):
            return FREE
        read = _Read(secret, WEIGHTS[guard], now_ns, spelling)
        subjects = self._subjects(tx, session)
        costs = [self._cost(tx, each, read) for each in subjects]
        if all(cost.free_until_ns for cost in costs):
            if len(session.remembered) >= MAX_FREE:
                session.remembered.clear()
                session.remembered[_CHANGES] = self._known.changes
            session.remembered[secret] = min(cost.free_until_ns for cost in costs)
        limit = next((cost.limit for cost in costs if cost.limit is not None), None)
        # A machine gives no touch for a person who once wrote its role.
        near = any(
            cost.near for cost, who in zip(costs, subjects, strict=True) if who.by != _SET_UP
        )
        return Assessment(limit, near, tuple(cost.move for cost in costs if cost.move is not None))

    def _has_fuse(self, tx: Tx) -> bool:
        """Return whether the house has a limit of its own; looked up when anything changed."""
        stamp = tx.stamp()
        if not stamp or stamp != self._known.stamp:
            defaults = self._defaults(self._stores(tx, PLACE))
            own = self.subject(tx, HOUSE, ALL) != Subject()
            self._known.fuse = own or bool(defaults.house.windows())
            self._known.stamp = stamp
        return self._known.fuse

    def _cost(self, tx: Tx, charged: "_Charged", read: "_Read") -> "_Cost":
        """Return what a read costs one subject."""
        store, now_ns = self._stores(tx, PLACE), read.now_ns
        kind, who, name = charged.kind, charged.who, _digest(read.secret + charged.by)
        defaults = self._defaults(store)
        subject = self.subject(tx, kind, who)
        if subject.manifest:
            listed = lists(subject.manifest, read.secret, read.spelling)
            return _Cost(limit=None if listed else denied(f"{kind} {who} is a machine: {UNLISTED}"))
        windows = limits_in_force(subject, defaults.of(kind), now_ns).windows()
        if not windows:
            return _Cost(now_ns + HOUR * SECOND_NS)
        where = _where(kind, who)
        sums = _read(store, f"sum/{where}", _SUMS) or Sums(0)
        time_ns = max(now_ns, sums.time_ns)
        last = _read(store, f"charge/{where}/{name}", _CHARGE)
        if last is not None and time_ns - last.time_ns < HOUR * SECOND_NS:
            return _Cost(last.time_ns + HOUR * SECOND_NS)
        after = _moved(sums, last, read.weight, time_ns)
        used = [(after.within(time_ns, seconds), name, limit) for name, seconds, limit in windows]
        spent = next(
            (_spent(kind, who, name, limit) for sum_, name, limit in used if sum_ > limit), None
        )
        near = any(sum_ * 100 > limit * defaults.soft for sum_, _, limit in used)
        return _Cost(0, spent, near, Move(where, name, after, Charge(time_ns, read.weight)))

    def charge(self, tx: Tx, assessment: Assessment) -> None:
        """Write what was assessed, in the transaction that a refusal keeps."""
        store = self._stores(tx, PLACE)
        for move in assessment.moves:
            store.put(f"sum/{move.where}", _SUMS.encode(move.sums))
            due_ns = move.charge.time_ns + (MONTH + SLOT) * SECOND_NS
            path = f"charge/{move.where}/{move.secret}"
            store.put(path, _CHARGE.encode(move.charge), due_ns)

    def usage(self, tx: Tx, kind: str, who: str, now_ns: int) -> list[Usage]:
        """Return what a subject has used of each window that has a limit."""
        store = self._stores(tx, PLACE)
        limits = limits_in_force(
            self.subject(tx, kind, who), self._defaults(store).of(kind), now_ns
        )
        sums = _read(store, f"sum/{_where(kind, who)}", _SUMS) or Sums(0)
        time_ns = max(now_ns, sums.time_ns)
        return [
            Usage(window, sums.within(time_ns, seconds), limit)
            for window, seconds, limit in limits.windows()
        ]

    def subject(self, tx: Tx, kind: str, who: str) -> Subject:
        """Return what is set for a subject."""
        return _read(self._stores(tx, PLACE), f"subject/{_where(kind, who)}", _SUBJECT) or Subject()

    def set_subject(self, tx: Tx, kind: str, who: str, subject: Subject) -> None:
        """Set it; raise InvalidRequest past the limits."""
        if len(subject.manifest) > MAX_MANIFEST:
            raise InvalidRequest(f"a manifest holds at most {MAX_MANIFEST} paths")
        self._known.changes += 1
        self._stores(tx, PLACE).put(f"subject/{_where(kind, who)}", _SUBJECT.encode(subject))

    def forget_subject(self, tx: Tx, kind: str, who: str) -> None:
        """Give a subject the default limits of its kind again; what it was charged stays."""
        self._known.changes += 1
        self._stores(tx, PLACE).delete(f"subject/{_where(kind, who)}")

    def defaults(self, tx: Tx) -> Defaults:
        """Return the limits by default."""
        return self._defaults(self._stores(tx, PLACE))

    def set_defaults(self, tx: Tx, defaults: Defaults) -> None:
        """Set the limits by default."""
        self._known.changes += 1
        self._stores(tx, PLACE).put(_LIMITS, _DEFAULTS.encode(defaults))

    def expire(self, tx: Tx, records: Iterable[DueRecord], _now_ns: int) -> None:
        """Remove charges that no window reaches any more."""
        paths = [record.path for record in records]
        if paths:
            self._stores(tx, PLACE).delete_all(paths)

    def _defaults(self, store: Store) -> Defaults:
        row = store.row(_LIMITS)
        if row is not self._known.row:
            raw = None if row is None else store.open_row(store.key_of(_LIMITS), row)
            self._known.defaults = Defaults() if raw is None else _DEFAULTS.decode(raw)
            self._known.row = row
        return self._known.defaults

    def _subjects(self, tx: Tx, session: Session) -> list["_Charged"]:
        """Return who is charged: the house, the people behind the token, and its device.

        Of those who had it in their hands the nearest comes first; past one with limits or a
        manifest of its own nobody is asked: somebody else has made it a subject, and what it reads
        is not its maker's. Who set these and came behind it later is no such somebody.
        """
        record = session.record
        found = {_Charged(HOUSE, ALL): None}
        for person in session.payers:
            # Whoever holds a token that was handed out may be anybody: it reads a secret anew.
            by = "" if person == record.entity else f"\0{record.entity or session.hash}"
            found[_Charged(PERSON, person, by)] = None
            team = self._team(tx, person)
            if team:
                found[_Charged(TEAM, team)] = None
            own = self.subject(tx, PERSON, person)
            if own != Subject() and session.people.isdisjoint(own.set_by):
                break
        else:
            found |= dict.fromkeys(self._set_up(tx, session))
        if record.device:
            found[_Charged(DEVICE, record.device)] = None
        return list(found)

    def _set_up(self, tx: Tx, session: Session) -> Iterator["_Charged"]:
        """Yield who set up what a login stood on: a user, a role, an authority, an invitation.

        They could have made any number of people so, each with a budget. All that these read is
        one person's, a secret once however many of them read it. A maker with a manifest is a
        machine, whose list is of its own reads.
        """
        for person in sorted(session.people.difference(session.payers)):
            if not self.subject(tx, PERSON, person).manifest:
                yield _Charged(PERSON, person, _SET_UP)
                team = self._team(tx, person)
                if team:
                    yield _Charged(TEAM, team, _SET_UP)

    def _team(self, tx: Tx, entity: EntityId) -> str:
        known = self._identity.get(tx, entity)
        return known.metadata.get(TEAM, "") if known is not None else ""


def _moved(sums: Sums, last: Charge | None, weight: int, time_ns: int) -> Sums:
    """Return the sums with a secret charged now, and no more where it was charged before."""
    slots = dict(sums.slots)
    if last is not None:
        at = last.time_ns // _SLOT_NS
        slots[at] = max(0, slots.get(at, 0) - last.weight)
    now = time_ns // _SLOT_NS
    slots[now] = slots.get(now, 0) + weight
    first = (time_ns - MONTH * SECOND_NS) // _SLOT_NS
    return Sums(time_ns, tuple(sorted((k, v) for k, v in slots.items() if v and k >= first)))


def _spent(kind: str, who: str, window: str, limit: int) -> Deny:
    name = "the house" if kind == HOUSE else f"{kind} {who}"
    place = f"sys/budgets/{kind}/{who}"
    return denied(
        f"the budget of {name} is spent: {limit} in one {window}. It frees itself as time passes; "
        f"whoever may update {place}, and is somebody else, can raise it for a time"
    )


def _digest(secret: str) -> str:
    return blake2b(secret.encode(), digest_size=16).hexdigest()


def _where(kind: str, who: str) -> str:
    return f"{kind}/{escape_part(who)}"


def _read(store: Store, path: str, codec: Codec[T]) -> T | None:
    raw = store.get(path)
    return None if raw is None else codec.decode(raw)
