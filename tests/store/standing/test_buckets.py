import pytest
from hypothesis import given, strategies as st

from ironkeep.store.standing.buckets import BUCKETS, Sums, bucket_of, tail_of


@given(st.integers(0, BUCKETS - 1), st.binary(max_size=40))
def test_a_bucket_is_the_end_of_its_keys(bucket: int, start: bytes) -> None:
    assert bucket_of(start + tail_of(bucket)) == bucket


def test_a_key_that_is_too_short_has_a_bucket_too() -> None:
    assert (bucket_of(b""), bucket_of(b"\x07")) == (0, 7)


@given(st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(0, 2**256 - 1), max_size=20))
def test_sums_are_kept_by_bucket(values: dict[int, int]) -> None:
    sums = Sums()
    for bucket, total in values.items():
        sums.put(bucket, total)
    for each in (sums, Sums(sums.encode())):
        assert {bucket: each.get(bucket) for bucket in values} == values
        assert each.get((max(values, default=0) + 1) % BUCKETS) in {0, *values.values()}


def test_sums_fit_their_size_alone() -> None:
    with pytest.raises(OverflowError):
        Sums().put(1, 2**256)
    assert "0" not in repr(Sums())
