"""Certificates valid for minutes, for devices that prove their key and report their posture.

Both routes are open: a device has no token before its person logs in, and its key identifies it.
One signature covers nonce, signing request and report together, so that parts of two requests
cannot be combined.
"""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.devices import nonces
from ironkeep.access.devices.authority import (
    MAX_CSR,
    authority_of,
    issue,
    name_of,
    pem,
    requested_key,
)
from ironkeep.access.devices.devices import DeviceRecord, Devices
from ironkeep.access.devices.enrolment import base64_of, device_id
from ironkeep.access.posture.reports import judged
from ironkeep.core.device.posture_report import MAX_REPORT
from ironkeep.core.device.proof import certificate_message, verify
from ironkeep.core.errors import DeviceRefused, InvalidRequest, PermissionDenied, TooLarge
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.plugin.settings import ServerSettings

LIFE_SECONDS: Final = 20 * 60
"""The longest use of a copied certificate and key; an agent renews its own at half of this."""
_UNKNOWN: Final = "no such device, or the signature is not that of its key"


@dataclass(frozen=True)
class Device:
    """Names a device."""

    id: str


@dataclass(frozen=True)
class Ask:
    """A signed request for a certificate: `csr` is PEM, `report` the posture as JSON text."""

    id: str
    csr: str
    nonce: str
    report: str
    signature: str = field(metadata={"help": "of K_dev over all of these: base64 of DER"})


def give_nonce(call: Call, given: Device) -> Response:
    """Return a nonce that a device can use once, within five minutes."""
    return Response(data={"nonce": nonces.give(call, device_id(given.id))})


def certificate(call: Call, given: Ask) -> Response:
    """Return a client certificate for an active device whose report is compliant."""
    record = proved(call, given)
    refusal = call.use(Devices).refused(record, call.now_ns)
    if refusal is not None:
        raise DeviceRefused(refusal.say)
    key = requested_key(given.csr)
    after = judged(call, record, given.report, given.nonce)
    if not after.posture_ok:
        raise DeviceRefused("; ".join(after.findings))
    authority = authority_of(call)
    uri = name_of(call.use(ServerSettings), record.id)
    made = issue(authority, uri, key, call.now_ns, LIFE_SECONDS, call.entropy)
    return Response(
        data={
            "certificate": made.public_bytes(Encoding.PEM).decode(),
            "ca": pem(authority.certificate),
            "expires": rfc3339(call.now_ns + LIFE_SECONDS * SECOND_NS),
        },
        audited={"device": record.id, "serial": f"{made.serial_number:x}"},
    )


def proved(call: Call, given: Ask) -> DeviceRecord:
    """Return the device whose key signed the request, and use its nonce up.

    Raise PermissionDenied, with an alert if the device exists. The signature is verified before the
    nonce is used up: otherwise anybody who knows a device's id could invalidate its nonces.
    """
    if len(given.csr) > MAX_CSR or len(given.report) > MAX_REPORT:
        raise TooLarge(f"csr: at most {MAX_CSR} characters, report: at most {MAX_REPORT}")
    record = call.use(Devices).get(call.tx, device_id(given.id))
    if record is None:
        raise PermissionDenied(_UNKNOWN)
    try:
        message = certificate_message(record.id, given.nonce, given.csr, given.report)
    except UnicodeEncodeError:
        raise InvalidRequest("the signed text must be UTF-8") from None
    try:
        verify(record.key, message, base64_of(given.signature, "signature"))
        nonces.take(call, record.id, given.nonce)
    except PermissionDenied as error:
        call.use(Alerts).repeated(
            call.account, "device-proof", f"a request for a certificate was refused: {error}",
            call.now_ns, subject="certificate", device=record.id, path=call.request.path,
        )  # fmt: skip
        raise
    return record


ROUTES: Final = (
    Route(
        Operation.UPDATE, "nonce", give_nonce, Device, open=True,
        help="A nonce for a device's next signed request.",
    ),
    Route(
        Operation.UPDATE, "certificate", certificate, Ask, open=True, audited=("id",),
        help="A client certificate of minutes, for a compliant device.",
    ),
)  # fmt: skip
