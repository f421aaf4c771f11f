"""CAEP receiver: signed events by which an MDM or identity provider acts on a device or person.

    ssf / taken / hour / digest -> a SET that was accepted

Specs: Security Event Token (SET, RFC 8417), push-based delivery (RFC 8935), subject identifiers
(RFC 9493), CAEP 1.0. A push is a POST of application/secevent+jwt. The answer is 202, or an error
in the usual form whose text begins with RFC 8935's code. `issuers.py` pins the issuers.

Only the issuer of a block can lift it. An external event never clears a device: after a block is
lifted its next report decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.devices.devices import DeviceRecord, Devices
from ironkeep.access.devices.enrolment import device_id
from ironkeep.access.posture.events import CAEP, COMPLIANCE, TYPE
from ironkeep.access.posture.issuers import Issuer, issuers_of, keys_of
from ironkeep.access.posture.state import Block, conclude, keep_state, state_of, store_of
from ironkeep.core.device.posture import Verdict
from ironkeep.core.errors import InvalidRequest, PermissionDenied, TooLarge, TooManyRequests
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.entities import Identity
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_SET: Final = 16 * 1024
"""Characters of an event; typical ones have about 700."""
MAX_AGE_S: Final = 24 * 3600
"""Transmitters retry for a while; an older event is rejected."""
MAX_SKEW_S: Final = 60
MAX_AN_HOUR: Final = 10_000
"""Events accepted of one hour; it bounds the records against replay."""
CLEARED_AT_ONCE: Final = 1_000
"""Old records that one event deletes; the next event deletes more."""
ALGORITHMS: Final = ("ES256", "ES384", "RS256", "PS256", "EdDSA")
REVOKED: Final = f"{CAEP}session-revoked"

_MAX_TEXT: Final = 256
_HOUR_S: Final = 3_600


@dataclass(frozen=True)
class Push:
    """A Security Event Token, compact."""

    set: str


def receive(call: Call, given: Push) -> Response:
    """Accept one event, once.

    (1) Its issuer is pinned; (2) it is signed by a key pinned for that issuer, with one of
    `ALGORITHMS`; (3) its typ is that of a SET; (4) it is addressed to this server; (5) it was
    issued in the last day; (6) it was not accepted before. Only then is it acted upon.
    """
    if len(given.set) > MAX_SET:
        raise TooLarge(f"invalid_request: an event has at most {MAX_SET} characters")
    name, issuer = _issuer_of(call, given.set)
    claims = _verified(issuer, given.set)
    audience = claims.get("aud")
    if issuer.audience not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequest("invalid_audience: the event is not addressed to this server")
    issued = claims.get("iat")
    now_s = call.now_ns // SECOND_NS
    if type(issued) is not int or not now_s - MAX_AGE_S <= issued <= now_s + MAX_SKEW_S:
        raise InvalidRequest("invalid_request: iat is not of the last 24 hours")
    identity = claims.get("jti")
    if not isinstance(identity, str) or not 0 < len(identity) <= _MAX_TEXT:
        raise InvalidRequest("invalid_request: jti is missing")
    # In the request's own transaction: neither the record nor a change is kept without the other.
    call = msgspec.structs.replace(call, account=call.tx, records=None)
    changes = _changes(call, name, issuer, claims, issued * SECOND_NS)
    _take(call, name, identity, issued)
    done = [change() for change in changes]
    return Response(accepted=True, audited={"issuer": name, "jti": identity, "done": done})


def _issuer_of(call: Call, token: str) -> tuple[str, Issuer]:
    """Return the pinned issuer that a token names; the token is not verified yet."""
    claims = _json(_unverified(token))
    for name, issuer in issuers_of(call).items():
        if issuer.iss == claims.get("iss"):
            return name, issuer
    raise PermissionDenied("invalid_issuer: no such issuer is pinned")


def _unverified(token: str) -> bytes:
    try:
        return jws.extract_compact(token.encode()).payload
    except (JoseError, ValueError, TypeError):
        raise InvalidRequest("invalid_request: not a signed event") from None


def _verified(issuer: Issuer, token: str) -> dict[str, Any]:
    try:
        found = jws.deserialize_compact(token, keys_of(issuer.jwks), algorithms=list(ALGORITHMS))
    except (JoseError, ValueError, TypeError):
        raise PermissionDenied("invalid_key: no pinned key has signed the event") from None
    if str(found.headers().get("typ", "")).lower().removeprefix("application/") != TYPE:
        raise InvalidRequest(f"invalid_request: typ is not {TYPE}")
    return _json(found.payload)


def _json(raw: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidRequest("invalid_request: not a JSON object")
    return document


def _take(call: Call, name: str, identity: str, issued: int) -> None:
    """Record an event as accepted; raise InvalidRequest if it was accepted before."""
    store, hour = store_of(call), issued // _HOUR_S
    digest = sha256(f"{name}\0{identity}".encode("utf-8", "surrogatepass")).hexdigest()
    path = f"ssf/taken/{hour}/{digest}"
    if store.get(path) is not None:
        raise InvalidRequest("invalid_request: this event was accepted already")
    known = store.list("ssf/taken")
    oldest = (call.now_ns // SECOND_NS - MAX_AGE_S) // _HOUR_S
    for folder in known:
        if int(folder.removesuffix("/")) < oldest:
            store.clear(f"ssf/taken/{folder}", CLEARED_AT_ONCE)
    if len(store.list(f"ssf/taken/{hour}", MAX_AN_HOUR)) >= MAX_AN_HOUR:
        raise TooManyRequests("too many events of one hour: try again in the next")
    store.put(path, b"\x01")


def _changes(
    call: Call, name: str, issuer: Issuer, claims: dict[str, Any], at_ns: int
) -> list[Callable[[], str]]:
    """Check all events of a SET; return the actions of those that the issuer has the power for."""
    subject, events = claims.get("sub_id"), claims.get("events")
    if not isinstance(subject, dict) or not isinstance(events, dict) or not events:
        raise InvalidRequest("invalid_request: sub_id or events are missing")
    changes: list[Callable[[], str]] = []
    for uri, event in events.items():
        if not isinstance(event, dict):
            raise InvalidRequest("invalid_request: an event is an object")
        if uri == COMPLIANCE and "compliance" in issuer.may:
            record = _subject(call, subject)[0]
            status = event.get("current_status")
            if status not in ("compliant", "not-compliant") or record is None:
                raise InvalidRequest(
                    "invalid_request: a compliance change names a device and its status"
                )
            changes.append(partial(_comply, call, name, record.id, event, at_ns))
        elif uri == REVOKED and "sessions" in issuer.may:
            changes.append(partial(_revoke, call, _subject(call, subject)[1], at_ns))
    return changes


def _comply(call: Call, name: str, device: DeviceId, event: dict[str, Any], at_ns: int) -> str:
    record = call.use(Devices).get(call.tx, device)
    assert record is not None
    status = event["current_status"]
    state = state_of(call, record.id)
    known = state.blocks.get(name)
    bad = status == "not-compliant"
    if known is not None and (at_ns < known.at_ns or (at_ns == known.at_ns and not bad)):
        return f"{record.id}: an older event, ignored"
    block = Block(_reason(event), at_ns, bad)
    state = msgspec.structs.replace(state, blocks={**state.blocks, name: block})
    keep_state(call, record.id, state)
    if bad or not record.posture_ok:
        # An external event never clears a device: its next report decides.
        conclude(call, record, state, Verdict(False, (), record.posture_until_ns))
    return f"{record.id}: {status}"


def _revoke(call: Call, entity: EntityId, at_ns: int) -> str:
    # Up to now, not up to the event: an attacker could have renewed a session since.
    call.use(Tokens).revoke_entity_before(call.tx, entity, max(at_ns, call.now_ns), call.now_ns)
    call.use(Alerts).raise_(
        call.account, "sessions-revoked", "another system ended the sessions of a person",
        call.now_ns, entity=entity, path=call.request.path,
    )  # fmt: skip
    return f"sessions of {entity} ended"


def _subject(call: Call, subject: dict[str, Any]) -> tuple[DeviceRecord | None, EntityId]:
    """Return the device and the person that a subject names; for a device alone, its owner.

    Raise InvalidRequest if either is unknown, or if the device is another person's: the intention
    must not be guessed.
    """
    record = _device(call, subject)
    named = _person(call, subject)
    if record is None and not named:
        raise InvalidRequest("invalid_request: no such person or device")
    if record is None:
        return None, named
    if "user" in subject and named != record.owner:
        raise InvalidRequest("invalid_request: the device is not the named user's")
    return record, record.owner


def _device(call: Call, subject: dict[str, Any]) -> DeviceRecord | None:
    """Return the device that a subject names by our id (as opaque or iss_sub), or None."""
    text = _named(subject.get("device"))
    if not text:
        if "device" in subject:
            raise InvalidRequest("invalid_request: the device is named in an unknown format")
        return None
    record: DeviceRecord | None = call.use(Devices).get(call.account, device_id(text))
    if record is None:
        raise InvalidRequest("invalid_request: no such device")
    return record


def _person(call: Call, subject: dict[str, Any]) -> EntityId:
    """Return the person that a subject names by entity id or name, or ""."""
    text = _named(subject.get("user") or subject)
    if not text:
        return EntityId("")
    entity = call.use(Identity).get(call.tx, EntityId(text)) or call.use(Identity).by_name(
        call.tx, text
    )
    return EntityId("") if entity is None else entity.id


def _named(subject: object) -> str:
    if not isinstance(subject, dict):
        return ""
    text = subject.get({"opaque": "id", "iss_sub": "sub"}.get(str(subject.get("format")), ""))
    fit = isinstance(text, str) and len(text) <= _MAX_TEXT and "/" not in text
    return str(text) if fit and str(text).isprintable() else ""


def _reason(event: dict[str, Any]) -> str:
    """Return the event's reason for people, cut and made printable."""
    reasons = event.get("reason_user") or event.get("reason_admin")
    text = ""
    if isinstance(reasons, dict):
        text = str(reasons.get("en") or next(iter(reasons.values()), ""))
    shown = "".join(char for char in text if char.isprintable())[:_MAX_TEXT]
    return shown or "this device is not compliant; ask the administrators of that system why."


ROUTES: Final = (
    Route(Operation.UPDATE, "ssf/events", receive, Push, open=True, help="Deliver an event."),
)
