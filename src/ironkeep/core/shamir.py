"""Shamir's secret sharing over GF(2^8), byte by byte, in the form of Vault's shares.

    share = y(x) for each byte of the secret ‖ x        x = 1..255, field polynomial 0x11B

Source: A. Shamir, "How to share a secret", CACM 22 (1979). Too few shares, or shares of another
secret, cannot be recognised: `combine` then returns wrong bytes, so the caller must verify the
result by decrypting something with it (seal/wraps.py).

Side channels. All bytes of a secret are processed together as one integer, which is only shifted,
masked and added; every branch, count and index depends on the x coordinates, which are public.
Python's integers are not constant-time: their arithmetic skips leading zero bytes, and secrets stay
in freed memory until overwritten. Splitting and combining happen a few times in the life of a
vault, in front of people. An attacker able to time that process to the nanosecond can also read its
memory.
"""

from typing import Final

from ironkeep.core.errors import InvalidRequest, TooLarge

MAX_SHARES: Final = 255
"""The non-zero x coordinates of GF(2^8)."""

MAX_SECRET_BYTES: Final = 1024
"""Bytes of a secret: far more than a key has; bounds the work for hostile shares."""


def check_scheme(shares: int, threshold: int) -> None:
    """Raise InvalidRequest unless shares and threshold are a valid scheme.

    The rules and texts are Vault's: a threshold of one is allowed only for a single share, because
    otherwise any one of several holders could act alone.
    """
    if shares < 1:
        raise InvalidRequest("invalid seal configuration: shares must be at least one")
    if threshold < 1:
        raise InvalidRequest("invalid seal configuration: threshold must be at least one")
    if shares > 1 and threshold == 1:
        raise InvalidRequest(
            "invalid seal configuration: threshold must be greater than one for multiple shares"
        )
    if shares > MAX_SHARES:
        raise InvalidRequest("invalid seal configuration: shares must be less than 256")
    if threshold > shares:
        raise InvalidRequest("invalid seal configuration: threshold cannot be larger than shares")


def random_bytes_needed(secret_bytes: int, threshold: int) -> int:
    """Return the number of random bytes that `split` needs."""
    return secret_bytes * (threshold - 1)


def split(secret: bytes, shares: int, threshold: int, random: bytes) -> list[bytes]:
    """Return shares of secret: any threshold of them recover it, fewer reveal nothing about it.

    `random` is the coefficients. They must be uniform and may be zero: excluding a zero leading
    coefficient would reveal to holders of threshold - 1 shares one value that the secret is not.
    Raise InvalidRequest on an invalid scheme, ValueError on a wrong number of random bytes.
    """
    check_scheme(shares, threshold)
    size = len(secret)
    if not 0 < size <= MAX_SECRET_BYTES:
        raise TooLarge(f"a secret to split has 1 to {MAX_SECRET_BYTES} bytes")
    if len(random) != random_bytes_needed(size, threshold):
        raise ValueError("wrong amount of random bytes")
    coefficients = [
        int.from_bytes(random[at : at + size], "big") for at in range(0, len(random), size)
    ]
    coefficients.append(int.from_bytes(secret, "big"))
    ones = _ones(size)
    parts = []
    for x in range(1, shares + 1):
        y = 0
        for coefficient in coefficients:  # Horner's rule, the highest power first
            y = _scale(y, x, ones) ^ coefficient
        parts.append(y.to_bytes(size, "big") + bytes([x]))
    return parts


def combine(shares: list[bytes]) -> bytes:
    """Return the secret that shares determine, which is right if they are genuine and enough.

    Raise InvalidRequest on shares that do not belong together: they differ in size, or two have the
    same x coordinate.
    """
    sizes = {len(share) - 1 for share in shares}
    coordinates = [share[-1] for share in shares if share]
    if len(sizes) != 1 or not 0 < max(sizes) <= MAX_SECRET_BYTES:
        raise InvalidRequest("the shares do not belong together: they differ in size")
    if 0 in coordinates or len(set(coordinates)) != len(coordinates):
        raise InvalidRequest("the shares do not belong together: they repeat a coordinate")
    size = max(sizes)
    ones = _ones(size)
    secret = 0
    for share in shares:
        weight = _weight(share[-1], coordinates)
        secret ^= _scale(int.from_bytes(share[:-1], "big"), weight, ones)
    return secret.to_bytes(size, "big")


def _ones(size: int) -> int:
    return int.from_bytes(b"\x01" * size, "big")


def _scale(vector: int, factor: int, ones: int) -> int:
    """Multiply each byte of vector by the public factor in GF(2^8)."""
    low = ones * 0x7F
    product = 0
    while factor:
        if factor & 1:
            product ^= vector
        vector = (vector & low) << 1 ^ (vector >> 7 & ones) * 0x1B
        factor >>= 1
    return product


def _weight(x: int, coordinates: list[int]) -> int:
    """Return the Lagrange basis polynomial of x at zero; it is public."""
    numerator = denominator = 1
    for other in coordinates:
        if other != x:
            numerator = _scale(numerator, other, 1)
            denominator = _scale(denominator, other ^ x, 1)
    quotient, power = numerator, denominator
    for _ in range(7):  # 1/a = a^254 = a^2 a^4 ... a^128
        power = _scale(power, power, 1)
        quotient = _scale(quotient, power, 1)
    return quotient
