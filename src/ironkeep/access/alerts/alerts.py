"""What somebody should look at now: journalled as a notice, and kept for those who ask.

    sys/alerts : alert / number -> one alert

An alert is written in the same batch as what it speaks of. Its entry is the record; what is kept
here is the newest few, for `sys/alerts`, and `on_alert` hears of each for mail and webhooks.

A change is an alert each time. Refusals of one subject (a token, a secret, a person) are one alert
a minute: the others are counted, and when the minute is over one more alert says how many there
were and names some of their paths.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ironkeep.core.event import Entry, Value
from ironkeep.journal.journal import Receipt
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

PLACE: Final = "sys/alerts"
"""The reserved place of this feature's records."""

MAX_KEPT: Final = 1_000
"""Alerts kept to be listed; the journal has them all."""
MAX_TEXT: Final = 1_024
REPEAT_NS: Final = 60 * 1_000_000_000
"""Refusals of one subject are one alert in this time: a stolen token in a loop fills no disk."""
MAX_SUBJECTS: Final = 1_000
"""Subjects whose refusals are counted at once; further ones are alerts of their own."""
NAMED: Final = 8
"""Paths that are named of all that were counted."""

_NEXT: Final = "next"
_DIGITS: Final = 12


class Alert(msgspec.Struct, frozen=True, omit_defaults=True):
    """One alert; `kind` is for machines, `text` for people."""

    kind: str
    text: str
    time_ns: int
    entity: str = ""
    device: str = ""
    path: str = ""
    repeats: int = 0
    """How often the same happened in a minute beyond the alert that was raised first."""
    paths: tuple[str, ...] = ()
    """Some of the paths of those."""


_ALERT: Final = Codec(Alert)


@dataclass(slots=True)
class _Counted:
    """Refusals of one subject since an alert was raised; `last` is the newest."""

    since_ns: int
    last: Alert
    count: int = 0
    paths: list[str] = field(default_factory=list)


class Alerts:
    """Raises and keeps alerts."""

    def __init__(self, stores: StoreOf, append: Callable[[Entry], Receipt]) -> None:
        self._stores: Final = stores
        self._append: Final = append
        self._repeated: dict[tuple[str, str, str, str], _Counted] = {}
        self.on_alert: Final[list[Callable[[Tx, Alert], None]]] = []

    def raise_(
        self,
        tx: Tx,
        kind: str,
        text: str,
        now_ns: int,
        *,
        entity: str = "",
        device: str = "",
        path: str = "",
    ) -> None:
        """Raise an alert, each time; pass the transaction that outlives a refusal."""
        self._raise(tx, Alert(kind, text[:MAX_TEXT], now_ns, entity, device, path[:MAX_TEXT]))

    def repeated(
        self,
        tx: Tx,
        kind: str,
        text: str,
        now_ns: int,
        *,
        subject: str,
        entity: str = "",
        device: str = "",
        path: str = "",
    ) -> None:
        """Raise an alert about a refusal or a failure, once a minute for the same subject.

        `subject` is what was tried: nothing that whoever tries can vary at will. Further ones are
        counted (see `flush`). Never for what was done: a change is an alert each time.
        """
        alert = Alert(kind, text[:MAX_TEXT], now_ns, entity, device, path[:MAX_TEXT])
        same = (kind, entity, device, subject)
        known = self._repeated.get(same)
        if known is not None and 0 <= now_ns - known.since_ns < REPEAT_NS:
            known.count += 1
            known.last = alert
            if alert.path not in known.paths and len(known.paths) < NAMED:
                known.paths.append(alert.path)
            return
        if known is not None:
            self._account(tx, known, now_ns)
            del self._repeated[same]
        self._raise(tx, alert)
        # Only now: one that the journal could not take is raised again by the next that asks.
        if len(self._repeated) < MAX_SUBJECTS:
            self._repeated[same] = _Counted(now_ns, alert)

    def over(self, now_ns: int) -> bool:
        """Return whether the minute of any subject is over, so that `flush` has something to do."""
        return any(now_ns - each.since_ns >= REPEAT_NS for each in self._repeated.values())

    def flush(self, tx: Tx, now_ns: int) -> None:
        """Account for the refusals that were counted in a minute which is over."""
        for same, known in list(self._repeated.items()):
            if now_ns - known.since_ns >= REPEAT_NS:
                self._account(tx, known, now_ns)
                del self._repeated[same]

    def _account(self, tx: Tx, known: _Counted, now_ns: int) -> None:
        if not known.count:
            return
        times = "once more" if known.count == 1 else f"{known.count} more times"
        alert = msgspec.structs.replace(
            known.last,
            text=f"{known.last.text} ({times} in a minute)",
            time_ns=now_ns,
            repeats=known.count,
            paths=tuple(known.paths),
        )
        self._raise(tx, alert)

    def _raise(self, tx: Tx, alert: Alert) -> None:
        audited: dict[str, Value] = {"alert": alert.kind, "text": alert.text}
        if alert.repeats:
            audited |= {"repeats": alert.repeats, "paths": list(alert.paths)}
        self._append(
            Entry(
                kind="notice",
                time_ns=alert.time_ns,
                op="alert",
                path=alert.path,
                entity=alert.entity,
                device=alert.device,
                audited=audited,
            )
        )
        self._keep(tx, alert)
        for listener in self.on_alert:
            listener(tx, alert)

    def names(self, tx: Tx) -> list[str]:
        """Return the numbers of the alerts that are kept, the oldest first."""
        return self._stores(tx, PLACE).list("alert")

    def get(self, tx: Tx, number: str) -> Alert | None:
        """Return one alert, or None."""
        if len(number) != _DIGITS or not (number.isascii() and number.isdigit()):
            return None
        raw = self._stores(tx, PLACE).get(f"alert/{number}")
        return None if raw is None else _ALERT.decode(raw)

    def _keep(self, tx: Tx, alert: Alert) -> None:
        store = self._stores(tx, PLACE)
        raw = store.get(_NEXT)
        number = 0 if raw is None else int(raw)
        store.put(f"alert/{number:0{_DIGITS}d}", _ALERT.encode(alert))
        store.put(_NEXT, b"%d" % (number + 1))
        if number >= MAX_KEPT:
            store.delete(f"alert/{number - MAX_KEPT:0{_DIGITS}d}")
