import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.seal.wraps import (
    decode_file_key,
    encode_file_key,
    open_file,
    open_shamir,
    wrap_root_key,
)
from ironkeep.store.keyring import HOUSE

ROOT_KEY = Secret(bytes(range(32)))
FILE_KEY = Secret(bytes(range(1, 33)))


def test_each_wrap_opens_to_the_root_key(entropy: Entropy) -> None:
    config, shares = wrap_root_key(ROOT_KEY, HOUSE, 7, (3, 2), FILE_KEY, entropy)
    parts = [share.reveal() for share in shares]
    assert config.generation == 7
    for chosen in (parts[:2], parts[1:], parts):
        assert open_shamir(config, chosen).equals(ROOT_KEY.reveal())
    assert open_file(config, FILE_KEY).equals(ROOT_KEY.reveal())


@pytest.mark.parametrize("size", [1, 2, 31, 33, 64])
def test_shares_of_another_size_are_wrong_shares(entropy: Entropy, size: int) -> None:
    config, _ = wrap_root_key(ROOT_KEY, HOUSE, 1, (3, 2), None, entropy)
    with pytest.raises(InvalidRequest, match="do not open the seal"):
        open_shamir(config, [bytes(size) + b"\x01", bytes(size) + b"\x02"])


def test_one_kind_of_wrap_does_not_open_as_another(entropy: Entropy) -> None:
    config, shares = wrap_root_key(ROOT_KEY, HOUSE, 1, (1, 1), None, entropy)
    with pytest.raises(InvalidRequest, match="no file wrap"):
        open_file(config, FILE_KEY)
    both, _ = wrap_root_key(ROOT_KEY, HOUSE, 1, (1, 1), FILE_KEY, entropy)
    with pytest.raises(InvalidRequest, match="another vault"):
        open_file(both, Secret(shares[0].reveal()[:32]))


@given(st.binary(max_size=80))
def test_only_the_written_form_of_a_key_file_is_read(content: bytes) -> None:
    for hostile in (content, b"ironkeep-seal-key-1:" + content):
        with pytest.raises(InvalidRequest, match="key file"):
            decode_file_key(hostile)
    good = encode_file_key(Secret(bytes(range(32))))
    assert decode_file_key(good).equals(bytes(range(32)))
    for hostile in (good[:-1], good + b"\n", good[1:], b" " + good):
        with pytest.raises(InvalidRequest, match="key file"):
            decode_file_key(hostile)
