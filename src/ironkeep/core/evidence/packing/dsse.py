"""DSSE envelopes (secure-systems-lab/dsse, v1.0.2) with Ed25519, read strictly.

The signature covers the payload's type and bytes (PAE), never JSON. The specification lets a reader
accept other spellings of an envelope; this reader accepts only the bytes that `encode` writes.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ironkeep.core.errors import IntegrityError

MAX_SIGNATURES: Final = 16
"""Signatures of an envelope: the case key's, and a few added by people or services."""

MAX_ENVELOPE: Final = 384 * 1024 * 1024
"""Bytes of an envelope: the largest pack, which base64 makes a third larger."""

_SIGNATURE_BYTES: Final = 64


class EnvelopeSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature and the id of the key that claims to have made it."""

    keyid: str
    sig: bytes


class Envelope(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A payload, its type, and its signatures, none of them verified."""

    payload: bytes
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: the pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, keys: Mapping[str, Ed25519PrivateKey]) -> Envelope:
    """Return the payload signed by each of keys, a mapping from key id to private key."""
    message = pae(payload_type, payload)
    signatures = (EnvelopeSignature(name, key.sign(message)) for name, key in keys.items())
    return Envelope(payload, payload_type, tuple(signatures))


def verify(envelope: Envelope, keys: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the ids of the keys (32 bytes each) that signed, at least one.

    Signatures of unknown keys are ignored. Raises IntegrityError if no known key signed, or if the
    signature of a known key does not verify.
    """
    message = pae(envelope.payload_type, envelope.payload)
    good: dict[str, None] = {}
    for signature in envelope.signatures:
        public = keys.get(signature.keyid)
        if public is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature.sig, message)
        except InvalidSignature:
            raise IntegrityError(f"the signature by {signature.keyid} does not verify") from None
        good[signature.keyid] = None
    if not good:
        raise IntegrityError("no trusted key has signed the envelope")
    return tuple(good)


def encode(envelope: Envelope) -> bytes:
    """Return the one spelling of the envelope as JSON."""
    return msgspec.json.encode(envelope)


def decode(raw: bytes) -> Envelope:
    """Return the envelope in raw; raise IntegrityError unless raw is its one spelling."""
    if len(raw) > MAX_ENVELOPE:
        raise IntegrityError(f"the envelope is longer than {MAX_ENVELOPE} bytes")
    try:
        envelope = _DECODER.decode(raw)
        written = encode(envelope)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise IntegrityError(f"not a DSSE envelope: {error}") from None
    if not 0 < len(envelope.signatures) <= MAX_SIGNATURES:
        raise IntegrityError(f"an envelope has 1 to {MAX_SIGNATURES} signatures")
    if any(len(each.sig) != _SIGNATURE_BYTES for each in envelope.signatures):
        raise IntegrityError(f"an Ed25519 signature is {_SIGNATURE_BYTES} bytes")
    if written != raw:
        raise IntegrityError("the envelope is not in its canonical encoding")
    return envelope


_DECODER: Final = msgspec.json.Decoder(Envelope)
