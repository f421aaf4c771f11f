"""The `posture/` routes of the device engine: rules, states, exceptions and the KEV catalogue.

posture/nonce, posture/report          see reports.py
posture/rules                          the rules in force
posture/devices/<id>                   the faults of a device, since when, and its exceptions
posture/exceptions/<id>/<rule>         one device is excepted from one rule, for a while
posture/kev                            CISA's catalogue, and which of its entries need a rule
osquery/*                              see osquery.py
ssf/*                                  see events.py, receiver.py and issuers.py
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ironkeep.access.devices.enrolment import found
from ironkeep.access.posture import (
    events as posture_events,
    issuers as posture_issuers,
    osquery as posture_osquery,
    receiver as posture_receiver,
    reports as posture_reports,
)
from ironkeep.access.posture.reports import Device, bytes_of, shown
from ironkeep.access.posture.state import (
    MAX_EXCEPTION_S,
    RULES,
    SHIPPED,
    Exemption,
    catalogue_of,
    excused_now,
    keep_catalogue,
    keep_state,
    rules_of,
    state_of,
    store_of,
)
from ironkeep.access.second_person import change_guard, waits
from ironkeep.core.device import kev, posture_rules
from ironkeep.core.device.posture_rules import MAX_AGE_S
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied, TooLarge
from ironkeep.core.ids import DeviceId
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.entities import Identity
from ironkeep.identity.lifetimes import is_running
from ironkeep.identity.people import is_same_person
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import Duration
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

"""An exception is temporary; anything longer belongs in the rules, which everybody can read."""
MAX_EXCEPTIONS: Final = 32
MAX_REASON: Final = 512
MAX_SHOWN: Final = 500
"""Catalogue entries shown at once."""


@dataclass(frozen=True)
class RulesFile:
    """A rules file as text."""

    rules: str


@dataclass(frozen=True)
class CatalogueFile:
    """CISA's catalogue file as text."""

    catalogue: str


@dataclass(frozen=True)
class Excuse:
    """An exception: the device, the rule, the reason and the duration."""

    id: str
    rule: str
    reason: str = ""
    ttl: Duration = 0


def read_rules(call: Call) -> Response:
    """Return the rules in force as text, and whether they are the shipped ones."""
    raw = store_of(call).get(RULES)
    rules = rules_of(call)
    return Response(
        data={
            "rules": (raw or SHIPPED).decode(),
            "data_as_of": rules.data_as_of,
            "shipped": raw is None,
        }
    )


def write_rules(call: Call, given: RulesFile) -> Response:
    """Put a rules file in force; a device is judged by it from its next report on."""
    raw = bytes_of(given.rules, posture_rules.MAX_RULES_BYTES)
    rules = posture_rules.decode(raw)
    answer = _change(call, rules)
    if waits(answer):
        return answer
    store_of(call).put(RULES, raw)
    answer.audited |= {"data_as_of": rules.data_as_of, "rules": len(rules.software)}
    return answer


def delete_rules(call: Call) -> Response:
    """Return to the shipped rules."""
    answer = _change(call, posture_rules.decode(SHIPPED))
    if not waits(answer):
        store_of(call).delete(RULES)
    return answer


def _change(call: Call, after: posture_rules.Rules) -> Response:
    """Raise an alert for new rules; rules that demand less anywhere take another person first."""
    before = rules_of(call)
    if after == before:
        return Response()
    weaker = posture_rules.demands_less(after, before)
    return change_guard(
        call, "posture-rules", "the rules that devices are held to were changed", weaker=weaker
    )


def list_devices(call: Call) -> Response:
    """Return the ids of the devices that have a state."""
    keys = store_of(call).list("posture/state")
    if not keys:
        raise NotFound("")
    return Response(data={"keys": keys})


def read_device(call: Call, given: Device) -> Response:
    """Return a device's faults and since when, its exceptions, and the systems that block it."""
    record = found(call, given.id)
    state = state_of(call, record.id)
    return Response(
        data={
            "compliant": record.posture_ok
            and is_running(record.posture_until_ns, MAX_AGE_S, call.now_ns),
            "until": rfc3339(record.posture_until_ns) if record.posture_until_ns else "",
            "reported": rfc3339(state.reported_ns) if state.reported_ns else "",
            "source": state.source,
            "os": state.system,
            "data_as_of": state.data_as_of,
            "findings": [shown(each) for each in state.findings],
            "first_seen": {rule: rfc3339(each.first_ns) for rule, each in state.seen.items()},
            "exceptions": {
                rule: {"by": each.by, "reason": each.reason, "until": rfc3339(each.until_ns)}
                for rule, each in state.excused.items()
            },
            "blocked_by": {name: each.reason for name, each in state.blocks.items() if each.active},
            "needs_version_rule": list(state.needs_rule),
        }
    )


def write_exception(call: Call, given: Excuse) -> Response:
    """Except a device from a rule for a while, from its next report on."""
    if not given.reason or len(given.reason) > MAX_REASON:
        raise InvalidRequest(f"reason: 1 to {MAX_REASON} characters")
    if not 0 < given.ttl <= MAX_EXCEPTION_S:
        raise InvalidRequest(f"ttl: more than 0, at most {MAX_EXCEPTION_S} seconds")
    record = found(call, given.id)
    session = call.actor()
    if is_same_person(call.use(Identity), call.tx, session, record.owner):
        raise PermissionDenied("nobody can except their own device: ask another administrator")
    state = state_of(call, record.id)
    until_ns = call.now_ns + given.ttl * SECOND_NS
    live = excused_now(state, call.now_ns)
    live[given.rule] = Exemption(session.name[:128], given.reason, until_ns)
    if len(live) > MAX_EXCEPTIONS or len(given.rule) > MAX_REASON:
        raise TooLarge(f"a device has at most {MAX_EXCEPTIONS} exceptions")
    keep_state(call, record.id, msgspec.structs.replace(state, excused=live))
    text = f"device {record.id} need not meet {given.rule[:64]!r} until {rfc3339(until_ns)}"
    return change_guard(call, "posture-exception", text, weaker=False)


def delete_exception(call: Call, given: Excuse) -> Response:
    """End an exception; a device that relied on it is refused from its next report on."""
    record = found(call, given.id)
    state = state_of(call, record.id)
    rest = {rule: each for rule, each in state.excused.items() if rule != given.rule}
    keep_state(call, record.id, msgspec.structs.replace(state, excused=rest))
    return Response()


def write_kev(call: Call, given: CatalogueFile) -> Response:
    """Load CISA's catalogue; raise InvalidRequest if it is older than the one loaded."""
    catalogue = kev.parse(bytes_of(given.catalogue, kev.MAX_CATALOGUE))
    before = catalogue_of(call)
    if before is not None and catalogue.released < before.released:
        raise InvalidRequest(f"a newer catalogue is loaded already, that of {before.released}")
    keep_catalogue(call, catalogue)
    return Response(audited={"released": catalogue.released, "entries": len(catalogue.entries)})


def read_kev(call: Call) -> Response:
    """Return the catalogue entries on programs of devices for which there is no version rule."""
    rules, catalogue = rules_of(call), catalogue_of(call)
    ruled = sorted({rule.cve for rule in rules.software if rule.cve})
    data: dict[str, Any] = {"rules_data_as_of": rules.data_as_of, "ruled": ruled}
    if catalogue is not None:
        needed: dict[str, list[str]] = {}
        for name in store_of(call).list("posture/state"):
            for entry in state_of(call, DeviceId(name)).needs_rule:
                needed.setdefault(entry, []).append(name)
        data |= {
            "catalogue": catalogue.version,
            "released": catalogue.released,
            "entries": len(catalogue.entries),
            "needs_version_rule": dict(sorted(needed.items())[:MAX_SHOWN]),
        }
    return Response(data=data)


ROUTES: Final = (
    Route(Operation.READ, "posture/rules", read_rules, help="The rules that devices are held to."),
    Route(
        Operation.UPDATE, "posture/rules", write_rules, RulesFile, sudo=True,
        help="Put a rules file in force.",
    ),
    Route(
        Operation.DELETE, "posture/rules", delete_rules, sudo=True,
        help="Return to the shipped rules.",
    ),
    Route(Operation.LIST, "posture/devices/", list_devices, help="Devices with a state."),
    Route(
        Operation.READ, "posture/devices/{id}", read_device, Device,
        help="The faults of a device.",
    ),
    Route(
        Operation.UPDATE, "posture/exceptions/{id}/{rule}", write_exception, Excuse, sudo=True,
        audited=("id", "rule", "reason", "ttl"), help="Except a device from a rule for a while.",
    ),
    Route(
        Operation.DELETE, "posture/exceptions/{id}/{rule}", delete_exception, Excuse, sudo=True,
        audited=("id", "rule"), help="End an exception.",
    ),
    Route(Operation.READ, "posture/kev", read_kev, help="Catalogue entries that need a rule."),
    Route(
        Operation.UPDATE, "posture/kev", write_kev, CatalogueFile, sudo=True,
        help="Load CISA's catalogue.",
    ),
)  # fmt: skip

POSTURE_ROUTES: Final = (
    *posture_reports.ROUTES,
    *ROUTES,
    *posture_osquery.ROUTES,
    *posture_events.ROUTES,
    *posture_receiver.ROUTES,
    *posture_issuers.ROUTES,
)
"""All routes of posture, which the device engine mounts."""
