"""Enrolled devices, and whether a token may be used from where it is used.

    sys/devices : device / id -> the record
                  owner / entity / id -> b""
                  authority -> the certificate of the device authority (DER)
                  rules -> what a device's key must be, and for whom
                  ca / hex sha256 -> a CA (DER) whose certificates listeners accept

A token that is bound to a device, or to a key, is good over a connection that proves it and nowhere
else. Theft of a token, of a cookie or of a file full of them is therefore worth nothing; what runs
on the device itself is for step-up, budgets and other people to bound.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, Literal, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ironkeep.core.errors import DeviceRefused, InvalidRequest
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.policy.decision import Deny, denied
from ironkeep.core.ports import Row
from ironkeep.plugin.peer import Peer
from ironkeep.plugin.token import TokenRecord
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

PLACE: Final = "sys/devices"
"""The reserved place of this feature's records."""

T = TypeVar("T")

KeyKind = Literal["tpm", "pkcs11", "file"]
"""Where the device's key is, the strongest first; a file can be copied."""
Ownership = Literal["corporate", "personal"]
DeviceState = Literal["pending", "active", "revoked"]

KEY_KINDS: Final[tuple[KeyKind, ...]] = ("tpm", "pkcs11", "file")
"""The strongest first."""
TOKEN_DEVICE: Final = "token_device"  # noqa: S105  # the name of an option
REQUIRED: Final = "required"
"""An auth mount's option: logins there need an enrolled device."""

AUTHORITY: Final = "authority"
RULES: Final = "rules"

_MAX_REMEMBERED: Final = 4_096


class DeviceRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One device. Times are POSIX nanoseconds; `key` is K_dev as SubjectPublicKeyInfo (DER).

    `decided_by`, `reason` and `expires_ns` are the decision that let it in. `posture_until_ns` is
    how long its last report is believed; `findings` say in plain words what was wrong with it.
    `segments` are those that it may ask, none meaning the house alone.
    """

    id: DeviceId
    owner: EntityId
    name: str
    ownership: Ownership
    key_kind: KeyKind
    key: bytes
    created_ns: int
    state: DeviceState = "pending"
    decided_by: EntityId = EntityId("")
    reason: str = ""
    decided_ns: int = 0
    expires_ns: int = 0
    posture_ok: bool = False
    posture_until_ns: int = 0
    findings: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()


class DeviceRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a device's key must be to be enrolled, and to hold a token with privileged policies."""

    min_key_kind: KeyKind = "file"
    privileged_policies: tuple[str, ...] = ()


_DEVICE: Final = Codec(DeviceRecord)
_RULES: Final = Codec(DeviceRules)


class Devices:
    """Keeps devices, and judges the ends of connections.

    `client_cas` are the CAs (DER) that the configuration names; `on_trusted` is called with each
    CA that listeners are to accept besides.
    """

    client_cas: tuple[bytes, ...] = ()

    def __init__(self, stores: StoreOf) -> None:
        self.on_trusted: Callable[[bytes], None] = _ignored
        self._stores: Final = stores
        self._issued: dict[bytes, tuple[bytes, bool]] = {}
        self._read: dict[str, tuple[int, Row | None, Any]] = {}

    def get(self, tx: Tx, device: DeviceId) -> DeviceRecord | None:
        """Return a device, or None."""
        return self._recall(tx, _path(device), _DEVICE.decode) if _is_name(device) else None

    def put(self, tx: Tx, record: DeviceRecord) -> None:
        """Store a device, new or changed."""
        if not _is_name(record.id):
            raise InvalidRequest("no such device id")
        store = self._stores(tx, PLACE)
        store.put(_path(record.id), _DEVICE.encode(record))
        store.put(f"owner/{record.owner}/{record.id}", b"")

    def ids(self, tx: Tx) -> list[DeviceId]:
        """Return the ids of all devices, sorted."""
        return [DeviceId(name) for name in self._stores(tx, PLACE).names("device")]

    def owned(self, tx: Tx, owner: EntityId) -> list[DeviceId]:
        """Return the ids of a person's devices, sorted."""
        return [DeviceId(name) for name in self._stores(tx, PLACE).names(f"owner/{owner}")]

    def rules(self, tx: Tx) -> DeviceRules:
        """Return what devices' keys must be."""
        raw = self._stores(tx, PLACE).get(RULES)
        return DeviceRules() if raw is None else _RULES.decode(raw)

    def set_rules(self, tx: Tx, rules: DeviceRules) -> None:
        """Ask this of devices from now on; what is enrolled stays."""
        self._stores(tx, PLACE).put(RULES, _RULES.encode(rules))

    def require_fit(self, tx: Tx, device: DeviceId, policies: Sequence[str]) -> None:
        """Raise DeviceRefused unless a token with these policies may be issued over a device.

        Privileged policies need a key that cannot be copied. `device` is "" for none.
        """
        privileged = set(self.rules(tx).privileged_policies).intersection(policies)
        record = self.get(tx, device) if privileged else None
        if privileged and (record is None or ranks_below(record.key_kind, "pkcs11")):
            raise DeviceRefused(
                f"the policy {min(privileged)} is given only over an enrolled device whose key is "
                "in a TPM or a PKCS#11 token, where it cannot be copied"
            )

    def authority(self, tx: Tx) -> bytes | None:
        """Return the certificate (DER) of the authority that names devices, or None."""
        return self._recall(tx, AUTHORITY, bytes)

    def set_authority(self, tx: Tx, certificate: bytes) -> None:
        """Name devices by certificates of this authority (DER) from now on."""
        self._stores(tx, PLACE).put(AUTHORITY, certificate)

    def trust(self, tx: Tx, certificate: bytes) -> None:
        """Let listeners accept handshakes by certificates of a CA (DER), after restarts too."""
        self._stores(tx, PLACE).put(f"ca/{sha256(certificate).hexdigest()}", certificate)
        self.on_trusted(certificate)

    def trusted(self, tx: Tx) -> list[bytes]:
        """Return the certificates (DER) of all CAs that listeners are to accept."""
        store = self._stores(tx, PLACE)
        found = (store.get(f"ca/{name}") for name in store.list("ca"))
        return [each for each in found if each is not None]

    def device_of(self, tx: Tx, peer: Peer | None, now_ns: int) -> DeviceRecord | None:
        """Return the active device at the other end, None when there is none to be believed.

        Its posture is not asked here: a device reports it over the same kind of connection.
        """
        if peer is None or not peer.device or not self._is_named(tx, peer, now_ns):
            return None
        record = self.get(tx, peer.device)
        if record is None or self.refused(record, now_ns) is not None:
            return None
        return record

    def named(self, tx: Tx, peer: Peer | None, now_ns: int) -> DeviceId:
        """Return the device that a certificate of the device authority names; "" for none."""
        if peer is None or not peer.device or not self._is_named(tx, peer, now_ns):
            return DeviceId("")
        return peer.device

    def unwelcome(
        self, tx: Tx, peer: Peer, domain: str, now_ns: int
    ) -> tuple[Deny, DeviceId] | None:
        """Return the refusal when the device that a certificate names may not log in, and which.

        A device that is turned away is not "no device". The device is "" where the authority did
        not sign what names it. `domain` is this house's: a certificate of another authority that
        names a device elsewhere names none of ours. None when the login may go on.
        """
        if not peer.device:
            return None
        record = self.get(tx, peer.device)
        authority = self.authority(tx)
        if authority is None or not self._is_ours(peer, authority):
            ours = record is not None or peer.domain == domain
            text = "the certificate names a device and is not of the device authority"
            return (denied(text), DeviceId("")) if ours else None
        if not peer.from_ns <= now_ns < peer.until_ns:
            refusal: Deny | None = denied(
                f"the certificate of device {peer.device} has ended: its agent asks anew"
            )
        elif record is None:
            refusal = denied(f"device {peer.device} is not enrolled")
        else:
            refusal = self.refused(record, now_ns) or _posture(record, now_ns)
        return None if refusal is None else (refusal, peer.device)

    def refusal(self, tx: Tx, token: TokenRecord, peer: Peer | None, now_ns: int) -> Deny | None:
        """Return the refusal when a token may not be used from there, None when it may.

        A token bound to neither a device nor a key may be used from anywhere.
        """
        if token.peer:
            if peer is None:
                return denied("the token is bound to a client certificate, and none was shown")
            if peer.key != token.peer or not peer.from_ns <= now_ns < peer.until_ns:
                return denied("the token is bound to the key of another client certificate")
        if not token.device:
            return None
        if peer is None or not peer.device:
            return denied(f"the token is bound to device {token.device}, and came from none")
        if peer.device != token.device or not self._is_named(tx, peer, now_ns):
            return denied(f"the token is bound to device {token.device}, and came from another")
        record = self.get(tx, token.device)
        if record is None:
            return denied(f"device {token.device} is not enrolled")
        return self.refused(record, now_ns) or _posture(record, now_ns)

    def refused(self, record: DeviceRecord, now_ns: int) -> Deny | None:
        """Return the refusal when a device is not welcome, its posture aside; None when it is."""
        if record.state != "active":
            return denied(f"device {record.id} is {record.state}")
        if record.expires_ns and now_ns >= record.expires_ns:
            return denied(f"the decision to let device {record.id} in has ended: ask for a new one")
        return None

    def _recall(self, tx: Tx, path: str, decode: Callable[[bytes], T]) -> T | None:
        """Return what is at path; read again when anything changed, decoded when its row did."""
        stamp = tx.stamp()
        known = self._read.get(path)
        if known is None or not stamp or known[0] != stamp:
            store = self._stores(tx, PLACE)
            row = store.row(path)
            if known is None or known[1] is not row:
                opened = None if row is None else decode(store.open_row(store.key_of(path), row))
            else:
                opened = known[2]
            if len(self._read) >= _MAX_REMEMBERED:
                self._read.clear()
            known = self._read[path] = stamp, row, opened
        found: T | None = known[2]
        return found

    def _is_named(self, tx: Tx, peer: Peer, now_ns: int) -> bool:
        """Return whether a certificate is valid now and was issued by the device authority."""
        if not peer.from_ns <= now_ns < peer.until_ns:
            return False
        authority = self.authority(tx)
        return authority is not None and self._is_ours(peer, authority)

    def _is_ours(self, peer: Peer, authority: bytes) -> bool:
        """Return whether a certificate was ever issued by the device authority; remembered."""
        known = self._issued.get(peer.certificate)
        if known is None or known[0] != authority:
            if len(self._issued) >= _MAX_REMEMBERED:
                self._issued.clear()
            known = authority, _is_issued(peer.certificate, authority)
            self._issued[peer.certificate] = known
        return known[1]


def ranks_below(kind: KeyKind, least: KeyKind) -> bool:
    """Return whether a key of this kind is weaker than the least that is asked for."""
    return KEY_KINDS.index(kind) > KEY_KINDS.index(least)


def held_key(record: DeviceRecord, peer: Peer) -> str:
    """Return the hex SHA-256 of the TLS key that a token of this device is bound to, "" for none.

    Who copied a device key out of a file can ask for certificates elsewhere. So such a device's
    tokens hold only with the key of the connection that they were issued over, which an agent has
    in memory and keeps from one certificate to the next. A key in hardware is there to be asked.
    """
    return peer.key if record.key_kind == "file" else ""


def _is_issued(certificate: bytes, authority: bytes) -> bool:
    try:
        issuer = x509.load_der_x509_certificate(authority)
        x509.load_der_x509_certificate(certificate).verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _posture(record: DeviceRecord, now_ns: int) -> Deny | None:
    if not record.posture_ok:
        found = "; ".join(record.findings)
        return denied(found or f"device {record.id} has not reported its state yet")
    if now_ns >= record.posture_until_ns:
        return denied(
            f"device {record.id} has fallen silent: start its agent, which reports at once"
        )
    return None


def _ignored(_certificate: bytes) -> None:
    """Take no notice: no listener asks for client certificates."""


def _is_name(device: DeviceId) -> bool:
    return bool(device) and "/" not in device


def _path(device: DeviceId) -> str:
    return f"device/{device}"
