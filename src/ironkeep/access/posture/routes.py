"""The `posture/` routes of the device engine: reports, rules, exceptions and the KEV catalogue.

posture/nonce                          a nonce for a device's next report
posture/report                         a device's signed report; open: the signature is the proof
posture/rules                          the rules in force
posture/devices/<id>                   the faults of a device, since when, and its exceptions
posture/exceptions/<id>/<rule>         one device is excepted from one rule, for a while
posture/kev                            CISA's catalogue, and which of its entries need a rule
osquery/*                              see osquery.py
ssf/*                                  see events.py and receiver.py
"""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.devices import nonces
from ironkeep.access.devices.devices import DeviceRecord, Devices
from ironkeep.access.devices.enrolment import base64_of, device_id, found
from ironkeep.access.posture import (
    events as posture_events,
    osquery as posture_osquery,
    receiver as posture_receiver,
)
from ironkeep.access.posture.state import (
    AGENT,
    RULES,
    SHIPPED,
    Exemption,
    catalogue_of,
    judge,
    keep_catalogue,
    keep_state,
    rules_of,
    state_of,
    store_of,
)
from ironkeep.access.second_person import change_guard, waits
from ironkeep.core.device import kev, posture_report, posture_rules
from ironkeep.core.device.posture import Finding, Verdict
from ironkeep.core.device.proof import verify
from ironkeep.core.errors import DeviceRefused, InvalidRequest, NotFound, PermissionDenied, TooLarge
from ironkeep.core.ids import DeviceId
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.entities import Identity
from ironkeep.identity.people import is_same_person
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import Duration
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_EXCEPTION_S: Final = 30 * 86_400
"""An exception is temporary; anything longer belongs in the rules, which everybody can read."""
MAX_EXCEPTIONS: Final = 32
MAX_REASON: Final = 512
MAX_SHOWN: Final = 500
"""Catalogue entries shown at once."""

_UNKNOWN: Final = "no such device, or the signature is not that of its key"


@dataclass(frozen=True)
class Device:
    """Names a device."""

    id: str


@dataclass(frozen=True)
class SignedReport:
    """A report as JSON text in its canonical form, and the device's signature."""

    id: str
    report: str
    signature: str = field(metadata={"help": "of K_dev over context and report: base64 of DER"})


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


def give_nonce(call: Call, given: Device) -> Response:
    """Return a nonce that a device can use once, within minutes."""
    return Response(data={"nonce": nonces.give(call, device_id(given.id))})


def take_report(call: Call, given: SignedReport) -> Response:
    """Judge a report that the device's key signed over a fresh nonce."""
    raw = _bytes(given.report, posture_report.MAX_REPORT)
    record = call.use(Devices).get(call.tx, device_id(given.id))
    if record is None:
        raise PermissionDenied(_UNKNOWN)
    # `named` ignores a certificate that the authority did not sign: it must raise no false alert.
    other = call.use(Devices).named(call.tx, call.request.peer, call.now_ns)
    if other not in {"", record.id}:
        _alarm(call, record, f"device {other} sent a report in the name of this one")
        raise PermissionDenied(_UNKNOWN)
    # Signature first: a stranger who knows a device's id must not be able to use up its nonces.
    message = posture_report.signed_bytes(raw)
    try:
        verify(record.key, message, base64_of(given.signature, "signature"))
        report = parsed(raw, record.id)
        nonces.take(call, record.id, report.nonce)
    except PermissionDenied as error:
        _alarm(call, record, f"a posture report was refused: {error}")
        raise
    refusal = call.use(Devices).refused(record, call.now_ns)
    if refusal is not None:
        raise DeviceRefused(refusal.say)
    verdict = judge(call, record, report, AGENT)
    return _answer(call, record, verdict)


def parsed(raw: bytes, device: DeviceId) -> posture_report.Report:
    """Return the report in raw; raise InvalidRequest, or PermissionDenied for another device."""
    report = posture_report.decode(raw)
    if report.device_id != device:
        raise PermissionDenied("the report names another device")
    return report


def judged(call: Call, record: DeviceRecord, text: str, nonce: str) -> DeviceRecord:
    """Judge a report that is part of another signed request; return the device after it.

    The caller has verified a signature over the report's text and the nonce, and used the nonce up.
    Raise InvalidRequest, or PermissionDenied if the report names another nonce or device.
    """
    report = parsed(_bytes(text, posture_report.MAX_REPORT), record.id)
    if report.nonce != nonce:
        raise PermissionDenied("the report has another nonce")
    judge(call, record, report, AGENT)
    after = call.use(Devices).get(call.account, record.id)
    assert after is not None
    return after


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
    raw = _bytes(given.rules, posture_rules.MAX_RULES_BYTES)
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
            "compliant": record.posture_ok and call.now_ns < record.posture_until_ns,
            "until": rfc3339(record.posture_until_ns) if record.posture_until_ns else "",
            "reported": rfc3339(state.reported_ns) if state.reported_ns else "",
            "source": state.source,
            "os": state.system,
            "data_as_of": state.data_as_of,
            "findings": [_shown(each) for each in state.findings],
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
    live = {rule: each for rule, each in state.excused.items() if each.until_ns > call.now_ns}
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
    catalogue = kev.parse(_bytes(given.catalogue, kev.MAX_CATALOGUE))
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


def _answer(call: Call, record: DeviceRecord, verdict: Verdict) -> Response:
    after = call.use(Devices).get(call.account, record.id)
    assert after is not None
    return Response(
        data={
            "compliant": verdict.compliant,
            "until": rfc3339(verdict.until_ns),
            "refused_because": list(after.findings),
            "findings": [_shown(each) for each in verdict.findings],
        },
        audited={
            "device": record.id,
            "compliant": verdict.compliant,
            "findings": [each.rule for each in verdict.findings],
            "data_as_of": rules_of(call).data_as_of,
        },
    )


def _shown(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "text": finding.text,
        "cve": finding.cve,
        "source": finding.source,
        "data_as_of": finding.data_as_of,
        "grace_until": rfc3339(finding.until_ns) if finding.until_ns else "",
    }


def _bytes(text: str, most: int) -> bytes:
    """Return text as UTF-8; raise TooLarge past `most`, InvalidRequest for invalid text."""
    if len(text) > most:
        raise TooLarge(f"at most {most} bytes")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("the text is not UTF-8") from None


def _alarm(call: Call, record: DeviceRecord, text: str) -> None:
    call.use(Alerts).repeated(
        call.account, "posture-forged", text, call.now_ns, subject="report",
        entity=record.owner, device=record.id, path=call.request.path,
    )  # fmt: skip


ROUTES: Final = (
    Route(
        Operation.UPDATE, "posture/nonce", give_nonce, Device, open=True,
        help="A nonce for a device's next report.",
    ),
    Route(
        Operation.UPDATE, "posture/report", take_report, SignedReport, open=True, audited=("id",),
        help="A device's signed report of its state.",
    ),
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
    *ROUTES,
    *posture_osquery.ROUTES,
    *posture_events.ROUTES,
    *posture_receiver.ROUTES,
)
"""All routes of posture, which the device engine mounts."""
