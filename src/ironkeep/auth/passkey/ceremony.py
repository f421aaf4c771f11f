"""Challenges, bound to a purpose and a subject, good for two minutes and for one use.

    used / minute / hash of the id -> b""

A challenge is an HMAC over its id. The id holds version, purpose, expiry, a random number and the
hash of the subject. So challenge requests use no storage, however many unauthenticated clients
send them. A used challenge is marked until it would have expired; the mark is written through
`call.account`, which is committed even when the login is refused.
"""

import hmac
import struct
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from ironkeep.auth.passkey.settings import challenge_key
from ironkeep.core.errors import InvalidCredentials, InvalidRequest
from ironkeep.core.units import SECOND_NS
from ironkeep.core.webauthn import webauthn
from ironkeep.plugin.call import Call
from ironkeep.store.barrier import Store

LIFE_NS: Final = 120 * SECOND_NS
"""Time to find the security key; the page gives up after a minute."""
NONCE_BYTES: Final = 16
PRUNE: Final = 256
"""Marks of past minutes removed at each login, so that they never pile up."""

_FORM: Final = struct.Struct(">BBQ16s32s")
_VERSION: Final = 1
_BUCKET_NS: Final = 60 * SECOND_NS


class Purpose(IntEnum):
    """The purpose of a challenge; a challenge of one purpose is refused for another."""

    LOGIN = 1
    ADD = 2
    REGISTER = 3


@dataclass(frozen=True, slots=True)
class Ceremony:
    """An outstanding challenge; `subject` is the hash of the name or ticket it is bound to."""

    id: str
    challenge: bytes
    subject: bytes
    expires_ns: int


def subject_of(*parts: str) -> bytes:
    """Return the subject hash of some texts, each prefixed by its length."""
    return sha256(b"".join(struct.pack(">I", len(p.encode())) + p.encode() for p in parts)).digest()


def begin(call: Call, purpose: Purpose, subject: bytes) -> Ceremony:
    """Make a challenge; raise InvalidRequest before the mount is configured."""
    expires_ns = call.now_ns + LIFE_NS
    nonce = call.entropy.token(NONCE_BYTES)
    raw = _FORM.pack(_VERSION, purpose, expires_ns, nonce, subject)
    return Ceremony(webauthn.encode(raw), _challenge(call, raw), subject, expires_ns)


def resume(call: Call, purpose: Purpose, text: str) -> Ceremony:
    """Return the challenge of an id; raise InvalidCredentials when it expired or was used.

    The id itself is not authenticated here: a forged id yields another challenge, so the signature
    does not verify.
    """
    raw = webauthn.decode(text, _FORM.size)
    if len(raw) != _FORM.size:
        raise InvalidRequest("no such challenge")
    version, kind, expires_ns, _, subject = _FORM.unpack(raw)
    if version != _VERSION or kind != purpose:
        raise InvalidRequest("that challenge is for something else")
    if not call.now_ns < expires_ns <= call.now_ns + LIFE_NS:
        raise InvalidCredentials("the challenge has expired: begin again")
    found = Ceremony(text, _challenge(call, raw), subject, expires_ns)
    if _marks(call).get(_mark(found)) is not None:
        raise InvalidCredentials("the challenge was already used: begin again")
    return found


def use_up(call: Call, ceremony: Ceremony) -> None:
    """Mark a challenge as used.

    Call it only after verifying the assertion: otherwise unauthenticated clients could fill the
    disk.
    """
    store = _marks(call)
    for minute in store.list("used", PRUNE):
        if (int(minute.rstrip("/")) + 1) * _BUCKET_NS <= call.now_ns:
            store.clear(f"used/{minute}", PRUNE)
    store.put(_mark(ceremony), b"")


def _challenge(call: Call, raw: bytes) -> bytes:
    return hmac.digest(challenge_key(call), b"ironkeep passkey challenge\n" + raw, "sha256")


def _mark(ceremony: Ceremony) -> str:
    name = sha256(ceremony.id.encode()).hexdigest()
    return f"used/{ceremony.expires_ns // _BUCKET_NS}/{name}"


def _marks(call: Call) -> Store:
    store: Store = call.lasting
    return store
