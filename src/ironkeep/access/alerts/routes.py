"""The routes of `sys/alerts`: the newest thousand alerts; the journal has all of them."""

from dataclasses import dataclass
from typing import Any, Final

from ironkeep.access.alerts.alerts import Alert, Alerts
from ironkeep.core.errors import NotFound
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route


@dataclass(frozen=True)
class Number:
    """The number of an alert, as the list shows it."""

    number: str


def list_alerts(call: Call) -> Response:
    """Return the kept alerts by number, the oldest first, with their contents."""
    names = call.use(Alerts).names(call.tx)
    found = {name: call.use(Alerts).get(call.tx, name) for name in names}
    if not found:
        raise NotFound("")
    info = {name: _shown(alert) for name, alert in found.items() if alert is not None}
    return Response(data={"keys": names, "key_info": info})


def read(call: Call, given: Number) -> Response:
    """Return one alert."""
    alert = call.use(Alerts).get(call.tx, given.number)
    if alert is None:
        raise NotFound("")
    return Response(data=_shown(alert))


def _shown(alert: Alert) -> dict[str, Any]:
    return {
        "kind": alert.kind,
        "text": alert.text,
        "time": rfc3339(alert.time_ns),
        "entity": alert.entity,
        "device": alert.device,
        "path": alert.path,
        "repeats": alert.repeats,
        "paths": list(alert.paths),
    }


ROUTES: Final = (
    Route(Operation.LIST, "alerts/", list_alerts, help="The newest alerts."),
    Route(Operation.READ, "alerts/{number}", read, Number, help="One alert."),
)
