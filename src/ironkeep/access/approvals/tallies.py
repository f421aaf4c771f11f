"""Request history and approver tallies, against approval fatigue.

    sys/approvals : standing / entity -> one person's requests and denials in a day
                    tally / entity / week -> one person's decisions in one week

A person whose request was denied has to wait before the next one; two denials in a day raise an
alert. The time from an approver's first look at a request to the decision shows whether they read
it.
"""

from typing import Final

import msgspec

from ironkeep.access.approvals.record import PLACE, Kept
from ironkeep.core.ids import EntityId
from ironkeep.core.units import SECOND_NS
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

COOL_SECONDS: Final = 600
"""The wait after a denial: repeating a request must slow the requester down, not wear out the
approver."""
ALERT_DENIALS: Final = 2
MAX_AN_HOUR: Final = 12
"""Requests of one person, including withdrawn ones."""
HOUR_NS: Final = 3_600 * SECOND_NS
DAY_NS: Final = 86_400 * SECOND_NS
WEEK_NS: Final = 7 * DAY_NS
MAX_ASKED: Final = 64
"""Requests of one person in a day that are kept, the newest."""
MAX_LOOKS: Final = 256
"""Durations of looking that are kept of one person in one week, the newest."""


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request for approval."""

    accessor: str
    op: str
    path: str
    time_ns: int
    outcome: str = ""


class AskHistory(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person's requests and denials in the last day."""

    asked: tuple[Asked, ...] = ()
    denied_ns: tuple[int, ...] = ()


class Tally(msgspec.Struct, frozen=True, omit_defaults=True):
    """One approver's week; `looked_ms` is the time from the first look to each decision."""

    approved: int = 0
    denied: int = 0
    looked_ms: tuple[int, ...] = ()


_HISTORY: Final = Codec(AskHistory)
_TALLY: Final = Codec(Tally)


class Tallies:
    """Stores request history and approver tallies."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def of(self, tx: Tx, entity: EntityId, now_ns: int) -> AskHistory:
        """Return a person's requests and denials in the last day."""
        raw = self._store(tx).get(f"standing/{entity}")
        known = AskHistory() if raw is None else _HISTORY.decode(raw)
        since_ns = now_ns - DAY_NS
        return AskHistory(
            tuple(each for each in known.asked if each.time_ns > since_ns)[-MAX_ASKED:],
            tuple(each for each in known.denied_ns if each > since_ns)[-MAX_ASKED:],
        )

    def wait_seconds(self, tx: Tx, entity: EntityId, now_ns: int) -> int:
        """Return how many seconds a person has to wait before the next request; 0 for none."""
        known = self.of(tx, entity, now_ns)
        until_ns = known.denied_ns[-1] + COOL_SECONDS * SECOND_NS if known.denied_ns else 0
        if len(known.asked) >= MAX_AN_HOUR:
            # Withdrawn requests count: each request sends mail to the approvers, withdrawn or not.
            until_ns = max(until_ns, known.asked[-MAX_AN_HOUR].time_ns + HOUR_NS)
        return max(0, -((now_ns - until_ns) // SECOND_NS))

    def asked(self, tx: Tx, entity: EntityId, one: Asked) -> None:
        """Remember a request."""
        known = self.of(tx, entity, one.time_ns)
        self._save(tx, entity, AskHistory((*known.asked, one), known.denied_ns))

    def denied(self, tx: Tx, entity: EntityId, accessor: str, now_ns: int) -> bool:
        """Remember a denial; return whether this person was denied too often in a day."""
        known = self.of(tx, entity, now_ns)
        asked = tuple(
            msgspec.structs.replace(each, outcome="denied") if each.accessor == accessor else each
            for each in known.asked
        )
        fresh = AskHistory(asked, (*known.denied_ns, now_ns))
        self._save(tx, entity, fresh)
        return len(fresh.denied_ns) >= ALERT_DENIALS

    def decided(
        self, tx: Tx, kept: Kept, approver: EntityId, now_ns: int, *, approved: bool
    ) -> None:
        """Count a decision for its approver's week."""
        week = week_of(now_ns)
        known = self.tally(tx, approver, week)
        looked_ms = (now_ns - kept.seen.get(approver, now_ns)) // 1_000_000
        tally = Tally(
            known.approved + approved,
            known.denied + (not approved),
            (*known.looked_ms, looked_ms)[-MAX_LOOKS:],
        )
        self._store(tx).put(f"tally/{approver}/{week}", _TALLY.encode(tally))

    def tally(self, tx: Tx, approver: EntityId, week: int) -> Tally:
        """Return what a person decided in a week."""
        raw = self._store(tx).get(f"tally/{approver}/{week}")
        return Tally() if raw is None else _TALLY.decode(raw)

    def approvers(self, tx: Tx) -> list[EntityId]:
        """Return all people who ever decided on a request, sorted."""
        return [EntityId(name.rstrip("/")) for name in self._store(tx).names("tally")]

    def _save(self, tx: Tx, entity: EntityId, history: AskHistory) -> None:
        self._store(tx).put(f"standing/{entity}", _HISTORY.encode(history))

    def _store(self, tx: Tx) -> Store:
        return self._stores(tx, PLACE)


def week_of(now_ns: int) -> int:
    """Return the number of a week since 1970."""
    return now_ns // WEEK_NS
