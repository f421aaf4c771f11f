"""Signed notes (c2sp.org/signed-note): a text, and signature lines of named keys.

Do not trust a note's text before `open_note` or `Note.verified` has checked it with trusted keys.
Key strings follow the convention of golang.org/x/mod/sumdb/note.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b, sha256
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.secret import Secret
from ironkeep.tlog.wire import decode_base64, decode_text, encode_base64, is_line

MAX_NOTE: Final = 1 << 20
"""Bytes of a note: 64 signatures of the largest kind (5 kB) take a third of it."""

MAX_SIGNATURES: Final = 64
"""Signature lines of a note: the specification asks for 16; 32 witnesses and grease must fit."""

MAX_NAME: Final = 255
"""Bytes of a key's name: the largest length in the length byte of later cosignature types."""

_KEY_SIZE: Final = 32
_DERIVE: Final = b"ironkeep-derive1"
_ID_SIZE: Final = 4
_DASH: Final = "\u2014 "
_PRIVATE: Final = "PRIVATE+KEY+"


class KeyType(IntEnum):
    """The signature types that Ironkeep makes and checks."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


def _is_name(name: str) -> bool:
    """Return whether name is allowed in a signature line."""
    return is_line(name) and not any(char.isspace() or char == "+" for char in name)


def _require_name(name: str) -> None:
    """Raise InvalidRequest unless name is allowed for Ironkeep's own keys and trusted ones."""
    if not _is_name(name) or len(name.encode()) > MAX_NAME:
        raise InvalidRequest("a key name is 1 to 255 bytes without spaces and plus signs")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name and type; as text, `name+hash+base64` (a vkey)."""

    name: str
    kind: KeyType
    public: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.public) != _KEY_SIZE:
            raise InvalidRequest("an Ed25519 public key is 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of a vkey; raise InvalidRequest if malformed or of another type."""
        name, key_id, data = _split_key(text)
        if data[:1] not in {bytes([kind]) for kind in KeyType}:
            raise InvalidRequest("verifier key: neither Ed25519 (01) nor cosignature/v1 (04)")
        key = cls(name, KeyType(data[0]), data[1:])
        if key.key_id.hex() != key_id:
            raise InvalidRequest("verifier key: the key hash is not that of the key")
        return key

    def format(self) -> str:
        """Return the vkey."""
        data = encode_base64(bytes([self.kind]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{data}"

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that distinguish keys of one name; an identifier, not a commitment."""
        data = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return sha256(data).digest()[:_ID_SIZE]


class SigningKey:
    """An Ed25519 private key with its name; as text, `PRIVATE+KEY+name+hash+base64`."""

    __slots__ = ("_seed", "name")

    def __init__(self, name: str, seed: Secret) -> None:
        _require_name(name)
        if len(seed) != _KEY_SIZE:
            raise InvalidRequest("an Ed25519 seed is 32 bytes")
        self.name: Final = name
        self._seed: Final = seed

    @classmethod
    def parse(cls, text: Secret) -> Self:
        """Return the key of a private key string; raise InvalidRequest, which never quotes it."""
        try:
            line = text.reveal().decode()
        except UnicodeDecodeError:
            raise InvalidRequest("signing key: not UTF-8") from None
        if not line.startswith(_PRIVATE):
            raise InvalidRequest(f"signing key: does not start with {_PRIVATE}")
        name, key_id, data = _split_key(line.removeprefix(_PRIVATE))
        if data[:1] != bytes([KeyType.ED25519]):
            raise InvalidRequest("signing key: not of type Ed25519 (01)")
        key = cls(name, Secret(data[1:]))
        if key.verifier_key(KeyType.ED25519).key_id.hex() != key_id:
            raise InvalidRequest("signing key: the key hash is not that of the key")
        return key

    def format(self) -> Secret:
        """Return the private key string."""
        key_id = self.verifier_key(KeyType.ED25519).key_id.hex()
        data = encode_base64(bytes([KeyType.ED25519]) + self._seed.reveal())
        return Secret(f"{_PRIVATE}{self.name}+{key_id}+{data}".encode())

    def verifier_key(self, kind: KeyType) -> VerifierKey:
        """Return the public key for signatures of that kind."""
        return VerifierKey(self.name, kind, self.private_key().public_key().public_bytes_raw())

    def private_key(self) -> Ed25519PrivateKey:
        """Return the key as an object of the cryptography library."""
        return Ed25519PrivateKey.from_private_bytes(self._seed.reveal())


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name and id, and the signature data."""

    name: str
    key_id: bytes
    data: bytes

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the signature of a line without its LF; raise IntegrityError if malformed."""
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not (line.startswith(_DASH) and space):
            raise IntegrityError("not a signature line")
        if not _is_name(name):
            raise IntegrityError("a key name is empty or has a plus sign or a space")
        blob = decode_base64(encoded)
        if len(blob) <= _ID_SIZE:
            raise IntegrityError("a signature is shorter than its key id")
        return cls(name, blob[:_ID_SIZE], blob[_ID_SIZE:])

    def format(self) -> str:
        """Return the line, without its LF."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.data)}"


class Signer:
    """Signs notes as `name`, with plain Ed25519 (type 01)."""

    __slots__ = ("_private", "key")

    def __init__(self, key: SigningKey) -> None:
        self.key: Final = key.verifier_key(KeyType.ED25519)
        self._private: Final = key.private_key()

    def secret_for(self, purpose: bytes) -> Secret:
        """Return 32 bytes that only the key's owner can derive, different for each purpose."""
        seed = self._private.private_bytes_raw()
        return Secret(blake2b(purpose, key=seed, digest_size=_KEY_SIZE, person=_DERIVE).digest())

    def sign(self, text: bytes) -> Signature:
        """Return the signature over a note's text."""
        return Signature(self.key.name, self.key.key_id, self._private.sign(text))


class Verifier(Protocol):
    """Checks the signatures of one key."""

    @property
    def key(self) -> VerifierKey:
        """The key, whose name and id select the lines to check."""
        ...

    def verify(self, text: bytes, data: bytes) -> None:
        """Raise IntegrityError unless data is this key's signature over a note's text."""
        ...


class NoteVerifier:
    """Checks plain Ed25519 signatures (type 01), as made by logs."""

    __slots__ = ("_public", "key")

    def __init__(self, key: VerifierKey) -> None:
        if key.kind is not KeyType.ED25519:
            raise InvalidRequest(f"{key.name}: not a key of type Ed25519 (01)")
        self.key: Final = key
        self._public: Final = Ed25519PublicKey.from_public_bytes(key.public)

    def verify(self, text: bytes, data: bytes) -> None:
        """Raise IntegrityError unless data is this key's signature over text."""
        verify_ed25519(self._public, data, text)


def verify_ed25519(public: Ed25519PublicKey, data: bytes, message: bytes) -> None:
    """Raise IntegrityError unless data is a signature of 64 bytes over message."""
    try:
        public.verify(data, message)
    except InvalidSignature:
        raise IntegrityError("a signature does not verify") from None


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in LF, and its signature lines in order; nothing is verified yet."""

    text: bytes
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        if not decode_text(self.text, MAX_NOTE).endswith("\n"):
            raise IntegrityError("the text of a note must end in a newline")
        if not 0 < len(self.signatures) <= MAX_SIGNATURES:
            raise IntegrityError(f"a note has 1 to {MAX_SIGNATURES} signatures")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the note in data; raise IntegrityError if malformed or past a limit."""
        whole = decode_text(data, MAX_NOTE)
        # The text may contain blank lines; the last blank line of the note ends it.
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise IntegrityError("a note is a text, a blank line and signature lines")
        signatures = lines[:-1].split("\n", MAX_SIGNATURES)
        if len(signatures) > MAX_SIGNATURES:
            raise IntegrityError(f"a note has 1 to {MAX_SIGNATURES} signatures")
        return cls(f"{text}\n".encode(), tuple(map(Signature.parse, signatures)))

    def serialise(self) -> bytes:
        """Return the bytes of the note."""
        lines = "".join(f"{signature.format()}\n" for signature in self.signatures)
        return self.text + b"\n" + lines.encode()

    def verified(self, verifiers: Iterable[Verifier]) -> tuple[Signature, ...]:
        """Return the signatures made by verifiers, in order of the lines.

        Lines of unknown keys are ignored. Raises IntegrityError for the whole note if a line of a
        known key does not verify. One key may have several lines: count keys, not lines.
        """
        known: dict[tuple[str, bytes], Verifier] = {}
        for verifier in verifiers:
            if known.setdefault((verifier.key.name, verifier.key.key_id), verifier) != verifier:
                raise InvalidRequest(
                    f"two verifiers have the name and key id of {verifier.key.name}"
                )
        good = []
        for signature in self.signatures:
            verifier_of = known.get((signature.name, signature.key_id))
            if verifier_of is not None:
                verifier_of.verify(self.text, signature.data)
                good.append(signature)
        return tuple(good)


def open_note(data: bytes, verifiers: Sequence[Verifier]) -> tuple[Note, tuple[Signature, ...]]:
    """Return a note and its verified signatures, at least one; raise IntegrityError otherwise."""
    note = Note.parse(data)
    good = note.verified(verifiers)
    if not good:
        raise IntegrityError("no signature by a trusted key")
    return note, good


def _split_key(text: str) -> tuple[str, str, bytes]:
    """Return the name, key id in hex and key data of a key string."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        data = decode_base64(encoded)
    except IntegrityError:
        data = b""
    if not data:
        raise InvalidRequest("a key is written name+hash+base64")
    return name, key_id, data
