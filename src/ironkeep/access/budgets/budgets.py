"""Breadth budgets: assess and charge the reads of a person, a device, a team and the vault.

    sys/budgets : limits -> the default limits of each kind of subject
                  subject / kind / id -> its own limits, a raise of them, a machine's manifest
                  sum / kind / id -> weights charged, by time
                  charge / kind / id / secret -> when that secret was last charged, and its weight

Breadth is counted: a secret read again within the hour is free, and within a longer window it
counts once. An attacker who controls a device can read secrets that its user may read, but cannot
export all of them.

A charge is written in the transaction that a refusal keeps, in the batch of the answer, so no
answer leaves before its charge is durable. Requests execute one after another, so two of them
cannot both use the last unit of a budget. Time is the later of the clock and the last charge, so
setting the clock back frees nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from ironkeep.access.budgets.manifests import lists
from ironkeep.access.budgets.record import (
    ALL,
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
from ironkeep.identity.lifetimes import is_running
from ironkeep.plugin.token import Session
from ironkeep.store.barrier import DueRecord, Store
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf, escape_part
from ironkeep.store.state import Tx

MAX_MANIFEST: Final = 1_000
MAX_FREE: Final = 4_096
"""Secrets remembered as free in one session; past it all are forgotten and looked up again."""

UNLISTED: Final = "the path is not in its manifest, which the person who set it can extend"

_SLOT_NS: Final = SLOT * SECOND_NS
_LIMITS: Final = "limits"
_CHANGES: Final = ""
"""The key in `Session.free` for the number of changes at which its entries were made; no secret
has this name."""
_SET_UP: Final = "\0set up"
"""The `by` of a person who is charged for reads of people whom they have set up."""

PLACE: Final = "sys/budgets"
"""The reserved place of budgets and their charges."""

T = TypeVar("T", bound=msgspec.Struct)

_DEFAULTS: Final = Codec(Defaults)
_SUBJECT: Final = Codec(Subject)
_CHARGE: Final = Codec(Charge)
_SUMS: Final = Codec(Sums)


@dataclass(frozen=True, slots=True)
class Move:
    """The new rows of one subject for a read that is let through."""

    where: str
    secret: str
    sums: Sums
    charge: Charge


@dataclass(frozen=True, slots=True)
class Assessment:
    """The cost of a read. `limit` is set if it is refused; `near`: it passes a soft limit."""

    limit: Deny | None = None
    near: bool = False
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """One read: the secret, its weight, the time, and the spelling of its path."""

    secret: str
    weight: int
    now_ns: int
    spelling: Spelling | None = None


@dataclass(frozen=True, slots=True)
class _Charged:
    """A subject to charge; `by` sets apart reads by other tokens than its own, "" for its own."""

    kind: str
    who: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class _Cost:
    """The cost of a read to one subject: nothing until a time, or new rows (`move`)."""

    free_until_ns: int = 0
    limit: Deny | None = None
    near: bool = False
    move: Move | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """A subject's usage and limit in one window."""

    window: str
    used: int
    limit: int


@dataclass(slots=True)
class _Known:
    """The decoded default limits, valid while their row is the same."""

    row: Row | None = None
    defaults: Defaults = field(default_factory=Defaults)
    fuse: bool = False
    stamp: int = 0
    changes: int = 0
    """Number of changes to any limit; sessions forget what they remember as free when it moves."""


FREE: Final = Assessment()


class Budgets:
    """Stores limits, and assesses and charges reads."""

    def __init__(self, stores: StoreOf, identity: Identity) -> None:
        self._stores: Final = stores
        self._identity: Final = identity
        self._known: Final = _Known()

    def assess(
        self,
        tx: Tx,
        session: Session,
        secret: str,
        secret_class: SecretClass,
        now_ns: int,
        spelling: Spelling | None = None,
    ) -> Assessment:
        """Return the cost of reading a secret (`mount uuid/path`); nothing is charged yet.

        `spelling` is that of paths below the mount. Reading the secret again within the hour is
        free, and takes one in-memory lookup.
        """
        record = session.record
        if not (session.people or record.device) and not self._has_fuse(tx):
            return FREE
        if session.remembered.get(_CHANGES) != self._known.changes:
            # New limits apply also to secrets that this session has read already.
            session.remembered.clear()
            session.remembered[_CHANGES] = self._known.changes
        if now_ns < session.remembered.get(secret, 0):
            return FREE
        read = _Read(secret, WEIGHTS[secret_class], now_ns, spelling)
        subjects = self._subjects(tx, session)
        costs = [self._cost(tx, each, read) for each in subjects]
        if all(cost.free_until_ns for cost in costs):
            if len(session.remembered) >= MAX_FREE:
                session.remembered.clear()
                session.remembered[_CHANGES] = self._known.changes
            session.remembered[secret] = min(cost.free_until_ns for cost in costs)
        limit = next((cost.limit for cost in costs if cost.limit is not None), None)
        # The soft limit of a person who only set up a login asks for no touch: a machine cannot
        # give one for the person who wrote its role.
        near = any(
            cost.near for cost, who in zip(costs, subjects, strict=True) if who.by != _SET_UP
        )
        return Assessment(limit, near, tuple(cost.move for cost in costs if cost.move is not None))

    def _has_fuse(self, tx: Tx) -> bool:
        """Return whether the vault itself has a limit; looked up again after any change."""
        stamp = tx.stamp()
        if not stamp or stamp != self._known.stamp:
            defaults = self._defaults(self._stores(tx, PLACE))
            own = self.subject(tx, HOUSE, ALL) != Subject()
            self._known.fuse = own or bool(defaults.house.windows())
            self._known.stamp = stamp
        return self._known.fuse

    def _cost(self, tx: Tx, charged: "_Charged", read: "_Read") -> "_Cost":
        """Return the cost of a read to one subject."""
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
        sums = (_read(store, f"sum/{where}", _SUMS) or Sums(0)).until(now_ns)
        last = _read(store, f"charge/{where}/{name}", _CHARGE)
        if last is not None and is_running(last.time_ns + HOUR * SECOND_NS, HOUR, now_ns):
            return _Cost(last.time_ns + HOUR * SECOND_NS)
        after = _moved(sums, last, read.weight, now_ns)
        used = [(after.within(now_ns, seconds), name, limit) for name, seconds, limit in windows]
        spent = next(
            (_spent(kind, who, name, limit) for sum_, name, limit in used if sum_ > limit), None
        )
        near = any(sum_ * 100 > limit * defaults.soft for sum_, _, limit in used)
        return _Cost(0, spent, near, Move(where, name, after, Charge(now_ns, read.weight)))

    def charge(self, tx: Tx, assessment: Assessment) -> None:
        """Write an assessed charge; pass the transaction that a refusal keeps."""
        store = self._stores(tx, PLACE)
        for move in assessment.moves:
            store.put(f"sum/{move.where}", _SUMS.encode(move.sums))
            due_ns = move.charge.time_ns + (MONTH + SLOT) * SECOND_NS
            path = f"charge/{move.where}/{move.secret}"
            store.put(path, _CHARGE.encode(move.charge), due_ns)

    def usage(self, tx: Tx, kind: str, who: str, now_ns: int) -> list[Usage]:
        """Return a subject's usage of each window that has a limit."""
        store = self._stores(tx, PLACE)
        limits = limits_in_force(
            self.subject(tx, kind, who), self._defaults(store).of(kind), now_ns
        )
        sums = (_read(store, f"sum/{_where(kind, who)}", _SUMS) or Sums(0)).until(now_ns)
        return [
            Usage(window, sums.within(now_ns, seconds), limit)
            for window, seconds, limit in limits.windows()
        ]

    def subject(self, tx: Tx, kind: str, who: str) -> Subject:
        """Return the settings of a subject; empty when it has none."""
        return _read(self._stores(tx, PLACE), f"subject/{_where(kind, who)}", _SUBJECT) or Subject()

    def set_subject(self, tx: Tx, kind: str, who: str, subject: Subject) -> None:
        """Replace the settings of a subject; raise InvalidRequest past the limits."""
        if len(subject.manifest) > MAX_MANIFEST:
            raise InvalidRequest(f"a manifest holds at most {MAX_MANIFEST} paths")
        self._known.changes += 1
        self._stores(tx, PLACE).put(f"subject/{_where(kind, who)}", _SUBJECT.encode(subject))

    def forget_subject(self, tx: Tx, kind: str, who: str) -> None:
        """Give a subject the default limits of its kind again; its charges stay."""
        self._known.changes += 1
        self._stores(tx, PLACE).delete(f"subject/{_where(kind, who)}")

    def defaults(self, tx: Tx) -> Defaults:
        """Return the default limits."""
        return self._defaults(self._stores(tx, PLACE))

    def set_defaults(self, tx: Tx, defaults: Defaults) -> None:
        """Replace the default limits."""
        self._known.changes += 1
        self._stores(tx, PLACE).put(_LIMITS, _DEFAULTS.encode(defaults))

    def expire(self, tx: Tx, record: DueRecord, _now_ns: int) -> None:
        """Remove a charge that is older than every window."""
        self._stores(tx, PLACE).delete(record.path)

    def _defaults(self, store: Store) -> Defaults:
        row = store.row(_LIMITS)
        if row is not self._known.row:
            raw = None if row is None else store.open_row(store.key_of(_LIMITS), row)
            self._known.defaults = Defaults() if raw is None else _DEFAULTS.decode(raw)
            self._known.row = row
        return self._known.defaults

    def _subjects(self, tx: Tx, session: Session) -> list["_Charged"]:
        """Return the subjects to charge: the vault, the people behind the token, and its device.

        The holders of the token come first, the nearest before the others. The chain ends at a
        person with limits or a manifest of its own, because another person has made it a subject
        and its reads are not its maker's. It does not end there if a person behind this token set
        those limits.
        """
        record = session.record
        found = {_Charged(HOUSE, ALL): None}
        for person in session.payers:
            # A token that was handed out can be used by others: its reads of a secret are counted
            # apart from those by the person's own tokens.
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
        """Yield the people who set up what a login used: a user, role, authority or invitation.

        Such a person could otherwise set up any number of people, each with a budget of their own.
        So the reads of all of them are charged to this person too, a secret once however many of
        them read it. A person with a manifest is a machine and is not charged: its manifest
        governs only its own reads.
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
    """Return the sums after charging a secret now instead of at its last charge."""
    slots = dict(sums.slots)
    if last is not None:
        at = min(last.time_ns, time_ns) // _SLOT_NS
        slots[at] = max(0, slots.get(at, 0) - last.weight)
    now = time_ns // _SLOT_NS
    slots[now] = slots.get(now, 0) + weight
    first = (time_ns - MONTH * SECOND_NS) // _SLOT_NS
    return Sums(time_ns, tuple(sorted((k, v) for k, v in slots.items() if v and k >= first)))


def _spent(kind: str, who: str, window: str, limit: int) -> Deny:
    name = "the vault" if kind == HOUSE else f"{kind} {who}"
    place = f"sys/budgets/{kind}/{who}"
    return denied(
        f"the budget of {name} is spent: {limit} in one {window}. It recovers as time passes; "
        f"another person who may update {place} can raise it for a time"
    )


def _digest(secret: str) -> str:
    return blake2b(secret.encode(), digest_size=16).hexdigest()


def _where(kind: str, who: str) -> str:
    return f"{kind}/{escape_part(who)}"


def _read(store: Store, path: str, codec: Codec[T]) -> T | None:
    raw = store.get(path)
    return None if raw is None else codec.decode(raw)
