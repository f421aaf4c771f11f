"""A keyring at work: prepared ciphers for all its terms, and the count of uses."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ironkeep.core import envelope
from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Entropy
from ironkeep.kernel.keyring import Keyring


@dataclass(slots=True, eq=False)
class Ciphers:
    """Encrypts under the current term of a keyring, decrypts under any.

    The cipher objects are made once: making one costs twice the decryption of a record.
    """

    keyring: Keyring
    entropy: Entropy = field(repr=False)
    _current: AESGCM = field(init=False, repr=False)
    _by_header: dict[bytes, AESGCM] = field(init=False, repr=False)
    _used: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._by_header = {
            envelope.header(term.number): AESGCM(term.key.reveal()) for term in self.keyring.terms
        }
        self._current = self._by_header[envelope.header(self.keyring.current.number)]

    @property
    def encryptions(self) -> int:
        """Return the uses of the current term, those before this process included."""
        return self.keyring.encryptions + self._used

    def counted_keyring(self) -> Keyring:
        """Return the keyring with that count, to be asked for rotation or stored."""
        return self.keyring.counted(self.encryptions)

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt plaintext under the current term, bound to aad."""
        self._used += 1
        nonce = self.entropy.token(envelope.NONCE_BYTES)
        return envelope.seal(self._current, self.keyring.current.number, nonce, plaintext, aad)

    def open_sealed(self, sealed: bytes, aad: bytes) -> bytes:
        """Return the plaintext of sealed, of any term.

        Raise IntegrityError when it was not sealed by this keyring with this aad.
        """
        cipher = self._by_header.get(sealed[: envelope.HEADER_BYTES])
        if cipher is None:
            raise IntegrityError(f"no key for term {envelope.term_of(sealed)} in the keyring")
        return envelope.open_sealed(cipher, sealed, aad)
