"""CAEP transmitter: each change of our verdict on a device, as a signed event to be polled.

    ssf / key          -> the signing key (ECDSA P-256, a scalar), inside the barrier
    ssf / out / number -> one Security Event Token, signed
    ssf / next         -> the next number

Specs: Security Event Token (RFC 8417), poll-based delivery (RFC 8936), CAEP 1.0
device-compliance-change. There is one stream, for one receiver: an event is deleted when it is
acknowledged. Past `MAX_KEPT` the oldest are dropped; the journal has all changes.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc import jws
from joserfc.jwk import ECKey

from ironkeep.access.devices.devices import DeviceRecord
from ironkeep.core.ids import uuid
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.plugin.settings import ServerSettings
from ironkeep.store.barrier import Store

MAX_KEPT: Final = 1_000
MAX_POLLED: Final = 100
CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
COMPLIANCE: Final = f"{CAEP}device-compliance-change"
TYPE: Final = "secevent+jwt"

_KEY: Final = "ssf/key"
_NEXT: Final = "ssf/next"
_OUT: Final = "ssf/out"
_KEY_BYTES: Final = 40
"""Eight bytes more than the order of the curve: the bias of the remainder is below 2^-64."""
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_DIGITS: Final = 12


@dataclass(frozen=True)
class Poll:
    """The events that a receiver acknowledges, and how many it wants now."""

    ack: CommaList = ()
    maxEvents: int = field(default=MAX_POLLED, metadata={"help": "RFC 8936, 2.2."})  # noqa: N815


def emit(call: Call, record: DeviceRecord, compliant: bool, reason: str) -> None:
    """Sign and store the event that a device became compliant or not compliant."""
    store = _store(call)
    states = ("not-compliant", "compliant") if compliant else ("compliant", "not-compliant")
    event: dict[str, Any] = {
        "previous_status": states[0],
        "current_status": states[1],
        "event_timestamp": call.now_ns // SECOND_NS,
        "initiating_entity": "policy",
    }
    if reason:
        event["reason_user"] = {"en": reason}
    issuer = _issuer(call)
    identity = uuid(call.entropy.token(16))
    claims = {
        "iss": issuer,
        "jti": identity,
        "iat": call.now_ns // SECOND_NS,
        "aud": issuer,
        "sub_id": {
            "format": "complex",
            "device": {"format": "iss_sub", "iss": issuer, "sub": record.id},
        },
        "events": {COMPLIANCE: event},
    }
    key = _key(call)
    token = jws.serialize_compact(
        {"alg": "ES256", "typ": TYPE, "kid": key.thumbprint()}, msgspec.json.encode(claims), key
    )
    number = int(store.get(_NEXT) or b"0")
    store.put(f"{_OUT}/{number:0{_DIGITS}d}", f"{identity} {token}".encode())
    store.put(_NEXT, b"%d" % (number + 1))
    if number >= MAX_KEPT:
        store.delete(f"{_OUT}/{number - MAX_KEPT:0{_DIGITS}d}")


def poll(call: Call, given: Poll) -> Response:
    """Delete acknowledged events; return the next ones, the oldest first."""
    store, taken = _store(call), set(given.ack)
    sets: dict[str, str] = {}
    wanted = max(0, min(given.maxEvents, MAX_POLLED))
    more = False
    for name in store.list(_OUT):
        raw = store.get(f"{_OUT}/{name}") or b""
        identity, _, token = raw.decode().partition(" ")
        if identity in taken:
            store.delete(f"{_OUT}/{name}")
        elif len(sets) < wanted:
            sets[identity] = token
        else:
            more = True
    return Response(body={"sets": sets, "moreAvailable": more})


def read_jwks(call: Call) -> Response:
    """Return the public key of the events' signatures, as a JWK set."""
    key = _key(call)
    public = {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": "ES256"}
    return Response(body={"keys": [public]})


def _issuer(call: Call) -> str:
    return call.use(ServerSettings).api_addr or f"https://{call.use(ServerSettings).cluster_name}"


def _store(call: Call) -> Store:
    store: Store = call.lasting
    return store


def _key(call: Call) -> ECKey:
    store = _store(call)
    raw = store.get(_KEY)
    if raw is None:
        raw = call.entropy.token(_KEY_BYTES)
        store.put(_KEY, raw)
    scalar = int.from_bytes(raw, "big") % (_ORDER - 1) + 1
    return ECKey.import_key(_pem(ec.derive_private_key(scalar, ec.SECP256R1())))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


ROUTES: Final = (
    Route(
        Operation.UPDATE, "ssf/poll", poll, Poll, sudo=True, audited=("ack",),
        help="Events on devices for another system to act on (RFC 8936).",
    ),
    Route(Operation.READ, "ssf/jwks", read_jwks, open=True, help="The key that signs events."),
)  # fmt: skip
