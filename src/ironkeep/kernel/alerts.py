"""What somebody should look at now: journalled as a notice, and kept for those who ask.

    sys/alerts : alert / number -> one alert

An alert is written in the same batch as what it speaks of. Its entry is the record; what is kept
here is the newest few, for `sys/alerts`, and `on_alert` hears of each for mail and webhooks.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from ironkeep.core.event import Entry, Value
from ironkeep.kernel.journal import Receipt
from ironkeep.kernel.places import ALERTS, StoreOf
from ironkeep.kernel.record import Codec
from ironkeep.kernel.state import Tx

MAX_KEPT: Final = 1_000
"""Alerts kept to be listed; the journal has them all."""
MAX_TEXT: Final = 1_024
REPEAT_NS: Final = 60 * 1_000_000_000
"""The same alert is raised once in this time: who tries a stolen token in a loop fills no disk."""

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


_ALERT: Final = Codec(Alert)


class Alerts:
    """Raises and keeps alerts."""

    def __init__(self, stores: StoreOf, append: Callable[[Entry], Receipt]) -> None:
        self._stores: Final = stores
        self._append: Final = append
        self._raised: dict[tuple[str, str, str], int] = {}
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
        always: bool = False,
    ) -> None:
        """Raise an alert, unless the same was raised within a minute and it need not be always.

        Pass the transaction that outlives a refusal.
        """
        same = (kind, entity, device)
        last = self._raised.get(same)
        if not always and last is not None and 0 <= now_ns - last < REPEAT_NS:
            return
        alert = Alert(kind, text[:MAX_TEXT], now_ns, entity, device, path[:MAX_TEXT])
        audited: dict[str, Value] = {"alert": kind, "text": alert.text}
        self._append(
            Entry(
                kind="notice",
                time_ns=now_ns,
                op="alert",
                path=alert.path,
                entity=entity,
                device=device,
                audited=audited,
            )
        )
        # Only now: one that the journal could not take is raised again by the next that asks.
        if len(self._raised) >= MAX_KEPT:
            self._raised.clear()
        self._raised[same] = now_ns
        self._keep(tx, alert)
        for listener in self.on_alert:
            listener(tx, alert)

    def names(self, tx: Tx) -> list[str]:
        """Return the numbers of the alerts that are kept, the oldest first."""
        return self._stores(tx, ALERTS).list("alert")

    def get(self, tx: Tx, number: str) -> Alert | None:
        """Return one alert, or None."""
        if len(number) != _DIGITS or not (number.isascii() and number.isdigit()):
            return None
        raw = self._stores(tx, ALERTS).get(f"alert/{number}")
        return None if raw is None else _ALERT.decode(raw)

    def _keep(self, tx: Tx, alert: Alert) -> None:
        store = self._stores(tx, ALERTS)
        raw = store.get(_NEXT)
        number = 0 if raw is None else int(raw)
        store.put(f"alert/{number:0{_DIGITS}d}", _ALERT.encode(alert))
        store.put(_NEXT, b"%d" % (number + 1))
        if number >= MAX_KEPT:
            store.delete(f"alert/{number - MAX_KEPT:0{_DIGITS}d}")
