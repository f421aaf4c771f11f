"""The device engine: which machines may speak for people, by whose decision, and until when.

device/enrol/start|prove                 by the device's person   see device_enrolment.py
device/approve|refuse|revoke/<id>        by somebody else
device/devices/  device/devices/<id>     who decided, why, until when
device/nonce     device/certificate      by the device itself     see device_certificates.py
device/rules                             what a device's key must be
device/ca                                the authority's certificate
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from ironkeep.access.approvals.second_person import change_guard, waits
from ironkeep.access.devices import (
    certificates as device_certificates,
    enrolment as device_enrolment,
)
from ironkeep.access.devices.authority import authority_of, pem
from ironkeep.access.devices.devices import KEY_KINDS, DeviceRecord, ranks_below
from ironkeep.access.devices.enrolment import found
from ironkeep.access.posture.routes import POSTURE_ROUTES
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.identity.policies import normalise_names
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import PolicyNames
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_POLICIES: Final = 128
"""Names of privileged policies: one record, looked at with every token that is issued."""


class DeviceEngine:
    """Enrolment, certificates and posture of devices."""

    type: Final = "device"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes of all the parts."""
        return ALL_ROUTES


@dataclass(frozen=True)
class Device:
    """Names a device."""

    id: str


@dataclass(frozen=True)
class Rules:
    """What to ask of devices; what is left out stays."""

    min_key_kind: str | None = None
    privileged_policies: PolicyNames | None = None


def list_devices(call: Call) -> Response:
    """Return the ids of all devices, with what was decided on each."""
    house: House = call.house
    info: dict[str, Any] = {}
    for device in house.devices.ids(call.tx):
        record = house.devices.get(call.tx, device)
        if record is not None:
            info[device] = _shown(call, record)
    if not info:
        raise NotFound("")
    return Response(data={"keys": list(info), "key_info": info})


def read_device(call: Call, given: Device) -> Response:
    """Return one device: whose it is, who let it in, why, until when, and how it is."""
    return Response(data=_shown(call, found(call, given.id)))


def read_ca(call: Call) -> Response:
    """Return the certificate of the authority that names devices, made now if there is none."""
    return Response(data={"certificate": pem(authority_of(call).certificate)})


def read_rules(call: Call) -> Response:
    """Return what devices' keys must be."""
    house: House = call.house
    return Response(data=msgspec.structs.asdict(house.devices.rules(call.tx)))


def write_rules(call: Call, given: Rules) -> Response:
    """Change what devices' keys must be, from now on; to ask for less takes another person."""
    house: House = call.house
    before = rules = house.devices.rules(call.tx)
    if given.min_key_kind is not None:
        if given.min_key_kind not in KEY_KINDS:
            raise InvalidRequest(f"min_key_kind is one of {', '.join(KEY_KINDS)}")
        rules = msgspec.structs.replace(rules, min_key_kind=given.min_key_kind)
    if given.privileged_policies is not None:
        if len(given.privileged_policies) > MAX_POLICIES:
            raise InvalidRequest(f"at most {MAX_POLICIES} policies are privileged")
        names = normalise_names(given.privileged_policies, add_default=False)
        rules = msgspec.structs.replace(rules, privileged_policies=names)
    if rules == before:
        return Response()
    fewer = set(before.privileged_policies) - set(rules.privileged_policies)
    weaker = ranks_below(rules.min_key_kind, before.min_key_kind) or bool(fewer)
    text = "what the keys of devices must be was changed"
    answer = change_guard(call, "device-rules", text, weaker=weaker)
    if not waits(answer):
        house.devices.set_rules(call.tx, rules)
    return answer


def _shown(call: Call, record: DeviceRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "owner": record.owner,
        "owner_name": _name(call, record.owner),
        "ownership": record.ownership,
        "key_kind": record.key_kind,
        "key": sha256(record.key).hexdigest(),
        "state": record.state,
        "created": rfc3339(record.created_ns),
        "decided_by": record.decided_by,
        "decided_by_name": _name(call, record.decided_by),
        "decided": rfc3339(record.decided_ns) if record.decided_ns else "",
        "reason": record.reason,
        "until": rfc3339(record.expires_ns) if record.expires_ns else "",
        "segments": list(record.segments),
        "compliant": record.posture_ok,
        "compliant_until": rfc3339(record.posture_until_ns) if record.posture_until_ns else "",
        "findings": list(record.findings),
    }


def _name(call: Call, entity: EntityId) -> str:
    house: House = call.house
    known = house.identity.get(call.tx, entity) if entity else None
    return "" if known is None else known.name


ROUTES: Final = (
    Route(Operation.LIST, "devices/", list_devices, help="All devices, and what was decided."),
    Route(Operation.READ, "devices/{id}", read_device, Device, help="One device."),
    Route(Operation.READ, "ca", read_ca, help="The authority that names devices."),
    Route(Operation.READ, "rules", read_rules, help="What devices' keys must be."),
    Route(
        Operation.UPDATE, "rules", write_rules, Rules, sudo=True,
        audited=("min_key_kind", "privileged_policies"), help="What devices' keys must be.",
    ),
)  # fmt: skip

ALL_ROUTES: Final = (
    *ROUTES,
    *device_enrolment.ROUTES,
    *device_certificates.ROUTES,
    *POSTURE_ROUTES,
)
