"""The interfaces of device keys (ECDSA on P-256) and key stores, and their ranking.

A store creates one key in its place and loads it again. The kind is part of the enrolment, so that
a policy can require hardware; it is the agent's own claim, and the administrator who approves the
device decides whether to trust it.
"""

from enum import StrEnum
from typing import Final, Protocol


class KeyKind(StrEnum):
    """The place where a device key is kept."""

    TPM = "tpm"
    PKCS11 = "pkcs11"
    FILE = "file"


ORDER: Final = (KeyKind.TPM, KeyKind.PKCS11, KeyKind.FILE)
"""Best first. The first two never release the key; a file can be copied by anyone who reads it."""


class DeviceKey(Protocol):
    """A key that signs for this device."""

    @property
    def kind(self) -> KeyKind:
        """Return the kind of place where it is kept."""
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
        """Return the kind of place."""
        ...

    def create(self) -> DeviceKey:
        """Create the key; raise Conflict when there is one, Unavailable without the place."""
        ...

    def load(self) -> DeviceKey:
        """Return the key; raise NotFound when there is none, Unavailable without the place."""
        ...
