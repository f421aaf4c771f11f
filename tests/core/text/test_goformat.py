"""Times and durations as Go prints them, which clients parse."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.text.goformat import duration, rfc3339
from ironkeep.plugin.fields import duration as parsed

YEAR_9999_NS = 253_402_300_799 * 10**9


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (1_767_225_600_123_456_780, "2026-01-01T00:00:00.12345678Z"),
        (YEAR_9999_NS, "9999-12-31T23:59:59Z"),
    ],
)
def test_times(time_ns: int, text: str) -> None:
    assert rfc3339(time_ns) == text


@given(st.integers(0, YEAR_9999_NS))
def test_times_are_read_by_anybody(time_ns: int) -> None:
    text = rfc3339(time_ns)
    at = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    fraction = text[19:].removesuffix("Z").removeprefix(".").ljust(9, "0")
    assert int(at.timestamp()) * 10**9 + int(fraction) == time_ns


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m0s"), (3600, "1h0m0s"), (5461, "1h31m1s"),
     (90_000, "25h0m0s")],
)  # fmt: skip
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@given(st.integers(0, 10**9))
def test_durations_are_read_back(seconds: int) -> None:
    assert parsed(duration(seconds)) == seconds
