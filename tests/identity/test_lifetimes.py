"""How long things live: Vault's rules, by table and by property."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.lifetimes import Limits, is_running, lifetime, limits_of

LIMITS = Limits(default_seconds=3600, max_seconds=86_400)


@pytest.mark.parametrize(
    ("asked", "age", "seconds"),
    [
        ({}, 0, 3600),
        ({"ttl": 60}, 0, 60),
        ({"ttl": 60, "increment": 120}, 0, 120),
        ({"ttl": 90_000}, 0, 86_400),
        ({"ttl": 1800, "explicit": 300}, 0, 300),
        ({"ttl": 60, "longest": 50}, 0, 50),
        ({"ttl": 60, "longest": 200_000}, 0, 60),
        ({"ttl": 3600}, 85_000, 1400),
        ({"period": 1800}, 0, 1800),
        ({"period": 1800}, 900_000, 1800),
        ({"period": 100_000}, 0, 86_400),
        ({"period": 1800, "explicit": 3600}, 3000, 600),
        ({"period": 1800, "ttl": 5, "increment": 7}, 0, 1800),
    ],
)
def test_table(asked: dict[str, int], age: int, seconds: int) -> None:
    now = 10**18
    granted, _ = lifetime(LIMITS, issued_ns=now - age * SECOND_NS, now_ns=now, **asked)
    assert granted == seconds


def test_what_is_cut_is_said_in_vaults_words() -> None:
    _, warnings = lifetime(LIMITS, issued_ns=0, now_ns=0, ttl=1_000_000)
    (warning,) = warnings
    assert warning == (
        'TTL of "277h46m40s" exceeded the effective max_ttl of "24h0m0s"; '
        "TTL value is capped accordingly"
    )
    _, warnings = lifetime(LIMITS, issued_ns=0, now_ns=0, period=1_000_000)
    (warning,) = warnings
    assert warning == (
        'period of "277h46m40s" exceeded the effective max_ttl of "24h0m0s"; '
        "period value is capped accordingly"
    )


@pytest.mark.parametrize("age", [86_400, 90_000])
def test_past_the_maximum_nothing_is_left(age: int) -> None:
    with pytest.raises(InvalidRequest, match="past the max TTL"):
        lifetime(LIMITS, issued_ns=0, now_ns=age * SECOND_NS, ttl=1)


seconds = st.integers(0, 200_000)


@given(
    age=st.integers(0, 86_399), ttl=seconds, increment=seconds, longest=seconds, explicit=seconds
)
def test_no_renewal_outlives_any_maximum(
    age: int, ttl: int, increment: int, longest: int, explicit: int
) -> None:
    now = age * SECOND_NS
    try:
        granted, _ = lifetime(
            LIMITS,
            issued_ns=0,
            now_ns=now,
            ttl=ttl,
            increment=increment,
            longest=longest,
            explicit=explicit,
        )
    except InvalidRequest:
        assert age >= min(value for value in (longest, explicit, 86_400) if value)
        return
    assert granted > 0
    assert all(age + granted <= value for value in (longest, explicit, 86_400) if value)


def test_limits_of_a_mount() -> None:
    assert limits_of({}) == Limits()
    assert limits_of({"max_lease_ttl": 60}) == Limits(60, 60)
    assert limits_of({"default_lease_ttl": 10, "max_lease_ttl": 60}) == Limits(10, 60)


def test_more_is_left_of_no_grant_than_was_granted() -> None:
    now, hour = 400 * 86_400 * SECOND_NS, 3_600
    assert is_running(now + 1, hour, now)
    assert is_running(now + hour * SECOND_NS, hour, now)
    assert not is_running(now + hour * SECOND_NS + 1, hour, now)
    assert not is_running(now, hour, now)
