import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, TooLarge
from ironkeep.core.ports import Entropy
from ironkeep.store import keyring as module
from ironkeep.store.ciphers import Ciphers
from ironkeep.store.keyring import HOUSE, Keyring, decode, new_keyring

DAY_NS = 86_400 * 10**9


@pytest.fixture
def keyring(entropy: Entropy) -> Keyring:
    return new_keyring(HOUSE, entropy, now_ns=1_000)


def test_encoded_and_back(keyring: Keyring, entropy: Entropy) -> None:
    rotated = keyring.rotate(entropy, 2_000).counted(17)
    back = decode(rotated.encode())
    assert back.encode() == rotated.encode()
    assert (back.segment, back.encryptions) == (HOUSE, 17)
    assert [(term.number, term.created_ns) for term in back.terms] == [(1, 1_000), (2, 2_000)]


def test_no_key_shows(keyring: Keyring, entropy: Entropy) -> None:
    keys = [keyring.name_key, keyring.row_hash_key, keyring.current.key]
    shown = repr(keyring) + str(keyring) + repr(keyring.current) + repr(Ciphers(keyring, entropy))
    for key in keys:
        assert key.reveal().hex() not in shown
        assert repr(key.reveal())[2:-1] not in shown


def test_rotation_keeps_all_but_the_current_term(keyring: Keyring, entropy: Entropy) -> None:
    rotated = keyring.counted(5).rotate(entropy, 9)
    assert rotated.current.number == 2
    assert rotated.encryptions == 0
    assert rotated.terms[0] is keyring.current
    assert not rotated.current.key.equals(keyring.current.key.reveal())
    assert rotated.name_key is keyring.name_key
    assert rotated.row_hash_key is keyring.row_hash_key


def test_a_full_keyring_refuses(
    keyring: Keyring, entropy: Entropy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_TERMS", 2)
    rotated = keyring.rotate(entropy, 2)
    with pytest.raises(TooLarge):
        rotated.rotate(entropy, 3)


@pytest.mark.parametrize(
    ("used", "age_ns", "interval", "due"),
    [
        (0, 0, 0, False),
        (99, 0, 0, False),
        (100, 0, 0, True),
        (0, 1000 * DAY_NS, 0, False),
        (0, DAY_NS - 1, 86_400, False),
        (0, DAY_NS, 86_400, True),
    ],
)
def test_due_by_count_and_by_age(
    keyring: Keyring, used: int, age_ns: int, interval: int, due: bool
) -> None:
    assert keyring.counted(used).due_for_rotation(1_000 + age_ns, 100, interval) is due


@given(st.binary(max_size=80))
def test_hostile_bytes_raise_only_integrity_errors(data: bytes) -> None:
    for hostile in (data, b"\x01" + data):
        with pytest.raises(IntegrityError):
            decode(hostile)


KEY = bytes(32)


@pytest.mark.parametrize(
    "wire",
    [
        ["", KEY, KEY, 0, [[1, KEY, 0]]],
        ["h" * 65, KEY, KEY, 0, [[1, KEY, 0]]],
        ["häuser", KEY, KEY, 0, [[1, KEY, 0]]],
        ["house", KEY[:31], KEY, 0, [[1, KEY, 0]]],
        ["house", KEY, KEY + b"0", 0, [[1, KEY, 0]]],
        ["house", KEY, KEY, -1, [[1, KEY, 0]]],
        ["house", KEY, KEY, 0, []],
        ["house", KEY, KEY, 0, [[2, KEY, 0]]],
        ["house", KEY, KEY, 0, [[1, KEY, 0], [1, KEY, 0]]],
        ["house", KEY, KEY, 0, [[1, KEY[1:], 0]]],
        ["house", KEY, KEY, 0, [[1, KEY, 0]], "more"],
    ],
)
def test_unsound_keyrings_are_refused(wire: list[object]) -> None:
    with pytest.raises(IntegrityError):
        decode(b"\x01" + msgspec.msgpack.encode(wire))


def test_only_the_one_spelling_is_read(keyring: Keyring) -> None:
    encoded = keyring.encode()
    assert encoded.endswith(b"\xcd\x03\xe8")  # created_ns 1000 as u16
    with pytest.raises(IntegrityError):
        decode(encoded[:-3] + b"\xce\x00\x00\x03\xe8")
    with pytest.raises(IntegrityError):
        decode(encoded + b"\x00")
    with pytest.raises(IntegrityError, match="version"):
        decode(b"\x02" + encoded[1:])
