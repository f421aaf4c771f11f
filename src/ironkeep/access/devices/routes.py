"""The routes of the device engine for devices, their key requirements and the authority."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from ironkeep.access.devices.authority import authority_of, pem
from ironkeep.access.devices.devices import KEY_KINDS, DeviceRecord, Devices, ranks_below
from ironkeep.access.devices.enrolment import found
from ironkeep.access.second_person import change_guard, waits
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.identity.entities import Identity
from ironkeep.identity.policies import normalise_names
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import PolicyNames
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_POLICIES: Final = 128
"""Names of privileged policies: they are in one record, read for every token that is issued."""


@dataclass(frozen=True)
class Device:
    """Names a device."""

    id: str


@dataclass(frozen=True)
class Rules:
    """The requirements to change; an omitted one stays as it is."""

    min_key_kind: str | None = None
    privileged_policies: PolicyNames | None = None


def list_devices(call: Call) -> Response:
    """Return all devices, with the decision on each."""
    info: dict[str, Any] = {}
    for device in call.use(Devices).ids(call.tx):
        record = call.use(Devices).get(call.tx, device)
        if record is not None:
            info[device] = _shown(call, record)
    if not info:
        raise NotFound("")
    return Response(data={"keys": list(info), "key_info": info})


def read_device(call: Call, given: Device) -> Response:
    """Return one device: its owner, the decision on it, and its posture."""
    return Response(data=_shown(call, found(call, given.id)))


def read_ca(call: Call) -> Response:
    """Return the certificate of the device authority, which is made now if there is none."""
    return Response(data={"certificate": pem(authority_of(call).certificate)})


def read_rules(call: Call) -> Response:
    """Return the requirements on devices' keys."""
    return Response(data=msgspec.structs.asdict(call.use(Devices).rules(call.tx)))


def write_rules(call: Call, given: Rules) -> Response:
    """Change the requirements on devices' keys; weaker ones need another person's approval."""
    before = rules = call.use(Devices).rules(call.tx)
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
    text = "the requirements on devices' keys were changed"
    answer = change_guard(call, "device-rules", text, weaker=weaker)
    if not waits(answer):
        call.use(Devices).set_rules(call.tx, rules)
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
    known = call.use(Identity).get(call.tx, entity) if entity else None
    return "" if known is None else known.name


ROUTES: Final = (
    Route(Operation.LIST, "devices/", list_devices, help="All devices, and the decisions on them."),
    Route(Operation.READ, "devices/{id}", read_device, Device, help="One device."),
    Route(Operation.READ, "ca", read_ca, help="The certificate of the device authority."),
    Route(Operation.READ, "rules", read_rules, help="The requirements on devices' keys."),
    Route(
        Operation.UPDATE, "rules", write_rules, Rules, sudo=True,
        audited=("min_key_kind", "privileged_policies"),
        help="Change the requirements on devices' keys.",
    ),
)  # fmt: skip
