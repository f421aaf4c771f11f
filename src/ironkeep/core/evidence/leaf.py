"""Journal leaves: anyone can check their commitments; only the reading key decrypts them.

    entry        0x01 ‖ 0x01 ‖ SHA-256(salt ‖ body) ‖ AES-256-GCM(salt ‖ body)
    key          0x01 ‖ 0x02 ‖ ephemeral X25519 key ‖ AES-256-GCM(run key)
    epoch        0x01 ‖ 0x03 ‖ commit u64 ‖ SHA-256 of the outbox ‖ checkpoint note, in clear
    index        0x01 ‖ 0x04 ‖ root of an index over a run of earlier leaves (index/leaf.py)

The nonce is the leaf's index, 96 bits, big-endian; the associated data is origin ‖ nonce. A run key
is random, encrypts a bounded number of entries, and is stored only wrapped to the journal's X25519
reading key (ephemeral X25519, HKDF-SHA256, AES-256-GCM). A sealed server can therefore write
entries but not read them.

AES-GCM does not commit to its key: a ciphertext can be made that decrypts to two bodies under two
keys. The commitment in clear rules that out. It also allows an entry to be disclosed without any
key: salt and body are enough.

An epoch leaf is the first leaf of a log that continues another one: see `EpochStart`.
"""

from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ironkeep.core.errors import IntegrityError, TooLarge
from ironkeep.core.secret import Secret

KEY_SIZE: Final = 32
"""Bytes of a run key, and of an X25519 key."""

SALT_SIZE: Final = 16
"""Bytes of a salt: too many to guess, so a commitment reveals nothing about its body."""

MAX_LEAF: Final = 0xFFFF
"""Bytes of a leaf: the largest 16-bit length in an entry bundle (c2sp.org/tlog-tiles)."""

_SALTS: Final = 4
"""Salts taken from one 64-byte hash, which costs no more than a 16-byte hash."""

_NONCE: Final = 12
_TAG: Final = 16
_COMMITMENT: Final = 32
_HEAD: Final = 2
_ENTRY: Final = b"\x01\x01"
_KEY: Final = b"\x01\x02"
_EPOCH: Final = b"\x01\x03"
INDEX: Final = b"\x01\x04"
"""The first bytes of an index leaf: index/leaf.py has the rest."""

_SEALED: Final = _HEAD + _COMMITMENT
_COMMIT: Final = 8
_OUTBOX: Final = 32
_KEY_LEAF: Final = _HEAD + KEY_SIZE + KEY_SIZE + _TAG

MAX_BODY: Final = MAX_LEAF - _SEALED - SALT_SIZE - _TAG
"""Bytes of an entry's body, so that its leaf fits."""


@dataclass(frozen=True, slots=True)
class Disclosed:
    """The content of one entry, disclosed: together with its leaf it proves what was recorded.

    The leaf commits to salt and body. Its inclusion proof, not this, proves that it is at index.
    """

    index: int
    salt: bytes
    body: bytes


class LeafKey:
    """A run key, ready to encrypt and open the leaves of one log.

    Encrypt each index at most once with one key: a second body at the same index would reuse the
    nonce, and both bodies could be decrypted.
    """

    __slots__ = ("_aead", "_block", "_origin", "_salted", "_salts")

    def __init__(self, run_key: Secret, origin: str) -> None:
        key = run_key.reveal()
        if len(key) != KEY_SIZE:
            raise ValueError(f"a run key is {KEY_SIZE} bytes")
        self._origin: Final = origin.encode()
        self._aead: Final = AESGCM(blake2b(key=key, digest_size=32, person=b"leaf seal").digest())
        salt_key = blake2b(key=key, digest_size=32, person=b"leaf salt").digest()
        # Copied for each block of salts: setting up a keyed hash costs as much as hashing.
        self._salts: Final = blake2b(key=salt_key, digest_size=_SALTS * SALT_SIZE)
        self._salted = -1
        self._block = b""

    def encrypt(self, index: int, body: bytes) -> bytes:
        """Return the encrypted leaf of body at index; raise TooLarge past MAX_BODY."""
        if len(body) > MAX_BODY:
            raise TooLarge(f"an audit entry holds at most {MAX_BODY} bytes")
        nonce = index.to_bytes(_NONCE, "big")
        opened = self._salt(index) + body
        encrypted = self._aead.encrypt(nonce, opened, self._origin + nonce)
        return _ENTRY + sha256(opened).digest() + encrypted

    def body(self, index: int, leaf: bytes) -> bytes:
        """Return the body in the leaf at index.

        Raises IntegrityError if this key did not encrypt that leaf at that index.
        """
        return self._open(index, leaf)[SALT_SIZE:]

    def open(self, index: int, leaf: bytes) -> Disclosed:
        """Return the disclosure of the leaf at index; raise IntegrityError as `body` does."""
        opened = self._open(index, leaf)
        return Disclosed(index, opened[:SALT_SIZE], opened[SALT_SIZE:])

    def peek(self, index: int, leaf: bytes) -> bytes:
        """Return what `body` does, without checking the commitment: for building an index.

        A reader of the entry checks it. Raises IntegrityError as `body` does, otherwise.
        """
        nonce = index.to_bytes(_NONCE, "big")
        try:
            return self._aead.decrypt(nonce, leaf[_SEALED:], self._origin + nonce)[SALT_SIZE:]
        except InvalidTag:
            raise IntegrityError(f"leaf {index} does not open with its run key") from None

    def _salt(self, index: int) -> bytes:
        number, at = divmod(index, _SALTS)
        if number != self._salted:
            salts = self._salts.copy()
            salts.update(number.to_bytes(_NONCE, "big"))
            self._block = salts.digest()
            self._salted = number
        return self._block[at * SALT_SIZE : (at + 1) * SALT_SIZE]

    def _open(self, index: int, leaf: bytes) -> bytes:
        """Return salt and body of a leaf, checked against its commitment."""
        if leaf[:_HEAD] != _ENTRY:
            raise IntegrityError(f"leaf {index} is not an entry")
        nonce = index.to_bytes(_NONCE, "big")
        try:
            opened = self._aead.decrypt(nonce, leaf[_SEALED:], self._origin + nonce)
        except InvalidTag:
            raise IntegrityError(f"leaf {index} does not open with its run key") from None
        if len(opened) < SALT_SIZE or sha256(opened).digest() != leaf[_HEAD:_SEALED]:
            raise IntegrityError(f"the commitment of leaf {index} does not match its content")
        return opened


def check_disclosed(leaf: bytes, disclosed: Disclosed) -> None:
    """Check that a leaf commits to a disclosed salt and body; raise IntegrityError otherwise.

    Needs no key. Does not check that the leaf is at the disclosed index of the log.
    """
    if leaf[:_HEAD] != _ENTRY or len(disclosed.salt) != SALT_SIZE:
        raise IntegrityError(f"entry {disclosed.index}: not an entry leaf with a salt")
    if leaf[_HEAD:_SEALED] != sha256(disclosed.salt + disclosed.body).digest():
        raise IntegrityError(f"entry {disclosed.index}: the leaf commits to other content")


def is_key(leaf: bytes) -> bool:
    """Return whether a leaf carries a run key."""
    return leaf[:_HEAD] == _KEY


def is_entry(leaf: bytes) -> bool:
    """Return whether a leaf carries an entry."""
    return leaf[:_HEAD] == _ENTRY


def is_index(leaf: bytes) -> bool:
    """Return whether a leaf carries the root of an index, of this or a later version."""
    return leaf[:_HEAD] == INDEX


def wrap_key(run_key: Secret, index: int, origin: str, reader: bytes, ephemeral: Secret) -> bytes:
    """Return the key leaf for index: run_key, wrapped to the X25519 public key reader.

    ephemeral is 32 fresh random bytes, used for this leaf only. Raises ValueError if reader is not
    a usable X25519 public key.
    """
    private = X25519PrivateKey.from_private_bytes(ephemeral.reveal())
    public = private.public_key().public_bytes_raw()
    shared = private.exchange(X25519PublicKey.from_public_bytes(reader))
    nonce = index.to_bytes(_NONCE, "big")
    wrapped = _wrapping(shared, public, reader).encrypt(
        nonce, run_key.reveal(), origin.encode() + nonce
    )
    return _KEY + public + wrapped


def unwrap_key(leaf: bytes, index: int, origin: str, private_key: Secret) -> LeafKey:
    """Return the run key in the key leaf at index, ready for use.

    private_key is the 32 bytes of the X25519 reading key. Raises IntegrityError when the leaf was
    not made for that key, origin and index.
    """
    if leaf[:_HEAD] != _KEY or len(leaf) != _KEY_LEAF:
        raise IntegrityError(f"leaf {index} is not a key leaf")
    private = X25519PrivateKey.from_private_bytes(private_key.reveal())
    public = leaf[_HEAD : _HEAD + KEY_SIZE]
    nonce = index.to_bytes(_NONCE, "big")
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
        wrapping = _wrapping(shared, public, private.public_key().public_bytes_raw())
        run_key = wrapping.decrypt(nonce, leaf[_HEAD + KEY_SIZE :], origin.encode() + nonce)
    except (InvalidTag, ValueError):
        # ValueError: a low-order point, which no honest writer makes.
        raise IntegrityError(f"key leaf {index} was not wrapped to this reading key") from None
    return LeafKey(Secret(run_key), origin)


@dataclass(frozen=True, slots=True)
class EpochStart:
    """The starting point of a log that continues another one, stored in clear.

    `commit` is the number of the database's last commit at that moment, `outbox` the SHA-256 of the
    frames that the database then kept for the older log. `checkpoint` is the newest known
    checkpoint note of the older log; empty if none was known.
    """

    commit: int
    outbox: bytes
    checkpoint: bytes


def epoch_leaf(start: EpochStart) -> bytes:
    """Return the first leaf of a log that continues another one."""
    leaf = b"".join((_EPOCH, start.commit.to_bytes(_COMMIT, "big"), start.outbox, start.checkpoint))
    if len(leaf) > MAX_LEAF:
        raise TooLarge(f"a checkpoint note is too long for a leaf of {MAX_LEAF} bytes")
    return leaf


def epoch_start(leaf: bytes) -> EpochStart | None:
    """Return the start recorded in a log's first leaf; None if the log continues no other one."""
    if leaf[:_HEAD] != _EPOCH:
        return None
    outbox = _HEAD + _COMMIT
    checkpoint = outbox + _OUTBOX
    if len(leaf) < checkpoint:
        raise IntegrityError("an epoch leaf is cut short")
    commit = int.from_bytes(leaf[_HEAD:outbox], "big")
    return EpochStart(commit, leaf[outbox:checkpoint], leaf[checkpoint:])


def _wrapping(shared: bytes, ephemeral: bytes, reader: bytes) -> AESGCM:
    """Return the cipher that wraps one run key; its key is derived from both public keys too."""
    info = b"ironkeep journal key v1" + ephemeral + reader
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=info).derive(shared))
