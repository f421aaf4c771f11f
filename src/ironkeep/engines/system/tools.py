"""Random bytes and hashes: `sys/tools`.

Source: the Vault HTTP API, sys/tools.
"""

import binascii
import hashlib
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response, Unkept
from ironkeep.plugin.route import Route

MAX_RANDOM: Final = 128 * 1024
"""Vault's own limit on one call."""
DEFAULT_RANDOM: Final = 32
SOURCES: Final = frozenset({"platform", "seal", "all"})
"""Vault's names of entropy sources; all mean the platform, as no seal supplies randomness."""

_NUMBER: Final = re.compile(r"\d+", re.ASCII)
_ALGORITHMS: Final = {
    "sha2-224": "sha224", "sha2-256": "sha256", "sha2-384": "sha384", "sha2-512": "sha512",
    "sha3-224": "sha3_224", "sha3-256": "sha3_256", "sha3-384": "sha3_384",
    "sha3-512": "sha3_512",
}  # fmt: skip


@dataclass(frozen=True)
class Random:
    """The number of random bytes, their source and encoding."""

    bytes: int = DEFAULT_RANDOM
    source: str = "platform"
    format: str = "base64"


@dataclass(frozen=True)
class Hash:
    """The input to hash (base64), the algorithm, and the encoding of the result."""

    input: Secret = Secret(b"")
    algorithm: str = "sha2-256"
    format: str = "hex"


def _spelt(raw: bytes, spelling: str) -> Unkept:
    if spelling == "hex":
        return Unkept(raw.hex().encode())
    if spelling == "base64":
        return Unkept(b64encode(raw))
    raise InvalidRequest(f"unsupported encoding format {spelling[:16]!r}; must be hex or base64")


def random(call: Call, given: Random) -> Response:
    """Return random bytes."""
    count, source = given.bytes, given.source
    if _NUMBER.fullmatch(source) and "source" in call.params and "bytes" not in call.params:
        count, source = _count(source), "platform"
    if not 1 <= count <= MAX_RANDOM:
        raise InvalidRequest(f"bytes must be between 1 and {MAX_RANDOM}")
    if source not in SOURCES:
        raise InvalidRequest(f"unsupported entropy source {source[:16]!r}; it is platform")
    return Response(data={"random_bytes": _spelt(call.entropy.token(count), given.format)})


def _count(text: str) -> int:
    """Return the number at the end of a path; map one with too many digits past the limit."""
    return int(text) if len(text) <= len(str(MAX_RANDOM)) else MAX_RANDOM + 1


def sum_of(_call: Call, given: Hash) -> Response:
    """Return the hash of the input."""
    name = _ALGORITHMS.get(given.algorithm)
    if name is None:
        raise InvalidRequest(f"unsupported algorithm {given.algorithm[:16]!r}")
    try:
        raw = b64decode(given.input.reveal(), validate=True)
    except binascii.Error:
        raise InvalidRequest("unable to decode input as base64") from None
    return Response(data={"sum": _spelt(hashlib.new(name, raw).digest(), given.format)})


ROUTES: Final = (
    *(
        Route(Operation.UPDATE, pattern, random, Random, help="Generate random bytes.")
        for pattern in ("tools/random", "tools/random/{source}", "tools/random/{source}/{bytes}")
    ),
    *(
        Route(Operation.UPDATE, pattern, sum_of, Hash, help="Hash the input.")
        for pattern in ("tools/hash", "tools/hash/{algorithm}")
    ),
)
