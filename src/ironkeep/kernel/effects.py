"""Effects: work outside the house that is slow, may fail, and must not be lost.

An operation is a generator. It reads and writes rows in its turn, yields the work to be done
outside, and is sent the next turn with what came of it:

    store the intent in turn.tx
    turn, result = yield work      runs on a worker, once everything written so far is durable
    store the outcome in turn.tx

A request waits for an operation by `run`. What time drives is found by its row: a record whose due
time has passed and whose path starts with a driver's name is handed to that driver. A crash while
work is out forgets the generator, so what was stored before is all there is: a driver leaves the
row due while work is out, and goes on from what the row says.

One key is worked on by one operation at a time; a limited number of operations run at once, and
fewer of those that time drives, so that a target that does not answer holds up nobody else. One
that fails is tried again after a growing pause, for ever.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ironkeep.core.errors import Conflict, IronkeepError, TooManyRequests
from ironkeep.core.event import Entry, Value
from ironkeep.core.ids import MountUuid, RequestId
from ironkeep.kernel.answer import Answer, Waiting
from ironkeep.kernel.barrier import DueRecord
from ironkeep.kernel.journal import Receipt
from ironkeep.kernel.lifetimes import SECOND_NS
from ironkeep.kernel.places import StoreOf
from ironkeep.kernel.plugin import Call, Response, Suspend
from ironkeep.kernel.state import Tx

MAX_AT_ONCE: Final = 64
"""Operations under way; each may hold a worker for some ten seconds when its target is down."""

TICK_AT_ONCE: Final = 4
"""Of those, the ones that time drives."""

MAX_PAUSE_NS: Final = 3_600 * SECOND_NS
"""Between attempts at an operation that fails: an hour, never given up."""

TICK: Final = RequestId("")
"""The request of a turn that no request asked for."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Turn:
    """One synchronous stretch of an operation: rows to read and write, and the time."""

    tx: Tx
    now_ns: int
    request: RequestId = TICK


Work = Callable[[], Any]
"""Runs on a worker thread; touches nothing of the kernel."""

Steps = Generator[Work, tuple[Turn, Any], T]
Driver = Callable[[Turn, DueRecord], Steps[object]]


def turn_of(call: Call) -> Turn:
    """Return the first turn of an operation: its writes fall with the request's."""
    return Turn(call.tx, call.now_ns, call.request_id)


def run(
    call: Call, steps: Steps[T], then: Callable[[Call, T], Response | Suspend]
) -> Response | Suspend:
    """Let a request wait for an operation begun with `turn_of(call)`; then answers with its result.

    What an operation stores after its work stays when the request is then refused: it has happened.
    An exception that the work raised is raised where the operation waits; one that catches it has
    no new turn to write in, and may only end.
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

    return Suspend(work, resume, durable=True)


def _send(steps: Steps[Any], turn: Turn, result: Any) -> Work:
    if isinstance(result, Exception):
        return steps.throw(result)
    return steps.send((turn, result))


class Effects:
    """Knows what is under way, and takes up what is due."""

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
        self._drivers: Final[dict[str, Driver]] = {}
        self._claims: Final[set[str]] = set()
        self._failures: Final[dict[str, int]] = {}
        self._ticking = 0

    def register(self, name: str, driver: Driver) -> None:
        """Hand due records whose path starts with the segment name to driver."""
        self._drivers[name] = driver

    @property
    def busy(self) -> frozenset[str]:
        """Return the keys that operations hold now."""
        return frozenset(self._claims)

    @contextmanager
    def claimed(self, key: str) -> Iterator[None]:
        """Hold key for one operation; raise Conflict when another holds it.

        The claim ends with the generator that holds it, also when the request is given up and the
        generator dropped. It only keeps operations apart; what must hold if it failed to is stored
        with the record (a rotation's fence epoch).
        """
        if key in self._claims:
            raise Conflict("another operation on it is under way: try again when that has finished")
        if len(self._claims) >= MAX_AT_ONCE:
            raise TooManyRequests(f"{MAX_AT_ONCE} operations are under way: try again shortly")
        self._claims.add(key)
        try:
            yield
        finally:
            self._claims.discard(key)

    def note(
        self,
        turn: Turn,
        op: str,
        mount: MountUuid,
        path: str,
        audited: dict[str, Value],
        outcome: str = "ok",
    ) -> None:
        """Journal what came of an effect on the thing at path of a mount."""
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

    def tick(self, tx: Tx, records: Iterable[DueRecord], now_ns: int) -> list[Waiting]:
        """Begin what is due, as far as there is room, and postpone the rest in tx, in its order."""
        started, late = [], 0
        for record in records:
            driver = self._drivers.get(record.path.partition("/")[0])
            if driver is None or key_of(record.place.mount, record.path) in self._claims:
                continue
            if self._ticking >= TICK_AT_ONCE or len(self._claims) >= MAX_AT_ONCE:
                late += 1
                pause = SECOND_NS * (1 + late // TICK_AT_ONCE)
                self._put_off(tx, record, now_ns + pause)
                continue
            waiting = self._start(driver, record, now_ns)
            if waiting is not None:
                started.append(waiting)
        return started

    def _put_off(self, tx: Tx, record: DueRecord, until_ns: int) -> None:
        """Move a due time back; a record that is no longer due stays so."""
        store = self._stores(tx, record.place.mount)
        row = store.row(record.path)
        if row is not None and row.due_ns is not None and row.due_ns < until_ns:
            store.put(record.path, store.open_row(store.key_of(record.path), row), until_ns)

    def _start(self, driver: Driver, record: DueRecord, now_ns: int) -> Waiting | None:
        turn = Turn(self._begin(), now_ns)
        steps = self._counted(driver(turn, record))
        outcome = self._advance(record, steps, turn, lambda: next(steps))
        return outcome if isinstance(outcome, Waiting) else None

    def _counted(self, steps: Steps[object]) -> Steps[object]:
        self._ticking += 1
        try:
            return (yield from steps)
        finally:
            self._ticking -= 1

    def _advance(
        self, record: DueRecord, steps: Steps[object], turn: Turn, step: Callable[[], Work]
    ) -> Answer | Waiting:
        """Run one turn of what time drives; keep its writes unless it was a defect."""
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
        except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the clock
            self._on_defect(turn.request, error)
            return self._failed(record, turn, error)
        turn.tx.merge()

        def finish(result: Any) -> Answer | Waiting:
            later = Turn(self._begin(), self._now_ns())
            return self._advance(record, steps, later, lambda: _send(steps, later, result))

        return Waiting(work, finish, receipt)

    def _failed(self, record: DueRecord, turn: Turn, error: Exception) -> Answer:
        """Say so, and try again after a pause that doubles."""
        key = key_of(record.place.mount, record.path)
        self._failures[key] = attempts = self._failures.get(key, 0) + 1
        pause = min(SECOND_NS << min(attempts, 32), MAX_PAUSE_NS)
        code = error.code if isinstance(error, IronkeepError) else "internal"
        audited: dict[str, Value] = {"attempts": attempts}
        tx = self._begin()
        # When the house was sealed meanwhile, or the journal is full, the row stays due as it was.
        with suppress(IronkeepError):
            self._put_off(tx, record, turn.now_ns + pause)
            self.note(turn, "failed", record.place.mount, record.path, audited, code)
            tx.merge()
        return Answer(None)


def key_of(mount: MountUuid, path: str) -> str:
    """Return the key under which the record at path of a mount is worked on."""
    return f"{mount}/{path}"
