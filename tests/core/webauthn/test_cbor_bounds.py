"""CBOR that a library may take apart, and what it must not see."""

from typing import Any

import pytest
from fido2 import cbor
from hypothesis import given, strategies as st

from ironkeep.core.webauthn.cbor_bounds import MAX_DEPTH, MAX_ITEMS, require_few

SMALL = st.recursive(
    st.one_of(st.integers(-(2**40), 2**40), st.binary(max_size=300), st.text(), st.booleans()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(SMALL, st.binary(max_size=9))
def test_what_is_small_passes_whatever_follows(value: Any, rest: bytes) -> None:
    encoded = cbor.encode(value)
    _, left = cbor.decode_from(encoded + rest)
    assert left == rest
    require_few(encoded + rest)


@pytest.mark.parametrize("excess", [0, 1])
def test_items_and_depth_have_a_limit(excess: int) -> None:
    for value in (
        [0] * (MAX_ITEMS - 1 + excess),
        dict.fromkeys(range((MAX_ITEMS - 1 + excess) // 2 + excess), 0),
    ):
        encoded = cbor.encode(value)
        if excess:
            with pytest.raises(ValueError, match="too many"):
                require_few(encoded)
        else:
            require_few(encoded)
    nested = b"\x81" * (MAX_DEPTH - 1 + excess) + b"\x00"
    if excess:
        with pytest.raises(ValueError, match="too many"):
            require_few(nested)
    else:
        require_few(nested)


@pytest.mark.parametrize("data", [b"", b"\x81", b"\x9f\xff", b"\xc0\x00", b"\x5f", b"\x1c"])
def test_what_is_cut_short_or_not_canonical_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut short|canonical"):
        require_few(data)
