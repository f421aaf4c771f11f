import base64
import contextlib

from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest
from ironkeep.kernel.shares import SHARE_BYTES, Shares, decode_share

SHARE = st.binary(min_size=SHARE_BYTES, max_size=SHARE_BYTES)


@given(SHARE)
def test_hexadecimal_and_base64_are_read(share: bytes) -> None:
    assert decode_share(share.hex()) == share
    assert decode_share(base64.b64encode(share).decode()) == share


@given(st.text(max_size=80))
def test_hostile_text_raises_only_invalid_request(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert len(decode_share(text)) == SHARE_BYTES


@given(st.lists(SHARE, max_size=8), st.integers(1, 4))
def test_distinct_shares_are_gathered_until_there_are_enough(
    given_shares: list[bytes], threshold: int
) -> None:
    shares = Shares(threshold)
    expected: list[bytes] = []
    for share in given_shares:
        assert shares.add(share) is (share not in expected)
        if share not in expected:
            expected.append(share)
        assert shares.progress == len(expected)
        taken = shares.take()
        if len(expected) < threshold:
            assert taken is None
        else:
            assert taken == expected
            assert shares.progress == 0
            expected = []


def test_shares_do_not_show() -> None:
    shares = Shares(2)
    shares.add(b"a" * SHARE_BYTES)
    assert "aaa" not in repr(shares)
