"""Operations on other systems: slow work that may fail and must not be lost.

An operation is a generator. It reads and writes rows in its turn, yields the work to be done on a
worker, and is sent the next turn with the work's result:

    store the intent in turn.tx
    turn, result = yield work      runs on a worker, once everything written so far is durable
    store the outcome in turn.tx

A request waits for an operation by `run`. The tick starts the other operations: it hands each
record whose due time has passed to the driver whose name begins the record's path. A crash during
work loses the generator, so that only the stored rows remain: a driver leaves the row due during
work, and continues from the row's content.

One key is worked on by one operation at a time; a limited number of operations run at once, fewer
of those that the tick starts, and few of these in one group (a connection), so that a target that
does not answer must not delay the others. Operations of responders have room of their own. Of the
due records, the one that has waited longest goes first. A failed operation is tried again after a
growing pause, without end.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from ironkeep.core.errors import Conflict, IntegrityError, IronkeepError, TooManyRequests
from ironkeep.core.event import Entry, Value
from ironkeep.core.ids import MountUuid, RequestId
from ironkeep.core.units import SECOND_NS
from ironkeep.journal.journal import Receipt
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.plugin.effects.pauses import next_turn
from ironkeep.plugin.response import Response
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

MAX_AT_ONCE: Final = 64
"""Operations in progress; each may hold a worker for some ten seconds when its target is down."""

MAX_URGENT: Final = 32
"""Operations of responders in progress, beside those."""

TICK_AT_ONCE: Final = 12
"""Operations in progress that the tick started."""

GROUP_AT_ONCE: Final = 4
"""Operations in progress that the tick started in one group."""

MAX_LATE: Final = 2_000
"""Records that wait for their turn in memory, in order; further ones only come due again later."""

LATE_NS: Final = 120 * SECOND_NS
"""Time after which a waiting record comes due again: a restart delays it by no more than this."""

MAX_PAUSE_NS: Final = 3_600 * SECOND_NS
"""The longest pause between attempts at a failing operation; attempts never stop."""

TICK: Final = RequestId("")
"""The request id of a turn that the tick started."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Turn:
    """One synchronous step of an operation: its transaction, and the time."""

    tx: Tx
    now_ns: int
    request: RequestId = TICK


Work = Callable[[], Any]
"""Runs on a worker thread; touches nothing of the kernel."""

Steps = Generator[Work, tuple[Turn, Any], T]
Driver = Callable[[Turn, DueRecord], Steps[object]]
Turns = Callable[[Tx, DueRecord], tuple[str, int]]
"""Returns a due record's group (records of the same other system) and since when it is due."""


def turn_of(call: Call) -> Turn:
    """Return the first turn of an operation, whose writes are dropped if the request fails."""
    return Turn(call.tx, call.now_ns, call.request_id)


def settled() -> Steps[Turn]:
    """Wait until all that was written so far is durable; return the next turn."""
    turn, _ = yield _no_work
    return turn


def pause() -> Steps[Turn]:
    """Let other requests have the loop; return the next turn.

    What was written in this turn is not lost by it, but it is not made durable either: pause where
    nothing has to be durable, which saves a journal entry and a wait for the disk. In an operation
    of a request, the first turn must end by `settled` instead: a pause would drop its writes.
    """
    turn, _ = yield next_turn
    return turn


def _no_work() -> None:
    """Do nothing: work begins once the writes before it are durable, and that is the point."""


def run(
    call: Call, steps: Steps[T], then: Callable[[Call, T], Response | Suspend]
) -> Response | Suspend:
    """Make a request wait for an operation begun with `turn_of(call)`; `then` makes the response.

    Rows that an operation stores after its work are kept even if the request is then refused,
    because the work has happened. An exception of the work is raised at the operation's `yield`; an
    operation that catches it has no new turn to write in, and can only end.
    """
    return _run(call, steps, lambda: next(steps), then)


def _run(
    call: Call,
    steps: Steps[T],
    step: Callable[[], Work],
    then: Callable[[Call, T], Response | Suspend],
) -> Response | Suspend:
    try:
        work = step()
    except StopIteration as end:
        return then(call, end.value)

    def resume(later: Call, result: Any) -> Response | Suspend:
        turn = Turn(later.account, later.now_ns, later.request_id)
        return _run(later, steps, lambda: _send(steps, turn, result), then)

    return Suspend(work, resume, durable=work is not next_turn)


def _send(steps: Steps[Any], turn: Turn, result: Any) -> Work:
    if isinstance(result, Exception):
        return steps.throw(result)
    return steps.send((turn, result))


class _Late(NamedTuple):
    """A due record that waits for its turn; `until_ns` is the due time it was deferred to."""

    since_ns: int
    group: str
    until_ns: int | None
    record: DueRecord


class Effects:
    """Tracks the operations in progress, and starts those that are due."""

    def __init__(
        self,
        stores: StoreOf,
        begin: Callable[[], Tx],
        append: Callable[[Entry], Receipt],
        now_ns: Callable[[], int],
        on_defect: Callable[[RequestId, Exception], None],
    ) -> None:
        self._stores: Final = stores
        self._begin: Final = begin
        self._append: Final = append
        self._now_ns: Final = now_ns
        self._on_defect: Final = on_defect
        self._drivers: Final[dict[str, tuple[Driver, Turns]]] = {}
        self._late: Final[dict[str, _Late]] = {}
        self._groups: Final[Counter[str]] = Counter()
        self._urgent: Final[set[str]] = set()
        self._claims: Final[set[str]] = set()
        self._failures: Final[dict[str, int]] = {}
        self._ticking = 0

    def register(self, name: str, driver: Driver, turns: Turns | None = None) -> None:
        """Hand due records whose path starts with the segment name to driver.

        A name of the form `place/segment` is for the records of that place alone.
        """
        self._drivers[name] = driver, turns or _as_they_come

    def _driver_of(self, record: DueRecord) -> tuple[Driver, Turns] | None:
        name = record.path.partition("/")[0]
        return self._drivers.get(f"{record.place.mount}/{name}") or self._drivers.get(name)

    @property
    def busy(self) -> frozenset[str]:
        """Return the keys that operations in progress hold."""
        return frozenset(self._claims)

    @contextmanager
    def claimed(self, key: str, *, urgent: bool = False) -> Iterator[None]:
        """Hold key for one operation; raise Conflict when another holds it.

        Urgent operations are separate from the others: they do not wait for the others' keys, and
        have a limit of their own.

        The claim ends with the generator that holds it, also when the request is abandoned and the
        generator is dropped. It only keeps operations apart in this process; the guarantee that
        does not depend on it is stored with the record (a rotation's fence epoch).
        """
        claims, limit = (self._urgent, MAX_URGENT) if urgent else (self._claims, MAX_AT_ONCE)
        if key in claims:
            raise Conflict("another operation on it is in progress: try again when it has finished")
        if len(claims) >= limit:
            raise TooManyRequests(f"{limit} operations are in progress: try again shortly")
        claims.add(key)
        try:
            yield
        finally:
            claims.discard(key)

    def note(
        self,
        turn: Turn,
        op: str,
        mount: MountUuid,
        path: str,
        audited: dict[str, Value],
        outcome: str = "ok",
    ) -> None:
        """Journal the outcome of an effect on the record at path of a mount."""
        entry = Entry(
            kind="effect",
            time_ns=turn.now_ns,
            request=turn.request,
            op=op,
            path=path,
            mount=mount,
            outcome=outcome,
            audited=audited,
        )
        self._append(entry)

    @property
    def late(self) -> int:
        """Return the number of records that wait in memory for their turn."""
        return len(self._late)

    def tick(self, tx: Tx, records: Iterable[DueRecord], now_ns: int) -> list[Waiting]:
        """Start due operations, as the limits allow; the record that waited longest goes first.

        The others are deferred in tx, and wait in memory with the time since when they are due.
        """
        due = self._take_late()
        for key, each in self._judged(tx, records).items():
            since_ns = min(each.since_ns, due[key].since_ns) if key in due else each.since_ns
            due[key] = each._replace(since_ns=since_ns)
        started: list[Waiting] = []
        order = sorted(due, key=lambda key: (due[key].since_ns, key))
        for position, key in enumerate(order):
            each = due[key]
            if self.is_full(each.group):
                self._wait_here(tx, key, each, now_ns + LATE_NS + position)
            elif self._still_due(tx, each):
                driver = self._driver_of(each.record)
                waiting = None if driver is None else self._start(driver[0], each, now_ns)
                started += [] if waiting is None else [waiting]
        return started

    def _judged(self, tx: Tx, records: Iterable[DueRecord]) -> dict[str, _Late]:
        """Return the records that have a driver and are not in progress, with group and age."""
        found = {}
        for record in records:
            key = key_of(record.place.mount, record.path)
            driver = self._driver_of(record)
            if driver is not None and key not in self._claims:
                group, since_ns = driver[1](tx, record)
                found[key] = _Late(since_ns, group, None, record)
        return found

    def _take_late(self) -> dict[str, _Late]:
        """Remove and return the waiting records, without those in progress now."""
        late = {key: each for key, each in self._late.items() if key not in self._claims}
        self._late.clear()
        return late

    def is_full(self, group: str) -> bool:
        """Return whether no operation of the tick can be started now, or none of a group."""
        return (
            self._ticking >= TICK_AT_ONCE
            or len(self._claims) >= MAX_AT_ONCE
            or self._groups[group] >= GROUP_AT_ONCE
        )

    def _wait_here(self, tx: Tx, key: str, each: _Late, until_ns: int) -> None:
        """Keep a record waiting in memory, and defer its row, at most once in LATE_NS."""
        if each.until_ns is None:
            self._put_off(tx, each.record, until_ns)
            each = each._replace(until_ns=until_ns)
        if len(self._late) < MAX_LATE:
            self._late[key] = each

    def _still_due(self, tx: Tx, each: _Late) -> bool:
        """Return whether a waiting record still has the due time it was deferred to."""
        if each.until_ns is None:
            return True
        try:
            row = self._stores(tx, each.record.place.mount).row(each.record.path)
        except IntegrityError:
            raise
        except IronkeepError:
            return False  # its segment was sealed: it comes due again when the keys are back
        return row is not None and row.due_ns == each.until_ns

    def _put_off(self, tx: Tx, record: DueRecord, until_ns: int) -> None:
        """Postpone a record's due time, unless it no longer has one or has a later one."""
        store = self._stores(tx, record.place.mount)
        row = store.row(record.path)
        if row is not None and row.due_ns is not None and row.due_ns < until_ns:
            store.put(record.path, store.open_row(store.key_of(record.path), row), until_ns)

    def _start(self, driver: Driver, each: _Late, now_ns: int) -> Waiting | None:
        turn, record = Turn(self._begin(), now_ns), each.record
        steps = self._counted(driver(turn, record), each.group)
        outcome = self._advance(record, steps, turn, lambda: next(steps))
        return outcome if isinstance(outcome, Waiting) else None

    def _counted(self, steps: Steps[object], group: str) -> Steps[object]:
        self._ticking += 1
        self._groups[group] += 1
        try:
            return (yield from steps)
        finally:
            self._ticking -= 1
            self._groups[group] -= 1
            if not self._groups[group]:
                del self._groups[group]

    def _advance(
        self, record: DueRecord, steps: Steps[object], turn: Turn, step: Callable[[], Work]
    ) -> Answer | Waiting:
        """Run one turn of a tick's operation; keep its writes unless a defect ended it."""
        try:
            work = step()
            entry = Entry(
                kind="tick",
                time_ns=turn.now_ns,
                op="effect",
                mount=record.place.mount,
                outcome="pending",
                audited={"of": record.path},
            )
            receipt = self._append(entry)
        except StopIteration:
            turn.tx.merge()
            self._failures.pop(key_of(record.place.mount, record.path), None)
            return Answer(None)
        except IronkeepError as error:
            turn.tx.merge()
            return self._failed(record, turn, error)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the tick
            self._on_defect(turn.request, error)
            return self._failed(record, turn, error)
        turn.tx.merge()

        def finish(result: Any) -> Answer | Waiting:
            later = Turn(self._begin(), self._now_ns())
            return self._advance(record, steps, later, lambda: _send(steps, later, result))

        return Waiting(work, finish, receipt)

    def _failed(self, record: DueRecord, turn: Turn, error: Exception) -> Answer:
        """Journal the failure, and defer the record by a pause that doubles each time."""
        key = key_of(record.place.mount, record.path)
        self._failures[key] = attempts = self._failures.get(key, 0) + 1
        pause = min(SECOND_NS << min(attempts, 32), MAX_PAUSE_NS)
        code = error.code if isinstance(error, IronkeepError) else "internal"
        audited: dict[str, Value] = {"attempts": attempts}
        tx = self._begin()
        # If the vault was sealed meanwhile, or the journal is full, the row stays due as it was.
        with suppress(IronkeepError):
            self._put_off(tx, record, turn.now_ns + pause)
            self.note(turn, "failed", record.place.mount, record.path, audited, code)
            tx.merge()
        return Answer(None)


def _as_they_come(_tx: Tx, record: DueRecord) -> tuple[str, int]:
    return record.place.mount, record.due_ns


def key_of(mount: MountUuid, path: str) -> str:
    """Return the claim's key for the record at path of a mount."""
    return f"{mount}/{path}"
