"""Reports of posture that a device's agent signs, sent alone or as part of another request.

posture/nonce      a nonce for a device's next report
posture/report     a device's signed report; open: the signature is the proof

The signature by K_dev covers the report, which names the device and contains a fresh nonce, so a
recorded report is refused. A forged report raises an alert. `state.py` judges accepted ones.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.devices import nonces
from ironkeep.access.devices.devices import DeviceRecord, Devices
from ironkeep.access.devices.enrolment import base64_of, device_id
from ironkeep.access.posture.state import AGENT, judge, rules_of
from ironkeep.core.device import posture_report
from ironkeep.core.device.posture import Finding, Verdict
from ironkeep.core.device.proof import verify
from ironkeep.core.errors import DeviceRefused, InvalidRequest, PermissionDenied, TooLarge
from ironkeep.core.ids import DeviceId
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

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


def give_nonce(call: Call, given: Device) -> Response:
    """Return a nonce that a device can use once, within minutes."""
    return Response(data={"nonce": nonces.give(call, device_id(given.id))})


def take_report(call: Call, given: SignedReport) -> Response:
    """Judge a report that the device's key signed over a fresh nonce."""
    raw = bytes_of(given.report, posture_report.MAX_REPORT)
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
    report = parsed(bytes_of(text, posture_report.MAX_REPORT), record.id)
    if report.nonce != nonce:
        raise PermissionDenied("the report has another nonce")
    judge(call, record, report, AGENT)
    after = call.use(Devices).get(call.account, record.id)
    assert after is not None
    return after


def _answer(call: Call, record: DeviceRecord, verdict: Verdict) -> Response:
    after = call.use(Devices).get(call.account, record.id)
    assert after is not None
    return Response(
        data={
            "compliant": verdict.compliant,
            "until": rfc3339(verdict.until_ns),
            "refused_because": list(after.findings),
            "findings": [shown(each) for each in verdict.findings],
        },
        audited={
            "device": record.id,
            "compliant": verdict.compliant,
            "findings": [each.rule for each in verdict.findings],
            "data_as_of": rules_of(call).data_as_of,
        },
    )


def shown(finding: Finding) -> dict[str, Any]:
    """Return a finding as responses show it."""
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "text": finding.text,
        "cve": finding.cve,
        "source": finding.source,
        "data_as_of": finding.data_as_of,
        "grace_until": rfc3339(finding.until_ns) if finding.until_ns else "",
    }


def bytes_of(text: str, most: int) -> bytes:
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
)  # fmt: skip
