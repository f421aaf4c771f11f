import base64
import contextlib

from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret
from ironkeep.seal.shares import MAX_COMBINED, SHARE_BYTES, Shares, decode_share

SHARE = st.binary(min_size=SHARE_BYTES, max_size=SHARE_BYTES)


@given(SHARE)
def test_hexadecimal_and_base64_are_read(share: bytes) -> None:
    assert decode_share(share.hex()) == share
    assert decode_share(base64.b64encode(share).decode()) == share


@given(st.text(max_size=80))
def test_hostile_text_raises_only_invalid_request(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert len(decode_share(text)) == SHARE_BYTES


@given(st.lists(SHARE, max_size=8, unique=True), st.integers(1, 4))
def test_distinct_shares_are_gathered_until_there_are_enough(
    given_shares: list[bytes], threshold: int
) -> None:
    """Each is genuine, so the first that are enough open it."""
    shares, taken = Shares(threshold), list[list[bytes]]()

    def opens(found: list[bytes]) -> Secret:
        taken.append(found)
        return Secret(b"key")

    for number, share in enumerate(given_shares):
        assert shares.add(share)
        done = shares.open(opens)
        assert (done is not None) is ((number + 1) % threshold == 0)
        assert shares.progress == (number + 1) % threshold
        if done is None:
            assert not shares.add(share)
    for number, found in enumerate(taken):
        assert found == given_shares[number * threshold : (number + 1) * threshold]


def test_no_share_is_tried_in_more_combinations_than_the_limit() -> None:
    shares, tried = Shares(10), list[int]()

    def opens(found: list[bytes]) -> Secret:
        tried.append(len(found))
        raise InvalidRequest("no")

    most = 0
    for number in range(40):
        shares.add(bytes([number]) * SHARE_BYTES)
        before = len(tried)
        with contextlib.suppress(InvalidRequest):
            assert shares.open(opens) is None
        most = max(most, len(tried) - before)
    assert most == MAX_COMBINED


def test_shares_do_not_show() -> None:
    shares = Shares(2)
    shares.add(b"a" * SHARE_BYTES)
    assert "aaa" not in repr(shares)
