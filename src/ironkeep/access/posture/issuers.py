"""Pinned issuers: the other systems whose signed events `receiver.py` accepts.

    ssf / issuer / name -> a pinned issuer: iss, keys, our audience, powers

An issuer's keys are pinned as a JWK set (RFC 7517); they are never fetched. With the power
`compliance` they block devices and lift the issuer's own blocks, with `sessions` they end sessions
of people. So changing or unpinning an issuer takes another person. Unpinning lifts its blocks.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ironkeep.access.posture.state import keep_state, state_of, store_of
from ironkeep.access.second_person import change_guard, waits
from ironkeep.core.errors import InvalidRequest, NotFound, TooLarge
from ironkeep.core.ids import DeviceId
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part, unescape_part

MAX_JWKS: Final = 32 * 1024
MAX_KEYS: Final = 16
MAX_ISSUERS: Final = 16
POWERS: Final = ("compliance", "sessions")

_MAX_TEXT: Final = 256
_MIN_MODULUS: Final = 342
"""Characters in base64url of 2,048 bits."""


class Issuer(msgspec.Struct, frozen=True):
    """A pinned issuer; its events are signed by a key in `jwks` (JSON text), for `audience`."""

    iss: str
    audience: str
    jwks: str
    may: tuple[str, ...]


_ISSUER: Final = Codec(Issuer)


@dataclass(frozen=True)
class IssuerInput:
    """A pinned issuer."""

    name: str
    iss: str = ""
    audience: str = ""
    jwks: str = ""
    may: CommaList = POWERS


def write_issuer(call: Call, given: IssuerInput) -> Response:
    """Pin an issuer: from now on its events are accepted.

    Changing a pinned issuer takes another person, because its keys can lift blocks.
    """
    for text in (given.name, given.iss, given.audience):
        if not 0 < len(text) <= _MAX_TEXT or not text.isprintable():
            raise InvalidRequest(f"name, iss and audience: 1 to {_MAX_TEXT} printable characters")
    if not given.may or not set(given.may) <= set(POWERS):
        raise InvalidRequest(f"may is one or more of {', '.join(POWERS)}")
    keys_of(given.jwks)
    others = {name: each for name, each in issuers_of(call).items() if name != given.name}
    if len(others) >= MAX_ISSUERS or any(each.iss == given.iss for each in others.values()):
        raise InvalidRequest(f"at most {MAX_ISSUERS} issuers, each pinned once")
    issuer = Issuer(given.iss, given.audience, given.jwks, tuple(given.may))
    is_known = given.name in issuers_of(call)
    text = f"the issuer of events {given.name} was pinned"
    answer = change_guard(call, "event-issuer", text, weaker=is_known)
    if not waits(answer):
        store_of(call).put(f"ssf/issuer/{escape_part(given.name)}", _ISSUER.encode(issuer))
    return answer


def read_issuer(call: Call, given: IssuerInput) -> Response:
    """Return a pinned issuer."""
    issuer = issuers_of(call).get(given.name)
    if issuer is None:
        raise NotFound("")
    return Response(data=msgspec.structs.asdict(issuer) | {"may": list(issuer.may)})


def delete_issuer(call: Call, given: IssuerInput) -> Response:
    """Unpin an issuer and lift its blocks; the devices' next reports decide."""
    text = f"the issuer of events {given.name} was unpinned"
    answer = change_guard(call, "event-issuer", text, weaker=True)
    if waits(answer):
        return answer
    store = store_of(call)
    store.delete(f"ssf/issuer/{escape_part(given.name)}")
    for name in store.names("posture/state"):
        state = state_of(call, DeviceId(name))
        if given.name in state.blocks:
            rest = {who: each for who, each in state.blocks.items() if who != given.name}
            keep_state(call, DeviceId(name), msgspec.structs.replace(state, blocks=rest))
    return answer


def list_issuers(call: Call) -> Response:
    """Return the names of the pinned issuers."""
    names = sorted(issuers_of(call))
    if not names:
        raise NotFound("")
    return Response(data={"keys": names})


def issuers_of(call: Call) -> dict[str, Issuer]:
    """Return the pinned issuers by name."""
    store = store_of(call)
    found = {}
    for name in store.list("ssf/issuer"):
        raw = store.get(f"ssf/issuer/{name}")
        if raw is not None:
            found[unescape_part(name)] = _ISSUER.decode(raw)
    return found


def keys_of(text: str) -> KeySet:
    """Return a JWK set of public keys, each with its own id; raise InvalidRequest."""
    if len(text) > MAX_JWKS:
        raise TooLarge(f"jwks: at most {MAX_JWKS} characters")
    try:
        document = json.loads(text)
        weak = not all(_is_fit(key) for key in document["keys"])
        keys = KeySet([]) if weak else KeySet.import_key_set(document)
        ids = {each.get("kid") for each in document["keys"]}
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InvalidRequest("jwks is not a JWK set") from None
    if weak or not 0 < len(keys.keys) <= MAX_KEYS or None in ids or len(ids) != len(keys.keys):
        raise InvalidRequest(
            f"jwks: 1 to {MAX_KEYS} public keys, EC, OKP or RSA of 2048 bits, "
            "each with a kid of its own"
        )
    return keys


def _is_fit(key: dict[str, Any]) -> bool:
    if key["kty"] not in ("EC", "OKP", "RSA") or "d" in key:
        return False
    return key["kty"] != "RSA" or len(key["n"]) >= _MIN_MODULUS


ROUTES: Final = (
    Route(Operation.LIST, "ssf/issuers/", list_issuers, help="The pinned issuers."),
    Route(Operation.READ, "ssf/issuers/{name}", read_issuer, IssuerInput, help="A pinned issuer."),
    Route(
        Operation.UPDATE, "ssf/issuers/{name}", write_issuer, IssuerInput, sudo=True, makes=True,
        audited=("name", "iss", "audience", "may"), help="Pin an issuer.",
    ),
    Route(
        Operation.DELETE, "ssf/issuers/{name}", delete_issuer, IssuerInput, sudo=True,
        audited=("name",), help="Unpin an issuer.",
    ),
)  # fmt: skip
