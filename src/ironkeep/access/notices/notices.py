"""Notices to people outside the vault: of every alert, and of every request pending approval.

    sys/notices : notice / number -> the notice and its notifier; due at the next attempt
                  next            -> the next number

A notice is written in the same batch as the event that it reports and sent later by the tick. So
no request waits for a mail server, and a crash loses no notice, though one may then arrive twice.
After `MAX_TRIES` a notice is dropped: its alert is in the journal and in `sys/alerts`, its request
for approval in the inbox. A failing notifier raises an alert too.

A notice holds an alert's text and names people and accessors, but never a path: many machines read
mail on its way.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from ironkeep.access.alerts.alerts import Alert, Alerts
from ironkeep.access.approvals.approvals import Approvals
from ironkeep.access.approvals.record import Kept
from ironkeep.core.errors import UpstreamFailed
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.effects.effects import Effects, Steps, Turn
from ironkeep.plugin.services import Services
from ironkeep.store.barrier import DueRecord, Store
from ironkeep.store.record import Codec
from ironkeep.store.state import Tx

PLACE: Final = "sys/notices"
"""The reserved place of this feature's records."""

FOLDER: Final = "notice"
MAX_WAITING: Final = 1_000
"""Notices not yet sent; past this no further ones are stored."""
MAX_TRIES: Final = 5
FIRST_PAUSE_NS: Final = 15 * SECOND_NS
"""Doubled after each failure: five tries take four minutes, less than a request stays pending."""
FAILED: Final = "notifier"
"""The kind of alerts about a failing notifier; these are not sent to the notifiers."""

_NEXT: Final = "next"
_DIGITS: Final = 12


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message for one notifier to send. `time_ns` is the time of the event, POSIX."""

    notifier: str
    kind: str
    text: str
    time_ns: int
    entity: str = ""
    device: str = ""
    accessor: str = ""
    tries: int = 0


class Notifier(Protocol):
    """A way to reach people; called on a worker."""

    def send(self, notice: Notice) -> None:
        """Send a notice; raise UpstreamFailed when it was not accepted."""
        ...


_NOTICE: Final = Codec(Notice)


class Notices:
    """Stores notices and sends them."""

    def __init__(self, services: Services, notifiers: Mapping[str, Notifier]) -> None:
        self._stores: Final = services.store
        self._alerts: Final = services.use(Alerts)
        self._notifiers: Final = notifiers
        self._alerts.on_alert.append(self.alert)
        services.use(Approvals).on_ask.append(self.ask)
        services.use(Effects).register(FOLDER, self.send)

    def alert(self, tx: Tx, alert: Alert) -> None:
        """Store a notice of an alert for each notifier."""
        if alert.kind == FAILED:
            return
        for name in self._notifiers:
            notice = Notice(name, alert.kind, alert.text, alert.time_ns, alert.entity, alert.device)
            self._put(tx, notice)

    def ask(self, tx: Tx, kept: Kept) -> None:
        """Store a notice of a request pending approval for each notifier."""
        text = (
            "a request waits for approval: see "
            f"`ironkeep approval show {kept.accessor}`, and talk to the requester before approving"
        )
        for name in self._notifiers:
            notice = Notice(
                name, "approval-wanted", text, kept.created_ns, kept.entity, kept.device,
                kept.accessor,
            )  # fmt: skip
            self._put(tx, notice)

    def send(self, turn: Turn, record: DueRecord) -> Steps[None]:
        """Send one notice, or postpone it; a driver of plugin/effects/effects.py."""
        notice = _NOTICE.decode(record.body)
        notifier = self._notifiers.get(notice.notifier)
        if notifier is None:
            self._store(turn.tx).delete(record.path)
            return
        turn, failure = yield _attempt(notifier, notice)
        store = self._store(turn.tx)
        if not failure:
            store.delete(record.path)
            return
        tries = notice.tries + 1
        text = f"{notice.notifier} did not take a notice: {failure}"
        self._alerts.repeated(turn.tx, FAILED, text, turn.now_ns, subject=notice.notifier)
        if tries >= MAX_TRIES:
            store.delete(record.path)
            return
        due_ns = turn.now_ns + (FIRST_PAUSE_NS << (tries - 1))
        store.put(record.path, _NOTICE.encode(msgspec.structs.replace(notice, tries=tries)), due_ns)

    def _put(self, tx: Tx, notice: Notice) -> None:
        store = self._store(tx)
        if len(store.list(FOLDER, MAX_WAITING)) >= MAX_WAITING:
            return
        raw = store.get(_NEXT)
        number = 0 if raw is None else int(raw)
        store.put(f"{FOLDER}/{number:0{_DIGITS}d}", _NOTICE.encode(notice), notice.time_ns)
        store.put(_NEXT, b"%d" % (number + 1))

    def _store(self, tx: Tx) -> Store:
        return self._stores(tx, PLACE)


def _attempt(notifier: Notifier, notice: Notice) -> Callable[[], str]:
    """Return the work of sending; its result is the reason of a failure, "" on success."""

    def work() -> str:
        try:
            notifier.send(notice)
        except UpstreamFailed as error:
            return str(error)
        return ""

    return work
