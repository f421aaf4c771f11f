"""Alerts: journalled as notices, and the newest kept for `sys/alerts`.

    sys/alerts : alert / number -> one alert

An alert is written in the same batch as the event that it reports. The journal entry is the record;
the store keeps only the newest, for `sys/alerts`. The listeners in `on_alert` are called with each
alert, for mail and webhooks.

Every change raises an alert. Refusals of one subject (a token, a secret, a person) raise one alert
a minute: further ones are counted, and when the minute is over one more alert gives their number
and some of their paths.
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
"""Alerts kept for listing; the journal has all of them."""
MAX_TEXT: Final = 1_024
REPEAT_NS: Final = 60 * 1_000_000_000
"""Refusals of one subject within this time raise one alert: a program that retries with a stolen
token must not fill the disk."""
MAX_SUBJECTS: Final = 1_000
"""Subjects whose refusals are counted at the same time; any further refusal is its own alert."""
NAMED: Final = 8
"""Paths that an alert about counted refusals names."""

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
    """Refusals that were counted after the first alert, within its minute."""
    paths: tuple[str, ...] = ()
    """Some of the paths of the counted refusals."""


_ALERT: Final = Codec(Alert)


@dataclass(slots=True)
class _Counted:
    """Refusals of one subject since its alert was raised; `last` is the newest of them."""

    since_ns: int
    last: Alert
    count: int = 0
    paths: list[str] = field(default_factory=list)


class Alerts:
    """Raises alerts, counts repeated ones, and keeps the newest."""

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
        """Raise an alert on every call; pass the transaction that outlives a refusal."""
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
        """Raise an alert about a refusal or a failure, at most once a minute for one subject.

        Further ones are counted (see `flush`). `subject` identifies the target of the attempt and
        must not be a value that the attacker can vary at will. Use `raise_` for a change: each
        change is an alert of its own.
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
        # Last: if the journal could not take the alert, the next refusal raises it again.
        if len(self._repeated) < MAX_SUBJECTS:
            self._repeated[same] = _Counted(now_ns, alert)

    def over(self, now_ns: int) -> bool:
        """Return whether `flush` has work: whether the minute of some counted subject is over."""
        return any(now_ns - each.since_ns >= REPEAT_NS for each in self._repeated.values())

    def flush(self, tx: Tx, now_ns: int) -> None:
        """Raise one alert for each subject whose minute is over, if more refusals were counted."""
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
        """Return the numbers of the kept alerts, the oldest first."""
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
