"""Enrolled devices, and the check whether a token may be used over a connection.

    sys/devices : device / id -> the record
                  owner / entity / id -> b""
                  authority -> the certificate of the device authority (DER)
                  rules -> the requirements on devices' keys
                  ca / hex sha256 -> a CA (DER) whose certificates listeners accept

A token that is bound to a device or a key works only over a connection that proves that device or
key. So a stolen token, cookie or file of tokens works nowhere else. Malware on the device itself
is limited by step-up, budgets and approvals instead.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, Literal, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ironkeep.core.device.posture_rules import MAX_AGE_S
from ironkeep.core.errors import DeviceRefused, InvalidRequest
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.policy.decision import Deny, denied
from ironkeep.core.ports import Row
from ironkeep.identity.lifetimes import is_running
from ironkeep.plugin.peer import Peer
from ironkeep.plugin.token import TokenRecord
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

PLACE: Final = "sys/devices"
"""The reserved place of this feature's records."""

T = TypeVar("T")

KeyKind = Literal["tpm", "pkcs11", "file"]
"""Where the device's key is kept; a key in a file can be copied."""
Ownership = Literal["corporate", "personal"]
DeviceState = Literal["pending", "active", "revoked"]

KEY_KINDS: Final[tuple[KeyKind, ...]] = ("tpm", "pkcs11", "file")
"""The kinds of keys, the strongest first."""
TOKEN_DEVICE: Final = "token_device"  # noqa: S105  # the name of an option
REQUIRED: Final = "required"
"""An auth mount's option: logins there need an enrolled device."""

AUTHORITY: Final = "authority"
RULES: Final = "rules"

_MAX_REMEMBERED: Final = 4_096


class DeviceRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One device. Times are POSIX nanoseconds; `key` is K_dev as SubjectPublicKeyInfo (DER).

    `decided_by`, `reason` and `expires_ns` are those of the decision that approved it. The verdict
    on its last report holds until `posture_until_ns`; `findings` are its faults in plain words.
    `segments` are those to which it belongs; without any it belongs to the house alone.
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
    """Requirements on a device's key: for enrolment, and for tokens with privileged policies."""

    min_key_kind: KeyKind = "file"
    privileged_policies: tuple[str, ...] = ()


_DEVICE: Final = Codec(DeviceRecord)
_RULES: Final = Codec(DeviceRules)


class Devices:
    """Stores devices, and judges connections by the certificate of the other end.

    `client_cas` are the CAs (DER) in the configuration; `on_trusted` is called with each further CA
    whose client certificates listeners have to accept.
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
        """Return the requirements on devices' keys."""
        raw = self._stores(tx, PLACE).get(RULES)
        return DeviceRules() if raw is None else _RULES.decode(raw)

    def set_rules(self, tx: Tx, rules: DeviceRules) -> None:
        """Replace the requirements for future enrolments and tokens; enrolled devices stay."""
        self._stores(tx, PLACE).put(RULES, _RULES.encode(rules))

    def require_fit(self, tx: Tx, device: DeviceId, policies: Sequence[str]) -> None:
        """Raise DeviceRefused unless a token with these policies may be issued over a device.

        Privileged policies take a device with a key that cannot be copied. `device` is "" for none.
        """
        privileged = set(self.rules(tx).privileged_policies).intersection(policies)
        record = self.get(tx, device) if privileged else None
        if privileged and (record is None or ranks_below(record.key_kind, "pkcs11")):
            raise DeviceRefused(
                f"the policy {min(privileged)} is given only over an enrolled device whose key is "
                "in a TPM or a PKCS#11 token, where it cannot be copied"
            )

    def authority(self, tx: Tx) -> bytes | None:
        """Return the certificate (DER) of the device authority, or None."""
        return self._recall(tx, AUTHORITY, bytes)

    def set_authority(self, tx: Tx, certificate: bytes) -> None:
        """Make this certificate (DER) that of the device authority."""
        self._stores(tx, PLACE).put(AUTHORITY, certificate)

    def trust(self, tx: Tx, certificate: bytes) -> None:
        """Have listeners accept client certificates of a CA (DER), also after a restart."""
        self._stores(tx, PLACE).put(f"ca/{sha256(certificate).hexdigest()}", certificate)
        self.on_trusted(certificate)

    def trusted(self, tx: Tx) -> list[bytes]:
        """Return the certificates (DER) of all CAs whose client certificates listeners accept."""
        store = self._stores(tx, PLACE)
        found = (store.get(f"ca/{name}") for name in store.list("ca"))
        return [each for each in found if each is not None]

    def device_of(self, tx: Tx, peer: Peer | None, now_ns: int) -> DeviceRecord | None:
        """Return the active device that the other end proves to be, or None.

        Its posture is not checked: a device reports its posture over the same kind of connection.
        """
        if peer is None or not peer.device or not self._is_named(tx, peer, now_ns):
            return None
        record = self.get(tx, peer.device)
        if record is None or self.refused(record, now_ns) is not None:
            return None
        return record

    def named(self, tx: Tx, peer: Peer | None, now_ns: int) -> DeviceId:
        """Return the device that a valid certificate of the device authority names, or ""."""
        if peer is None or not peer.device or not self._is_named(tx, peer, now_ns):
            return DeviceId("")
        return peer.device

    def unwelcome(
        self, tx: Tx, peer: Peer, domain: str, now_ns: int
    ) -> tuple[Deny, DeviceId] | None:
        """Return the refusal if the device in a certificate may not log in, and the device.

        None if the login may go on. The device is "" if the device authority did not sign the
        certificate. `domain` is this vault's trust domain: a certificate of another authority that
        names a device of another domain is not refused here.
        """
        if not peer.device:
            return None
        record = self.get(tx, peer.device)
        authority = self.authority(tx)
        if authority is None or not self._is_ours(peer, authority):
            ours = record is not None or peer.domain == domain
            text = "the certificate names a device and is not signed by the device authority"
            return (denied(text), DeviceId("")) if ours else None
        if not peer.from_ns <= now_ns < peer.until_ns:
            refusal: Deny | None = denied(
                f"the certificate of device {peer.device} has expired: its agent renews it"
            )
        elif record is None:
            refusal = denied(f"device {peer.device} is not enrolled")
        else:
            refusal = self.refused(record, now_ns) or _posture(record, now_ns)
        return None if refusal is None else (refusal, peer.device)

    def refusal(self, tx: Tx, token: TokenRecord, peer: Peer | None, now_ns: int) -> Deny | None:
        """Return the refusal if a token may not be used over a connection, None if it may.

        A token bound to neither a device nor a key may be used from anywhere.
        """
        if token.peer:
            if peer is None:
                return denied("the token is bound to a client certificate, and none was presented")
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
        """Return the refusal of a device, apart from its posture; None if it is accepted."""
        if record.state != "active":
            return denied(f"device {record.id} is {record.state}")
        if record.expires_ns and now_ns >= record.expires_ns:
            return denied(f"the approval of device {record.id} has expired: ask for a new one")
        return None

    def _recall(self, tx: Tx, path: str, decode: Callable[[bytes], T]) -> T | None:
        """Return the record at path: looked up after any change, decoded when its row changed."""
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
        """Return whether the device authority issued a certificate, valid or not; cached."""
        known = self._issued.get(peer.certificate)
        if known is None or known[0] != authority:
            if len(self._issued) >= _MAX_REMEMBERED:
                self._issued.clear()
            known = authority, _is_issued(peer.certificate, authority)
            self._issued[peer.certificate] = known
        return known[1]


def ranks_below(kind: KeyKind, least: KeyKind) -> bool:
    """Return whether a kind of key is weaker than the required one."""
    return KEY_KINDS.index(kind) > KEY_KINDS.index(least)


def held_key(record: DeviceRecord, peer: Peer) -> str:
    """Return the hex SHA-256 of the TLS key that a token of this device is bound to, "" for none.

    An attacker who copied a device key out of a file can obtain certificates elsewhere. So the
    tokens of such a device work only with the TLS key of the connection over which they were
    issued, which an agent has in memory and keeps from one certificate to the next. A device key in
    hardware cannot be copied, so its tokens need no such binding.
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
        return denied(found or f"device {record.id} has not reported its posture yet")
    if not is_running(record.posture_until_ns, MAX_AGE_S, now_ns):
        return denied(
            f"the last report of device {record.id} is too old: start its agent to send a new one"
        )
    return None


def _ignored(_certificate: bytes) -> None:
    """Do nothing: the default while no listener asks for client certificates."""


def _is_name(device: DeviceId) -> bool:
    return bool(device) and "/" not in device


def _path(device: DeviceId) -> str:
    return f"device/{device}"
