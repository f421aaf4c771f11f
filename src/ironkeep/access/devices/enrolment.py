"""Enrolment of devices: requested by a person, proved by the device's key, decided by another.

    enrolments / id -> an enrolment whose key is not proved yet
    keys / sha256   -> the device with this key, for ever unless it was refused

Starting requires a login within the last minutes, so that a copied token cannot enrol a device. The
key is proved before other people are asked to decide. The decision is made by another person with
the sudo capability, on another device.
"""

from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.devices.devices import KEY_KINDS, DeviceRecord, Devices, Ownership, ranks_below
from ironkeep.access.step_up.authenticators import Authenticators
from ironkeep.core.device.proof import device_key, enrol_message, verify
from ironkeep.core.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TooManyRequests,
)
from ironkeep.core.ids import DeviceId, EntityId, MountAccessor, uuid
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.entities import Identity
from ironkeep.identity.people import are_standing, creator_of, is_same_person
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList, Duration
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import Session
from ironkeep.seal.segments import Segments
from ironkeep.store.record import Codec
from ironkeep.store.reserved import MOUNTS

FRESH_SECONDS: Final = 10 * 60
"""The greatest age of a login that enrols a device: a person does both in one sitting."""
PROVE_SECONDS: Final = 10 * 60
MAX_PERSONAL_SECONDS: Final = 90 * 86_400
"""A personal device is approved for a quarter at most: only its owner patches it."""
MAX_OPEN: Final = 16
"""Devices of one person that are waiting for the proof of the key or for a decision."""
MAX_NAME: Final = 128
MAX_REASON: Final = 1_024

OWNERSHIPS: Final[tuple[Ownership, ...]] = ("corporate", "personal")
PASSKEY: Final = "passkey"
"""The type of the auth method that uses authenticators instead of passwords."""
_NONCE_BYTES: Final = 32
_AUTH: Final = "auth/"


class Enrolment(msgspec.Struct, frozen=True):
    """An enrolment that was started and whose key is not proved yet."""

    record: DeviceRecord
    nonce: str


_CODEC: Final = Codec(Enrolment)


@dataclass(frozen=True)
class Start:
    """A device to be enrolled; `key_spki` is its public key, base64 of DER."""

    name: str = field(metadata={"help": "how people know it"})
    key_spki: str = field(metadata={"help": "SubjectPublicKeyInfo of K_dev: base64 of DER"})
    ownership: str = field(default="", metadata={"help": "corporate or personal"})
    key_kind: str = field(default="file", metadata={"help": "tpm, pkcs11 or file"})


@dataclass(frozen=True)
class Prove:
    """The signature of K_dev over the id and nonce from `enrol/start`: base64 of DER."""

    id: str
    signature: str


@dataclass(frozen=True)
class Approve:
    """An approval: its reason, its end, and the segments that the device may use."""

    id: str
    reason: str = field(metadata={"help": "why it is approved; must contain no secret"})
    until: Duration = field(default=0, metadata={"help": "for how long; 0 is for ever"})
    segments: CommaList = ()


@dataclass(frozen=True)
class Reason:
    """The reason for refusing or revoking a device."""

    id: str
    reason: str = field(metadata={"help": "why; must contain no secret"})


def start(call: Call, given: Start) -> Response:
    """Start the enrolment of a device of the caller's; return its id and a nonce to sign."""
    owner = _fresh_person(call)
    if given.ownership not in OWNERSHIPS or given.key_kind not in KEY_KINDS:
        raise InvalidRequest("ownership is corporate or personal; key_kind tpm, pkcs11 or file")
    spki = base64_of(given.key_spki, "key_spki")
    device_key(spki)
    least = call.use(Devices).rules(call.tx).min_key_kind
    if ranks_below(given.key_kind, least):
        raise InvalidRequest(
            f"a device key must be kept in {least} or better here, not in {given.key_kind}"
        )
    _refuse_known(call, spki)
    _tidy(call, owner)
    record = DeviceRecord(
        DeviceId(uuid(call.entropy.token(16))),
        owner,
        words(given.name, "name", MAX_NAME),
        given.ownership,
        given.key_kind,
        spki,
        call.now_ns,
    )
    nonce = urlsafe_b64encode(call.entropy.token(_NONCE_BYTES)).decode()
    call.store.put(f"enrolments/{record.id}", _CODEC.encode(Enrolment(record, nonce)))
    audited = {"device": record.id, "key": sha256(spki).hexdigest()}
    return Response(data={"id": record.id, "nonce": nonce}, audited={**audited})


def prove(call: Call, given: Prove) -> Response:
    """Verify that the device has its key; from then on the device waits for a decision."""
    path = f"enrolments/{device_id(given.id)}"
    raw = call.store.get(path)
    enrolment = None if raw is None else _CODEC.decode(raw)
    owner = creator_of(call.actor())
    if enrolment is None or enrolment.record.owner != owner or _is_stale(call, enrolment):
        raise InvalidRequest("you started no such enrolment, or it took too long: start again")
    record = enrolment.record
    message = enrol_message(record.id, enrolment.nonce)
    verify(record.key, message, base64_of(given.signature, "signature"))
    _refuse_known(call, record.key)
    call.store.delete(path)
    call.store.put(_key_path(record.key), record.id.encode())
    call.use(Devices).put(call.tx, record)
    text = (
        f"{record.name} ({record.ownership}, key in {record.key_kind}) waits for a decision: "
        f"device/approve/{record.id}"
    )
    call.use(Alerts).raise_(call.tx, "device", text, call.now_ns, entity=owner, device=record.id)
    return Response(data={"id": record.id, "state": record.state, "owner": owner})


def approve(call: Call, given: Approve) -> Response:
    """Approve a device, or renew its approval before or after its end."""
    record = found(call, given.id)
    if record.state == "revoked":
        raise Conflict("the device is revoked: enrol it again with a new key")
    by = _another(call, record)
    if record.state == "pending" and not are_standing(
        call.use(Identity), call.tx, {record.owner}, record.created_ns
    ):
        raise Conflict(
            "the owner's access was ended after this enrolment, and somebody else may have made "
            "it: refuse it, and have the device enrolled again"
        )
    if record.ownership == "personal" and not 0 < given.until <= MAX_PERSONAL_SECONDS:
        raise InvalidRequest(
            "a personal device is approved for at most 90 days, because only its owner patches it, "
            "and then decided on again. Give until, such as 30d"
        )
    known = call.use(Segments).table(call.tx).by_name
    missing = [name for name in given.segments if name not in known]
    if missing:
        raise InvalidRequest(f"there is no segment {missing[0]}")
    decided = msgspec.structs.replace(
        record,
        state="active",
        decided_by=by,
        reason=words(given.reason, "reason", MAX_REASON),
        decided_ns=call.now_ns,
        expires_ns=call.now_ns + given.until * SECOND_NS if given.until else 0,
        segments=tuple(given.segments),
    )
    call.use(Devices).put(call.tx, decided)
    return Response(audited={"owner": record.owner, "ownership": record.ownership})


def refuse(call: Call, given: Reason) -> Response:
    """Refuse a pending device; its key may be enrolled again."""
    record = found(call, given.id)
    if record.state != "pending":
        raise Conflict("the device has been decided on already: revoke it instead")
    _end(call, record, given)
    call.store.delete(_key_path(record.key))
    return Response(audited={"owner": record.owner})


def revoke(call: Call, given: Reason) -> Response:
    """Revoke a device at once, with every token bound to it; its key cannot be enrolled again."""
    record = found(call, given.id)
    session = call.actor()
    if record.owner not in session.people and not call.may_sudo():
        raise PermissionDenied("revoking another person's device takes the sudo capability")
    ended = _end(call, record, given)
    return Response(data={"tokens": ended}, audited={"owner": record.owner, "tokens": ended})


def found(call: Call, device: str) -> DeviceRecord:
    """Return a device; raise NotFound."""
    record = call.use(Devices).get(call.tx, device_id(device))
    if record is None:
        raise NotFound("no such device")
    return record


def device_id(text: str) -> DeviceId:
    """Return text as a device id; raise InvalidRequest if it has not the form of one."""
    parts = text.split("-", 5)  # Bounded: a stranger may send a megabyte of dashes.
    if [len(part) for part in parts] != [8, 4, 4, 4, 12] or set(text) - set("-0123456789abcdef"):
        raise InvalidRequest("a device id is a UUID")
    return DeviceId(text)


def words(text: str, what: str, limit: int) -> str:
    """Return a person's text, stripped; raise InvalidRequest if empty, long or not printable."""
    text = text.strip()
    if not 0 < len(text) <= limit or not text.isprintable():
        raise InvalidRequest(f"{what}: 1 to {limit} printable characters")
    return text


def base64_of(text: str, what: str) -> bytes:
    """Return the decoded bytes of standard base64; raise InvalidRequest."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise InvalidRequest(f"{what} is not base64") from None


def _fresh_person(call: Call) -> EntityId:
    """Return the person of a fresh login; raise PermissionDenied for every other token.

    A person with an authenticator must have logged in with it: a stolen password enrols no device.
    """
    record = call.actor().record
    fresh = call.now_ns - record.issued_ns <= FRESH_SECONDS * SECOND_NS
    login = record.path.startswith(_AUTH) and not record.parent
    if not (record.entity and login and fresh) or record.path.startswith("auth/token/"):
        raise PermissionDenied(
            "only a person who has just logged in can enrol a device: log in again, then enrol"
        )
    if call.use(Authenticators).of(call.tx, record.entity) and not _by_passkey(call, record.mount):
        raise PermissionDenied("you have a passkey: log in with it, then enrol the device")
    return record.entity


def _by_passkey(call: Call, accessor: MountAccessor) -> bool:
    mounts = call.use(Mounts).table(call.services.store(call.tx, MOUNTS)).by_path.values()
    return any(each.accessor == accessor and each.type == PASSKEY for each in mounts)


def _another(call: Call, record: DeviceRecord) -> EntityId:
    """Return the person who decides; raise PermissionDenied for the owner or from the device."""
    session: Session = call.actor()
    by = creator_of(session)
    if not by:
        raise PermissionDenied(
            "only a person can decide on a device: log in as one with the sudo capability"
        )
    if is_same_person(call.use(Identity), call.tx, session, record.owner):
        raise PermissionDenied("another person has to decide on your device")
    if session.record.device == record.id:
        raise PermissionDenied("nobody decides on a device from that device")
    return by


def _refuse_known(call: Call, spki: bytes) -> None:
    if call.store.get(_key_path(spki)) is not None:
        raise Conflict("a device with this key is or was enrolled: make a new key")


def _end(call: Call, record: DeviceRecord, given: Reason) -> int:
    """Revoke a device and every token bound to it; return the number of tokens."""
    ended = msgspec.structs.replace(
        record,
        state="revoked",
        decided_by=creator_of(call.actor()),
        reason=words(given.reason, "reason", MAX_REASON),
        decided_ns=call.now_ns,
        posture_ok=False,
    )
    call.use(Devices).put(call.tx, ended)
    count = 0
    for name in list(call.use(Tokens).store.owned(call.tx, record.owner)):
        token = call.use(Tokens).store.load(call.tx, name)
        if token is not None and token.device == record.id:
            call.use(Tokens).revoke(call.tx, name, call.now_ns)
            count += 1
    return count


def _tidy(call: Call, owner: EntityId) -> None:
    """Drop stale enrolments; raise TooManyRequests if too many devices of owner are waiting."""
    count = 0
    for name in call.store.list("enrolments"):
        raw = call.store.get(f"enrolments/{name}")
        enrolment = None if raw is None else _CODEC.decode(raw)
        if enrolment is None or _is_stale(call, enrolment):
            call.store.delete(f"enrolments/{name}")
        else:
            count += enrolment.record.owner == owner
    mine = (
        call.use(Devices).get(call.tx, each) for each in call.use(Devices).owned(call.tx, owner)
    )
    count += sum(1 for each in mine if each is not None and each.state == "pending")
    if count >= MAX_OPEN:
        raise TooManyRequests(
            f"{count} of your devices are waiting: have them approved or refused first"
        )


def _is_stale(call: Call, enrolment: Enrolment) -> bool:
    return call.now_ns - enrolment.record.created_ns > PROVE_SECONDS * SECOND_NS


def _key_path(spki: bytes) -> str:
    return f"keys/{sha256(spki).hexdigest()}"


ROUTES: Final = (
    Route(
        Operation.UPDATE, "enrol/start", start, Start, audited=("name", "ownership", "key_kind"),
        help="Start to enrol a device of yours.",
    ),
    Route(
        Operation.UPDATE, "enrol/prove", prove, Prove, audited=("id",),
        help="Prove that the device has its key.",
    ),
    Route(
        Operation.UPDATE, "approve/{id}", approve, Approve, sudo=True,
        audited=("reason", "until", "segments"), help="Approve a device: why, and until when.",
    ),
    Route(
        Operation.UPDATE, "refuse/{id}", refuse, Reason, sudo=True, audited=("reason",),
        help="Refuse a pending device.",
    ),
    Route(
        Operation.UPDATE, "revoke/{id}", revoke, Reason, audited=("reason",),
        help="Revoke a device at once: your own, or with sudo any device."
    ),
)  # fmt: skip
