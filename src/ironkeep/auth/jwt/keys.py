"""Public keys, and the only place where a token's signature is verified.

Specs: RFC 7515 (JWS), RFC 7517 (JWK), RFC 8725 (best current practices). Keys that a token itself
carries or points to (`jwk`, `jku`, `x5u`, `x5c`) are ignored; `alg` only selects among the
algorithms allowed here, all asymmetric; `kid` only selects among the configured keys.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey

from ironkeep.core.errors import InvalidCredentials, InvalidRequest

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519",
)  # fmt: skip
"""Never `none`, and never HS*: there the public key would serve as the secret."""
MAX_TOKEN: Final = 16_384
"""Bytes; tokens of CI systems have about 2,000."""
MAX_KEYS: Final = 64
MAX_DOCUMENT: Final = 256 * 1024
"""Bytes of a key set; the sets of large issuers have about 10,000."""
MAX_TRIES: Final = 8
"""Keys tried for one token; each try costs a signature verification."""
MIN_RSA_BITS: Final = 2_048

_KINDS: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_BITS: Final = 6
"""Bits that one character of base64url encodes."""
_MALFORMED: Final = (
    JoseError, ValueError, TypeError, KeyError, RecursionError, UnsupportedAlgorithm,
)  # fmt: skip
"""The exceptions that the parsing libraries raise for hostile input."""

Key = RSAKey | ECKey | OKPKey


class UnknownKey(InvalidCredentials):
    """The token names a key that is not known here; the issuer may have published a new one."""


def keys_of_pems(pems: tuple[str, ...]) -> tuple[Key, ...]:
    """Return public keys; raise InvalidRequest for invalid or weak ones."""
    if len(pems) > MAX_KEYS:
        raise InvalidRequest(f"at most {MAX_KEYS} public keys")
    return tuple(_key_of_pem(pem) for pem in pems)


def _key_of_pem(pem: str) -> Key:
    try:
        public = load_pem_public_key(pem.encode())
    except _MALFORMED:
        raise InvalidRequest("error parsing public key: PEM of a public key is needed") from None
    if isinstance(public, RSAPublicKey) and public.key_size < MIN_RSA_BITS:
        raise InvalidRequest(f"an RSA key needs at least {MIN_RSA_BITS} bits")
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            key = kind.import_key(pem)
        except _MALFORMED:
            continue
        return key
    raise InvalidRequest("a public key must be RSA, EC or Ed25519")


@lru_cache(maxsize=16)
def keys_of_jwks(document: str) -> tuple[Key, ...]:
    """Return the signature keys of a key set; raise InvalidRequest for an invalid set.

    Keys of unsupported types or uses are left out (RFC 7517, section 5).
    """
    try:
        entries = msgspec.json.decode(document)["keys"]
    except (msgspec.DecodeError, TypeError, KeyError, RecursionError):
        raise InvalidRequest('a key set must be a JSON object with a list of "keys"') from None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise InvalidRequest(f"a key set must have a list of at most {MAX_KEYS} keys")
    keys = tuple(key for key in map(_key_of_jwk, entries) if key is not None)
    if not keys:
        raise InvalidRequest("the key set has no usable public signature key")
    return keys


def _key_of_jwk(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or entry.get("kty") not in {"RSA", "EC", "OKP"}:
        return None
    if entry.get("use") not in {None, "sig"}:
        return None
    modulus = entry.get("n")
    if isinstance(modulus, str) and len(modulus) * _BITS < MIN_RSA_BITS:
        return None
    if not isinstance(entry.get("kid", ""), str):
        return None
    try:
        key = JWKRegistry.import_key(entry)
    except _MALFORMED:
        return None
    return None if isinstance(key, OctKey) or key.is_private else key


def header_of(token: str) -> tuple[str, str]:
    """Return the unverified algorithm and key id of a token; raise InvalidCredentials."""
    if len(token) > MAX_TOKEN:
        raise InvalidCredentials("the token is too long")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except _MALFORMED:
        raise InvalidCredentials("the token is not a JWT") from None
    algorithm, kid = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str) or not isinstance(kid, str):
        raise InvalidCredentials("the token's header is malformed")
    if "crit" in header or "b64" in header:
        raise InvalidCredentials("the token's header asks for extensions")
    return algorithm, kid


def verify(token: str, keys: tuple[Key, ...], algorithms: tuple[str, ...]) -> dict[str, Any]:
    """Return the claims of a token signed by one of keys.

    (1) The algorithm is one of `algorithms`. (2) Candidates are the keys with the token's key id or
    without any; all keys when the token has no key id. (3) A candidate has the algorithm's key
    type. (4) The signature verifies. Raise UnknownKey when (2) finds no key, else
    InvalidCredentials. Claims are not checked.
    """
    algorithm, kid = header_of(token)
    if algorithm not in algorithms or algorithm not in ALGORITHMS:
        raise InvalidCredentials("the token's algorithm is not allowed")
    candidates = [key for key in keys if not kid or (key.kid or "") in {kid, ""}]
    if not candidates:
        raise UnknownKey("the token is signed by a key that is not known")
    kind = _KINDS[algorithm[:2]]
    for key in [each for each in candidates if each.key_type == kind][:MAX_TRIES]:
        try:
            return jwt.decode(token, key, algorithms=[algorithm]).claims
        except _MALFORMED:
            continue
    raise InvalidCredentials("the token's signature does not verify")
