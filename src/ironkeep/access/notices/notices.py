"""Word to people outside: of every alert, and of every request that waits for approval.

    sys/notices : notice / number -> what is to be said, and where; due when to say it next
                  next            -> the next number

A notice is written in the batch of what it speaks of and sent later by the tick, so no request
waits for a mail server, and none is lost in a crash; one may then arrive twice. What cannot be said
after some tries is given up: the alert itself is in the journal and in `sys/alerts`, a request for
approval in the inbox. That a notifier fails is an alert too.

A notice holds an alert's text, names people and accessors, and never a path: mail is read by many
machines.
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
"""Of all that are not yet sent; further ones are not made."""
MAX_TRIES: Final = 5
FIRST_PAUSE_NS: Final = 15 * SECOND_NS
"""Doubled after each failure: five tries take four minutes, less than a request waits."""
FAILED: Final = "notifier"
"""The kind of the alert about a notifier, of which nobody is notified."""

_NEXT: Final = "next"
_DIGITS: Final = 12


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is said by one notifier. `time_ns` is when it happened, POSIX."""

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
        """Say it; raise UpstreamFailed when it was not taken."""
        ...


_NOTICE: Final = Codec(Notice)


class Notices:
    """Writes down what is to be said, and has it said."""

    def __init__(self, services: Services, notifiers: Mapping[str, Notifier]) -> None:
        self._stores: Final = services.store
        self._alerts: Final = services.use(Alerts)
        self._notifiers: Final = notifiers
        self._alerts.on_alert.append(self.alert)
        services.use(Approvals).on_ask.append(self.ask)
        services.use(Effects).register(FOLDER, self.send)

    def alert(self, tx: Tx, alert: Alert) -> None:
        """Note that people are to hear of an alert."""
        if alert.kind == FAILED:
            return
        for name in self._notifiers:
            notice = Notice(name, alert.kind, alert.text, alert.time_ns, alert.entity, alert.device)
            self._put(tx, notice)

    def ask(self, tx: Tx, kept: Kept) -> None:
        """Note that people are to hear of a request that waits for them."""
        text = (
            "a request waits for approval: see "
            f"`ironkeep approval show {kept.accessor}`, and talk to who asked before you approve"
        )
        for name in self._notifiers:
            notice = Notice(
                name, "approval-wanted", text, kept.created_ns, kept.entity, kept.device,
                kept.accessor,
            )  # fmt: skip
            self._put(tx, notice)

    def send(self, turn: Turn, record: DueRecord) -> Steps[None]:
        """Say one notice, or put it off; a driver of plugin/effects/effects.py."""
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
    """Return the work: it answers with why it failed, "" when it did not."""

    def work() -> str:
        try:
            notifier.send(notice)
        except UpstreamFailed as error:
            return str(error)
        return ""

    return work
