import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core import envelope
from ironkeep.core.errors import IntegrityError
from ironkeep.seal import config as seal_config
from ironkeep.seal.config import CHECK_BYTES, WRAP_BYTES, FileWrap, SealConfig, ShamirWrap
from ironkeep.store.keyring import HOUSE, SegmentId


def _sealed(term: int) -> bytes:
    return envelope.header(term).ljust(WRAP_BYTES, b"x")


CONFIG = SealConfig("house", 3, ShamirWrap(5, 3, _sealed(3)))
WITH_FILE = msgspec.structs.replace(CONFIG, file=FileWrap(_sealed(3)))


WITH_CHECKS = msgspec.structs.replace(WITH_FILE, checks=(bytes(CHECK_BYTES),) * 5)


@pytest.mark.parametrize(("config", "version"), [(CONFIG, 1), (WITH_FILE, 1), (WITH_CHECKS, 2)])
def test_encoded_and_back(config: SealConfig, version: int) -> None:
    """Version 1 is what was written before shares had checks, byte for byte."""
    assert config.encode()[0] == version
    assert seal_config.decode(config.encode()) == config


def test_row_keys_are_plain_of_one_size_and_of_their_segment() -> None:
    segments = (HOUSE, SegmentId("finance"))
    keys = [key(s) for s in segments for key in (seal_config.config_key, seal_config.keyring_key)]
    assert len(set(keys)) == 4
    assert {(len(key), key[0]) for key in keys} == {(33, 0)}


@pytest.mark.parametrize(
    "config",
    [
        msgspec.structs.replace(CONFIG, generation=0),
        msgspec.structs.replace(CONFIG, generation=4),
        SealConfig("house", 2**32, ShamirWrap(5, 3, _sealed(3))),
        msgspec.structs.replace(CONFIG, segment=""),
        msgspec.structs.replace(CONFIG, segment="x" * 65),
        msgspec.structs.replace(CONFIG, segment="häuser"),
        msgspec.structs.replace(CONFIG, shamir=ShamirWrap(5, 6, _sealed(3))),
        msgspec.structs.replace(CONFIG, shamir=ShamirWrap(5, 1, _sealed(3))),
        msgspec.structs.replace(CONFIG, shamir=ShamirWrap(256, 2, _sealed(3))),
        msgspec.structs.replace(CONFIG, shamir=ShamirWrap(5, 3, _sealed(3)[1:])),
        msgspec.structs.replace(CONFIG, shamir=ShamirWrap(5, 3, _sealed(4))),
        msgspec.structs.replace(CONFIG, shamir=ShamirWrap(5, 3, b"\x02" + _sealed(3)[1:])),
        msgspec.structs.replace(CONFIG, file=FileWrap(_sealed(2))),
        msgspec.structs.replace(CONFIG, file=FileWrap(b"")),
        msgspec.structs.replace(CONFIG, checks=(bytes(CHECK_BYTES),) * 4),
        msgspec.structs.replace(CONFIG, checks=(bytes(CHECK_BYTES - 1),) * 5),
    ],
)
def test_unsound_configurations_are_refused(config: SealConfig) -> None:
    with pytest.raises(IntegrityError):
        seal_config.decode(config.encode())


def test_only_the_one_spelling_is_read() -> None:
    good = CONFIG.encode()
    for bad in (
        good + b"\x00",
        b"\x02" + good[1:],
        good[:-1],
        good.replace(b"\x05\x03", b"\xcc\x05\x03"),
    ):
        assert bad != good
        with pytest.raises(IntegrityError, match="restore from a snapshot"):
            seal_config.decode(bad)


@given(st.binary(max_size=100))
def test_hostile_bytes_raise_only_integrity_errors(data: bytes) -> None:
    for hostile in (data, b"\x01" + data):
        with pytest.raises(IntegrityError):
            seal_config.decode(hostile)
