"""Verification of passkeys: registrations and assertions, as pure functions over bytes.

The `fido2` package does parsing, CBOR and signatures. This module adds the checks that it leaves to
its caller: the origin matches exactly, the page was not embedded in another site, the user was
verified, the challenge matches (in constant time), the counter goes up, and the backup flags
satisfy policy. A failed step raises `InvalidCredentials` with its name; no check returns a bool.
Source: Web Authentication Level 3, 7.1 and 7.2.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final, Literal

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from fido2 import cbor
from fido2.attestation.base import InvalidAttestation
from fido2.attestation.packed import PackedAttestation
from fido2.cose import CoseKey
from fido2.webauthn import AttestationObject, AuthenticatorData

from ironkeep.core.errors import InvalidCredentials, InvalidRequest
from ironkeep.core.webauthn.cbor_bounds import require_few

MAX_CREDENTIAL_ID: Final = 1_023
"""Bytes of a credential id: the limit in the specification."""
MAX_CLIENT_DATA: Final = 8_192
MAX_AUTHENTICATOR_DATA: Final = 2_048
"""Bytes: the longest credential id and an RSA key of 4,096 bits take some 1,700."""
MAX_SIGNATURE: Final = 1_024
MAX_CHAIN: Final = 8
"""Certificates of an attestation; real ones have one to three."""
MAX_ATTESTATION: Final = 32_768
"""Bytes of an attestation object; one with a certificate chain has some four thousand."""
ALGORITHMS: Final = (-7, -8, -257)
"""COSE: ES256, EdDSA and, for Windows Hello, RS256."""


_MALFORMED: Final = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError, RecursionError,
    NotImplementedError, struct.error, UnsupportedAlgorithm, x509.ExtensionNotFound,
    x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType,
)  # fmt: skip
"""Exceptions that parsers raise on hostile bytes, beside their own errors."""


class Party(msgspec.Struct, frozen=True):
    """The relying party: its id, which is a host name, and the exact origins of its pages."""

    rp_id: str
    origins: tuple[str, ...]


class Demands(msgspec.Struct, frozen=True, omit_defaults=True):
    """The requirements on an authenticator for registration.

    "packed" requires an attestation whose chain ends in one of `roots` (DER), which proves the
    model (AAGUID); "none" accepts any, and the model is only a claim. An empty `aaguids` accepts
    every model. `device_bound` refuses passkeys that can be copied to a cloud account.
    """

    attestation: Literal["none", "packed"] = "none"
    aaguids: tuple[str, ...] = ()
    roots: tuple[bytes, ...] = ()
    device_bound: bool = False


class Registered(msgspec.Struct, frozen=True):
    """A verified new credential. `key` is a COSE key; `eligible` means that it can be backed up."""

    credential: bytes
    key: bytes
    counter: int
    aaguid: str
    eligible: bool
    backed_up: bool


class Signed(msgspec.Struct, frozen=True):
    """The parts of an assertion, as bytes."""

    credential: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: bytes = b""


class Asserted(msgspec.Struct, frozen=True):
    """The authenticator's counter and backup flags in a verified assertion."""

    counter: int
    eligible: bool
    backed_up: bool


class _ClientData(msgspec.Struct, rename="camel"):
    type: str
    challenge: str
    origin: str
    cross_origin: bool = False
    top_origin: str | None = None


_CLIENT_DATA: Final = msgspec.json.Decoder(_ClientData)


def encode(raw: bytes) -> str:
    """Return raw in base64url without padding, as WebAuthn's JSON has it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: object, limit: int) -> bytes:
    """Return the bytes in base64url text; raise InvalidRequest if it is not canonical."""
    if not isinstance(text, str) or len(text) > (limit * 4 + 2) // 3:
        raise InvalidRequest("a credential's fields are base64url, of limited length")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise InvalidRequest("a credential's fields are base64url") from None
    if encode(raw) != text:
        raise InvalidRequest("a credential's fields are base64url without padding")
    return raw


def signed_of(document: Mapping[str, Any]) -> Signed:
    """Return the parts of an assertion in JSON, as browsers' `toJSON` writes it.

    Raise InvalidRequest for anything else.
    """
    response = _response_of(document)
    handle = response.get("userHandle")
    return Signed(
        _credential_of(document),
        decode(response.get("clientDataJSON"), MAX_CLIENT_DATA),
        decode(response.get("authenticatorData"), MAX_AUTHENTICATOR_DATA),
        decode(response.get("signature"), MAX_SIGNATURE),
        b"" if handle is None else decode(handle, MAX_CREDENTIAL_ID),
    )


def verify_assertion(party: Party, challenge: bytes, key: bytes, signed: Signed) -> Asserted:
    """Verify that the owner of a COSE key signed challenge for party, with user verification.

    (1) The client data is that of an assertion, for exactly this challenge, from one of the party's
    origins and not embedded in another site. (2) The authenticator data is for the party's id, with
    the user present and verified, and with consistent flags. (3) The signature is over both.

    Not checked, as they are state: the owner of the credential, and the counter
    (`require_progress`). Raise InvalidCredentials.
    """
    _check_client_data(signed.client_data, "webauthn.get", challenge, party)
    data = _authenticator_data(signed.authenticator_data, party)
    message = signed.authenticator_data + sha256(signed.client_data).digest()
    try:
        _cose_key(key).verify(message, signed.signature)
    except (InvalidSignature, *_MALFORMED):
        raise InvalidCredentials("the signature is not the authenticator's") from None
    return Asserted(data.counter, data.is_backup_eligible(), data.is_backed_up())


def require_progress(before: int, after: int) -> None:
    """Raise InvalidCredentials if a counter did not increase.

    The counter of synced passkeys stays 0. Once a counter was above 0, a 0 is refused too: a copy
    could start counting again from there.
    """
    if before and after <= before:
        raise InvalidCredentials("the counter went back: the authenticator may have been copied")


def verify_registration(
    party: Party, challenge: bytes, demands: Demands, document: Mapping[str, Any]
) -> Registered:
    """Verify a new credential in JSON, as browsers' `toJSON` writes it, and return it.

    (1) The client data is that of a registration, with the checks as for assertions. (2) The
    authenticator data is for the party's id, with the user verified, and has the credential that
    the document names, with a usable key. (3) Attestation, model and flags meet the demands.

    Raise InvalidRequest if it is malformed, InvalidCredentials if it does not verify.
    """
    response = _response_of(document)
    client_data = decode(response.get("clientDataJSON"), MAX_CLIENT_DATA)
    _check_client_data(client_data, "webauthn.create", challenge, party)
    raw = decode(response.get("attestationObject"), MAX_ATTESTATION)
    try:
        require_few(raw)
        made = AttestationObject(raw)
        statement = dict(made.att_stmt)
        data_raw = bytes(made.auth_data)
    except _MALFORMED:
        raise InvalidRequest("the attestation object is malformed") from None
    data = _authenticator_data(data_raw, party)
    credential = data.credential_data
    if credential is None:
        raise InvalidCredentials("the registration holds no credential")
    named = _credential_of(document)
    if named != credential.credential_id or not named:
        raise InvalidCredentials("the registration names another credential")
    key = cbor.encode(credential.public_key)
    _cose_key(key)
    aaguid = str(credential.aaguid)
    _check_model(demands, made.fmt, statement, data, sha256(client_data).digest())
    if demands.aaguids and aaguid not in demands.aaguids:
        raise InvalidCredentials(f"authenticators of model {aaguid} are not accepted here")
    eligible = data.is_backup_eligible()
    if demands.device_bound and eligible:
        raise InvalidCredentials(
            "this passkey can be copied to other devices: use a security key, which cannot"
        )
    return Registered(named, key, data.counter, aaguid, eligible, data.is_backed_up())


def _response_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    response = document.get("response")
    if document.get("type") != "public-key" or not isinstance(response, Mapping):
        raise InvalidRequest("expected a public-key credential as browsers' toJSON gives it")
    return response


def _credential_of(document: Mapping[str, Any]) -> bytes:
    """Return the credential's id; raise InvalidRequest if id and rawId differ."""
    raw = decode(document.get("rawId", document.get("id")), MAX_CREDENTIAL_ID)
    if decode(document.get("id", document.get("rawId")), MAX_CREDENTIAL_ID) != raw:
        raise InvalidRequest("id and rawId name two credentials")
    return raw


def _check_client_data(raw: bytes, kind: str, challenge: bytes, party: Party) -> None:
    try:
        data = _CLIENT_DATA.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidCredentials("the client data is malformed") from None
    if data.type != kind:
        raise InvalidCredentials(f"the client data is not of type {kind}")
    if not hmac.compare_digest(data.challenge.encode(), encode(challenge).encode()):
        raise InvalidCredentials("another challenge was signed")
    if data.origin not in party.origins:
        raise InvalidCredentials("it was signed for the page of another origin")
    if data.cross_origin or data.top_origin is not None:
        raise InvalidCredentials("it was signed inside a page of another origin")


def _authenticator_data(raw: bytes, party: Party) -> AuthenticatorData:
    try:
        data = AuthenticatorData(raw)
    except _MALFORMED:
        raise InvalidCredentials("the authenticator data is malformed") from None
    if not hmac.compare_digest(data.rp_id_hash, sha256(party.rp_id.encode()).digest()):
        raise InvalidCredentials("it was signed for another relying party")
    if not data.is_user_present() or not data.is_user_verified():
        raise InvalidCredentials("the authenticator did not verify its user: set a PIN")
    if data.is_backed_up() and not data.is_backup_eligible():
        raise InvalidCredentials("the flags for backup contradict each other")
    return data


def _cose_key(raw: bytes) -> CoseKey:
    """Return the key; raise InvalidCredentials if it is malformed or of another algorithm."""
    try:
        decoded = cbor.decode(raw)
        if not isinstance(decoded, Mapping) or decoded[3] not in ALGORITHMS:
            raise InvalidCredentials("the key is of an algorithm that is not accepted here")
        return CoseKey.parse(decoded)
    except _MALFORMED:
        raise InvalidCredentials("the key is malformed") from None


def _check_model(
    demands: Demands,
    fmt: str,
    statement: Mapping[str, Any],
    data: AuthenticatorData,
    client_data_hash: bytes,
) -> None:
    """Raise InvalidCredentials unless the attestation meets the demands.

    "packed" requires a chain that ends in a configured root: a self-signed statement does not prove
    the model.
    """
    if demands.attestation == "none":
        return
    if fmt != PackedAttestation.FORMAT:
        raise InvalidCredentials("an attestation of format packed is required")
    try:
        result = PackedAttestation().verify(statement, data, client_data_hash)
        chain = [x509.load_der_x509_certificate(raw) for raw in result.trust_path]
        _check_chain(chain, [x509.load_der_x509_certificate(raw) for raw in demands.roots])
    except InvalidCredentials:
        raise
    except (InvalidAttestation, InvalidSignature, *_MALFORMED):
        raise InvalidCredentials("the attestation does not verify") from None


def _check_chain(chain: list[x509.Certificate], roots: list[x509.Certificate]) -> None:
    if not 1 <= len(chain) <= MAX_CHAIN:
        raise InvalidCredentials("an attestation signed by a manufacturer is required")
    for child, issuer in pairwise(chain):
        _require_authority(issuer)
        child.verify_directly_issued_by(issuer)
    if chain[-1] in roots:
        return
    for root in roots:
        if root.subject == chain[-1].issuer:
            chain[-1].verify_directly_issued_by(root)
            return
    raise InvalidCredentials("the attestation comes from a manufacturer that is not accepted here")


def _require_authority(certificate: x509.Certificate) -> None:
    found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    if not found.value.ca:
        raise InvalidCredentials("the attestation's chain has an issuer that is not a CA")
