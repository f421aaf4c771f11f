"""The keyring of a segment, and its encoding, which is stored encrypted by the root key.

A keyring has one 256-bit data key for each term (the last one encrypts, all decrypt) and two keys
that never change:

- the *name key* makes the blind keys of rows. It is fixed for the life of a segment: another key
  would change every row key, so a rotation would rewrite the whole store at once.
- the *row-hash key* makes the set-hash over rows. Another key would mean reading every row again.

Both serve only as PRF keys, whose number of uses is not limited. Data keys have a limit
(core/envelope.py) and are rotated by count and age.
"""

from dataclasses import dataclass, replace
from typing import Final, NewType

import msgspec

from ironkeep.core.envelope import KEY_BYTES
from ironkeep.core.errors import IntegrityError, TooLarge
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret

SegmentId = NewType("SegmentId", str)

HOUSE: Final = SegmentId("house")
"""The segment of all records that belong to no other segment."""

MAX_SEGMENT_CHARS: Final = 64
"""Characters of a segment id, so that its length fits into one byte of additional data."""

MAX_TERMS: Final = 65_536
"""Terms of a keyring: a rotation a day for 179 years; the keyring stays below 4 MB."""

MAX_OPERATIONS: Final = 3_865_470_566
"""Default uses of a data key before rotation: nine tenths of the 2^32 that random nonces allow."""

VERSION: Final = b"\x01"


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One data key with its number and creation time."""

    number: int
    key: Secret
    created_ns: int


class _Wire(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    segment: str
    name_key: bytes
    row_hash_key: bytes
    encryptions: int
    terms: tuple[tuple[int, bytes, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Keyring:
    """All keys of one segment, the oldest term first.

    `encryptions` is the use count of the current term when the keyring was last stored. A crash
    loses later uses; MAX_OPERATIONS leaves a tenth of the safe number for that.
    """

    segment: SegmentId
    terms: tuple[Term, ...]
    name_key: Secret
    row_hash_key: Secret
    encryptions: int = 0

    @property
    def current(self) -> Term:
        """Return the term that encrypts."""
        return self.terms[-1]

    def rotate(self, entropy: Entropy, now_ns: int) -> "Keyring":
        """Return this keyring with one more term, which encrypts from now on.

        Raise TooLarge past MAX_TERMS.
        """
        if len(self.terms) >= MAX_TERMS:
            raise TooLarge(f"the keyring is full: {MAX_TERMS} terms")
        term = Term(self.current.number + 1, Secret(entropy.token(KEY_BYTES)), now_ns)
        return replace(self, terms=(*self.terms, term), encryptions=0)

    def counted(self, encryptions: int) -> "Keyring":
        """Return this keyring with `encryptions` as the use count of its current term."""
        return replace(self, encryptions=encryptions)

    def due_for_rotation(self, now_ns: int, max_operations: int, interval_seconds: int) -> bool:
        """Return whether the current term has too many uses or is too old; 0 ignores the age."""
        age_ns = now_ns - self.current.created_ns
        too_old = interval_seconds > 0 and age_ns >= interval_seconds * 1_000_000_000
        return too_old or self.encryptions >= max_operations

    def encode(self) -> bytes:
        """Return the bytes that `decode` reads, with every key in clear."""
        wire = _Wire(
            self.segment,
            self.name_key.reveal(),
            self.row_hash_key.reveal(),
            self.encryptions,
            tuple((term.number, term.key.reveal(), term.created_ns) for term in self.terms),
        )
        return VERSION + msgspec.msgpack.encode(wire)


def new_keyring(segment: SegmentId, entropy: Entropy, now_ns: int) -> Keyring:
    """Return fresh keys for segment, with one term."""
    return Keyring(
        segment,
        (Term(1, Secret(entropy.token(KEY_BYTES)), now_ns),),
        name_key=Secret(entropy.token(KEY_BYTES)),
        row_hash_key=Secret(entropy.token(KEY_BYTES)),
    )


def decode(data: bytes) -> Keyring:
    """Return the keyring that `Keyring.encode` wrote.

    Raise IntegrityError on any other bytes, such as another version or encoding.
    """
    if data[:1] != VERSION:
        raise IntegrityError("the keyring is of an unknown version: use the release that wrote it")
    try:
        wire = msgspec.msgpack.decode(memoryview(data)[1:], type=_Wire)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise IntegrityError("the keyring is damaged") from None
    keyring = Keyring(
        SegmentId(wire.segment),
        tuple(Term(number, Secret(key), created) for number, key, created in wire.terms),
        Secret(wire.name_key),
        Secret(wire.row_hash_key),
        wire.encryptions,
    )
    if not _is_sound(keyring) or keyring.encode() != data:
        raise IntegrityError("the keyring is damaged")
    return keyring


def _is_sound(keyring: Keyring) -> bool:
    keys = [keyring.name_key, keyring.row_hash_key, *(term.key for term in keyring.terms)]
    return (
        0 < len(keyring.segment) <= MAX_SEGMENT_CHARS
        and keyring.segment.isascii()
        and 0 < len(keyring.terms) <= MAX_TERMS
        and all(len(key) == KEY_BYTES for key in keys)
        and [term.number for term in keyring.terms] == list(range(1, len(keyring.terms) + 1))
        and keyring.encryptions >= 0
    )
