"""Certificates of minutes, for devices that prove their key and tell of their state.

Both routes are open: a device has no token before its person logs in, and its key is what it is
known by. A signature covers nonce, signing request and report together, so that no part of one
answer can be joined with a part of another.
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
from ironkeep.access.posture.routes import judged
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
"""What a copied certificate with its key is worth, at most; an agent renews it at half its life."""
_UNKNOWN: Final = "no such device, or it is not its signature"


@dataclass(frozen=True)
class Device:
    """Names a device."""

    id: str


@dataclass(frozen=True)
class Ask:
    """What a device signs: `csr` is PEM, `report` its posture as JSON text."""

    id: str
    csr: str
    nonce: str
    report: str
    signature: str = field(metadata={"help": "of K_dev over all of these: base64 of DER"})


def give_nonce(call: Call, given: Device) -> Response:
    """Return a nonce that a device can use once, within five minutes."""
    return Response(data={"nonce": nonces.give(call, device_id(given.id))})


def certificate(call: Call, given: Ask) -> Response:
    """Return a client certificate for a device that is welcome and in good state."""
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
    """Return the device whose key signed what was sent, once; raise PermissionDenied, and say so.

    The signature is looked at before the nonce is used up: a stranger who knows an id takes nothing
    from the device.
    """
    if len(given.csr) > MAX_CSR or len(given.report) > MAX_REPORT:
        raise TooLarge(f"csr: at most {MAX_CSR} characters, report: at most {MAX_REPORT}")
    record = call.use(Devices).get(call.tx, device_id(given.id))
    if record is None:
        raise PermissionDenied(_UNKNOWN)
    try:
        message = certificate_message(record.id, given.nonce, given.csr, given.report)
    except UnicodeEncodeError:
        raise InvalidRequest("what is signed is UTF-8") from None
    try:
        verify(record.key, message, base64_of(given.signature, "signature"))
        nonces.take(call, record.id, given.nonce)
    except PermissionDenied as error:
        call.use(Alerts).repeated(
            call.account, "device-proof", f"a certificate was asked for in vain: {error}",
            call.now_ns, subject="certificate", device=record.id, path=call.request.path,
        )  # fmt: skip
        raise
    return record


ROUTES: Final = (
    Route(
        Operation.UPDATE, "nonce", give_nonce, Device, open=True,
        help="What a device is to sign next, with its request.",
    ),
    Route(
        Operation.UPDATE, "certificate", certificate, Ask, open=True, audited=("id",),
        help="A client certificate of minutes, for a device in good state.",
    ),
)  # fmt: skip
