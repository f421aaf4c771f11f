"""A device key inside a PKCS#11 token (smart card, HSM): sensitive, and never extractable.

Source: PKCS #11 v2.40, CKM_EC_KEY_PAIR_GEN and CKM_ECDSA. The digest is computed here, because not
every token supports CKM_ECDSA_SHA256.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, Hash

from ironkeep.agent.keys import KeyKind
from ironkeep.core.errors import Conflict, NotFound, Unavailable
from ironkeep.core.secret import Secret

LABEL: Final = "ironkeep device"
"""CKA_LABEL of the key; a token holds one."""

_COORDINATE: Final = 32
"""Bytes of each half of a P-256 signature."""


@dataclass(frozen=True, slots=True)
class Token:
    """A PKCS#11 token: the vendor's module, the token's label and its PIN."""

    module: Path
    label: str
    pin: Secret


class Pkcs11Key:
    """A key that signs inside the token."""

    kind: Final = KeyKind.PKCS11

    def __init__(self, store: "Pkcs11KeyStore", spki: bytes) -> None:
        self._store: Final = store
        self.spki: Final = spki

    def sign(self, message: bytes) -> bytes:
        """Return the DER ECDSA signature over the SHA-256 of message; raise Unavailable."""
        return self._store.sign(message)


class Pkcs11KeyStore:
    """Keeps the key in one token."""

    kind: Final = KeyKind.PKCS11

    def __init__(self, token: Token) -> None:
        self._token: Final = token

    def create(self) -> Pkcs11Key:
        """Create the key; raise Conflict when the token already holds one, Unavailable."""
        library = _library()
        with self._session(library, rw=True) as session:
            if _find(library, session, library.ObjectClass.PRIVATE_KEY) is not None:
                raise Conflict(f"the token {self._token.label!r} already holds a key {LABEL!r}")
            curve = library.util.ec.encode_named_curve_parameters("secp256r1")
            parameters = session.create_domain_parameters(
                library.KeyType.EC, {library.Attribute.EC_PARAMS: curve}, local=True
            )
            public, _ = parameters.generate_keypair(
                store=True,
                label=LABEL,
                capabilities=library.MechanismFlag.SIGN | library.MechanismFlag.VERIFY,
                private_template={
                    library.Attribute.SENSITIVE: True,
                    library.Attribute.EXTRACTABLE: False,
                },
            )
            return Pkcs11Key(self, library.util.ec.encode_ec_public_key(public))

    def load(self) -> Pkcs11Key:
        """Return the key; raise NotFound when the token holds none, Unavailable."""
        library = _library()
        with self._session(library) as session:
            private = _require(library, session, library.ObjectClass.PRIVATE_KEY)
            if private[library.Attribute.EXTRACTABLE]:
                raise NotFound(f"the key {LABEL!r} is extractable from its token: create another")
            public = _require(library, session, library.ObjectClass.PUBLIC_KEY)
            return Pkcs11Key(self, library.util.ec.encode_ec_public_key(public))

    def sign(self, message: bytes) -> bytes:
        """Return the DER ECDSA signature over the SHA-256 of message; raise Unavailable."""
        library = _library()
        digest = Hash(SHA256())
        digest.update(message)
        with self._session(library) as session:
            key = _require(library, session, library.ObjectClass.PRIVATE_KEY)
            raw = key.sign(digest.finalize(), mechanism=library.Mechanism.ECDSA)
        halves = (raw[:_COORDINATE], raw[_COORDINATE:])
        return encode_dss_signature(*(int.from_bytes(half, "big") for half in halves))

    @contextmanager
    def _session(self, library: Any, *, rw: bool = False) -> Iterator[Any]:
        """Yield a session with the token; its errors become Unavailable."""
        pin = self._token.pin.reveal().decode()
        try:
            module = library.lib(str(self._token.module))
            token = module.get_token(token_label=self._token.label)
            with token.open(user_pin=pin, rw=rw) as session:
                yield session
        except (library.PKCS11Error, RuntimeError) as error:
            # The class names the problem (PinIncorrect, NoSuchToken) and never quotes the PIN.
            said = f"{type(error).__name__} of {self._token.module}"
            raise Unavailable(f"the token {self._token.label!r} failed: {said}") from None


def _library() -> Any:
    """Return python-pkcs11, which only devices with a token need; raise Unavailable if missing."""
    try:
        importlib.import_module("pkcs11.util.ec")
        return importlib.import_module("pkcs11")
    except ImportError:
        raise Unavailable("a token needs python-pkcs11: pip install 'ironkeep[hsm]'") from None


def _find(library: Any, session: Any, kind: Any) -> Any:
    attributes = {library.Attribute.CLASS: kind, library.Attribute.LABEL: LABEL}
    return next(iter(session.get_objects(attributes)), None)


def _require(library: Any, session: Any, kind: Any) -> Any:
    found = _find(library, session, kind)
    if found is None:
        raise NotFound(f"the token holds no key {LABEL!r}")
    return found
