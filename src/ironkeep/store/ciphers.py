"""Prepared ciphers for all terms of a keyring, and the count of their uses."""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ironkeep.core import envelope
from ironkeep.core.errors import IntegrityError, Sealed
from ironkeep.core.ports import Entropy
from ironkeep.store.keyring import Keyring

CLOSED: Final = "the keys were dropped while this was under way: unseal, and try again"


class Encryption:
    """Makes one envelope from parts of a plaintext, so that a large one takes several turns."""

    def __init__(self, keyring: Keyring, nonce: bytes, aad: bytes) -> None:
        term = keyring.current
        cipher = Cipher(algorithms.AES(term.key.reveal()), modes.GCM(nonce))
        self._encryptor: Final = cipher.encryptor()
        self._encryptor.authenticate_additional_data(aad)
        self._made: Final = [envelope.header(term.number), nonce]

    def add(self, plaintext: bytes) -> None:
        """Encrypt the next part."""
        self._made.append(self._encryptor.update(plaintext))

    def end(self) -> bytes:
        """Return the envelope of all parts."""
        self._made.append(self._encryptor.finalize())
        return b"".join((*self._made, self._encryptor.tag))


@dataclass(slots=True, eq=False)
class Ciphers:
    """Encrypts under the current term of a keyring, decrypts under any.

    The cipher objects are made once: making one costs twice as much as decrypting a record.
    """

    keyring: Keyring
    entropy: Entropy = field(repr=False)
    _current: AESGCM = field(init=False, repr=False)
    _by_header: dict[bytes, AESGCM] = field(init=False, repr=False)
    _used: int = field(init=False, default=0)
    _closed: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._by_header = {
            envelope.header(term.number): AESGCM(term.key.reveal()) for term in self.keyring.terms
        }
        self._current = self._by_header[envelope.header(self.keyring.current.number)]

    def close(self) -> None:
        """Drop the prepared ciphers; every later use of this object raises Sealed."""
        self._closed = True
        self._by_header.clear()
        del self._current

    @property
    def encryptions(self) -> int:
        """Return the uses of the current term, including those before this process."""
        return self.keyring.encryptions + self._used

    def counted_keyring(self) -> Keyring:
        """Return the keyring with that count, to store it or to check if rotation is due."""
        return self.keyring.counted(self.encryptions)

    def encrypt(self, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt plaintext under the current term, bound to aad; raise Sealed when closed."""
        if self._closed:
            raise Sealed(CLOSED)
        self._used += 1
        nonce = self.entropy.token(envelope.NONCE_BYTES)
        return envelope.encrypt(self._current, self.keyring.current.number, nonce, plaintext, aad)

    def in_parts(self, aad: bytes) -> "Encryption":
        """Begin to encrypt a plaintext that comes in parts; errors as `encrypt`."""
        if self._closed:
            raise Sealed(CLOSED)
        self._used += 1
        return Encryption(self.keyring, self.entropy.token(envelope.NONCE_BYTES), aad)

    def decrypt(self, encrypted: bytes, aad: bytes) -> bytes:
        """Return the plaintext of encrypted, under any term.

        Raise IntegrityError if this keyring did not encrypt it with this aad, Sealed if the keys
        were dropped.
        """
        cipher = self._by_header.get(encrypted[: envelope.HEADER_BYTES])
        if cipher is None:
            if self._closed:
                raise Sealed(CLOSED)
            raise IntegrityError(f"no key for term {envelope.term_of(encrypted)} in the keyring")
        return envelope.decrypt(cipher, encrypted, aad)
