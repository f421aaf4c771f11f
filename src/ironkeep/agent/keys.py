"""The device key: ECDSA on P-256, made where it is kept, and the order of the places.

A store makes one key and finds it again. The kind is part of what is enrolled, so that a policy can
ask for hardware; it is what the agent says of itself, and the administrator who approves decides
whether to believe it.
"""

from enum import StrEnum
from typing import Final, Protocol


class KeyKind(StrEnum):
    """Where a device key is kept."""

    TPM = "tpm"
    PKCS11 = "pkcs11"
    FILE = "file"


ORDER: Final = (KeyKind.TPM, KeyKind.PKCS11, KeyKind.FILE)
"""Best first. The first two never let go of the key; a file is copied by whoever can read it."""


class DeviceKey(Protocol):
    """A key that signs for this device."""

    @property
    def kind(self) -> KeyKind:
        """Return where it is kept."""
        ...

    @property
    def spki(self) -> bytes:
        """Return the public key as DER SubjectPublicKeyInfo."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the DER ECDSA signature over the SHA-256 of message; raise Unavailable."""
        ...


class KeyStore(Protocol):
    """A place that keeps one device key."""

    @property
    def kind(self) -> KeyKind:
        """Return what kind of place it is."""
        ...

    def create(self) -> DeviceKey:
        """Make the key; raise Conflict when there is one already, Unavailable without the place."""
        ...

    def load(self) -> DeviceKey:
        """Return the key; raise NotFound when there is none, Unavailable without the place."""
        ...
