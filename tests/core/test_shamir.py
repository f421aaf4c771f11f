"""The independent implementation here works on polynomials over GF(2) and tries all answers."""

import itertools

import pytest
from hypothesis import given, strategies as st

from ironkeep.core import shamir
from ironkeep.core.errors import InvalidRequest, TooLarge


def slow_multiply(a: int, b: int) -> int:
    """Long multiplication of polynomials over GF(2), then long division by x^8+x^4+x^3+x+1."""
    product = 0
    for i, j in itertools.product(range(8), repeat=2):
        product ^= (a >> i & 1) * (b >> j & 1) << i + j
    for degree in range(14, 7, -1):
        if product >> degree & 1:
            product ^= 0b1_0001_1011 << degree - 8
    return product


def slow_evaluate(coefficients: list[int], x: int) -> int:
    """The sum of c_i x^i, with each power multiplied out."""
    total = 0
    for power, coefficient in enumerate(coefficients):
        term = coefficient
        for _ in range(power):
            term = slow_multiply(term, x)
        total ^= term
    return total


def slow_secret_byte(points: list[tuple[int, int]]) -> int:
    """Lagrange at zero, with quotients found by trying all 255 of them."""
    total = 0
    for x, y in points:
        top, bottom = y, 1
        for other, _ in points:
            if other != x:
                top, bottom = slow_multiply(top, other), slow_multiply(bottom, other ^ x)
        total ^= next(q for q in range(256) if slow_multiply(q, bottom) == top)
    return total


def test_the_field_is_that_of_fips_197() -> None:
    """FIPS 197, 4.2: {57} x {83} = {c1} and {57} x {13} = {fe}."""
    assert slow_multiply(0x57, 0x83) == 0xC1
    assert shamir._scale(0x57, 0x83, 1) == 0xC1
    assert shamir._scale(0x57, 0x13, 1) == 0xFE


def test_multiplication_over_the_whole_field() -> None:
    everything = bytes(range(256))
    ones = shamir._ones(256)
    for factor in range(256):
        product = shamir._scale(int.from_bytes(everything, "big"), factor, ones)
        assert product.to_bytes(256, "big") == bytes(slow_multiply(a, factor) for a in everything)


def test_known_shares() -> None:
    """Secret 00 ff 42, coefficients of x^2 = 01 02 03 and of x = aa bb cc; worked out by hand for
    x = 1: 00^aa^01, ff^bb^02, 42^cc^03."""
    parts = shamir.split(b"\x00\xff\x42", 4, 3, bytes.fromhex("010203aabbcc"))
    assert parts[0] == bytes.fromhex("ab468d01")
    for x, part in enumerate(parts, start=1):
        rows = zip(b"\x00\xff\x42", b"\xaa\xbb\xcc", b"\x01\x02\x03", strict=True)
        want = [slow_evaluate(list(row), x) for row in rows]
        assert part == bytes([*want, x])


SCHEMES = st.integers(1, 12).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(1 if n == 1 else 2, n))
)


@given(SCHEMES, st.binary(min_size=1, max_size=9), st.data())
def test_any_threshold_of_shares_gives_the_secret(
    scheme: tuple[int, int], secret: bytes, data: st.DataObject
) -> None:
    shares, threshold = scheme
    need = shamir.random_bytes_needed(len(secret), threshold)
    parts = shamir.split(
        secret, shares, threshold, data.draw(st.binary(min_size=need, max_size=need))
    )
    assert [part[-1] for part in parts] == list(range(1, shares + 1))
    chosen = data.draw(st.permutations(parts))[: data.draw(st.integers(threshold, shares))]
    assert shamir.combine(chosen) == secret
    points = [[(part[-1], part[at]) for part in chosen] for at in range(len(secret))]
    assert bytes(slow_secret_byte(column) for column in points) == secret


def test_fewer_shares_fit_every_secret_equally() -> None:
    """Perfect secrecy, counted out: for one byte and threshold 2, over all coefficients each value
    of a share occurs exactly once, whatever the secret."""
    for secret in (0x00, 0x01, 0x42, 0xFF):
        for holder in (0, 4):
            seen = {shamir.split(bytes([secret]), 5, 2, bytes([c]))[holder][0] for c in range(256)}
            assert seen == set(range(256))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_a_wrong_share_gives_other_bytes(secret: bytes, random: bytes) -> None:
    parts = shamir.split(secret, 5, 3, random)
    wrong = bytes([parts[1][0] ^ 1]) + parts[1][1:]
    assert shamir.combine([parts[0], wrong, parts[2]]) != secret


def test_all_255_shares() -> None:
    secret = bytes(range(32))
    parts = shamir.split(secret, 255, 255, bytes(range(1, 255)) * 32)
    assert shamir.combine(parts) == secret
    assert shamir.combine(parts[:-1]) != secret


@pytest.mark.parametrize(
    ("shares", "threshold", "says"),
    [
        (0, 1, "shares must be at least one"),
        (-1, -1, "shares must be at least one"),
        (3, 0, "threshold must be at least one"),
        (2, 1, "greater than one for multiple shares"),
        (256, 3, "less than 256"),
        (3, 4, "larger than shares"),
        (1, 2, "larger than shares"),
    ],
)
def test_impossible_schemes(shares: int, threshold: int, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        shamir.check_scheme(shares, threshold)
    with pytest.raises(InvalidRequest, match=says):
        shamir.split(b"secret", shares, threshold, b"")


def test_limits_of_the_secret() -> None:
    size = shamir.MAX_SECRET_BYTES
    assert shamir.combine(shamir.split(bytes(size), 1, 1, b"")) == bytes(size)
    for secret in (b"", bytes(size + 1)):
        with pytest.raises(TooLarge):
            shamir.split(secret, 1, 1, b"")


def test_the_wrong_amount_of_randomness_is_a_bug() -> None:
    with pytest.raises(ValueError, match="random"):
        shamir.split(b"secret", 3, 2, bytes(5))


@pytest.mark.parametrize(
    "shares",
    [
        [],
        [b""],
        [b"\x01"],
        [b"\x05\x00"],
        [b"\x05\x01", b"\x06\x01"],
        [b"\x05\x01", b"\x05\x01"],
        [b"\x05\x01", b"\x05\x06\x02"],
        [b"\x05\x01", b""],
        [bytes(shamir.MAX_SECRET_BYTES + 1) + b"\x01"],
    ],
)
def test_shares_that_cannot_belong_together(shares: list[bytes]) -> None:
    with pytest.raises(InvalidRequest, match="belong together"):
        shamir.combine(shares)


@given(st.lists(st.binary(max_size=5), max_size=5))
def test_hostile_shares_raise_only_invalid_request(shares: list[bytes]) -> None:
    try:
        secret = shamir.combine(shares)
    except InvalidRequest:
        return
    assert {len(share) for share in shares} == {len(secret) + 1}
