import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, strategies as st

from ironkeep.core import envelope
from ironkeep.core.errors import IntegrityError

KEY = AESGCM(bytes(range(32)))
NONCE = bytes(range(12))


def test_the_layout_is_version_term_nonce_ciphertext() -> None:
    sealed = envelope.encrypt(KEY, 0x01020304, NONCE, b"hello", b"here")
    assert sealed[:5] == b"\x01\x01\x02\x03\x04" == envelope.header(0x01020304)
    assert sealed[5:17] == NONCE
    assert sealed[17:] == KEY.encrypt(NONCE, b"hello", b"here")
    assert len(sealed) == envelope.OVERHEAD_BYTES + 5


def test_nist_cavs_vector() -> None:
    """AES-256-GCM, Keylen 256, IVlen 96, PTlen 128, AADlen 128, Count 0 of gcmEncryptExtIV256."""
    key = bytes.fromhex("92e11dcdaa866f5ce790fd24501f92509aacf4cb8b1339d50c9c1240935dd08b")
    iv = bytes.fromhex("ac93a1a6145299bde902f21a")
    plain = bytes.fromhex("2d71bcfa914e4ac045b2aa60955fad24")
    aad = bytes.fromhex("1e0889016f67601c8ebea4943bc23ad6")
    want = "8995ae2e6df3dbf96fac7b7137bae67feca5aa77d51d4a0a14d9c51e1da474ab"
    assert envelope.encrypt(AESGCM(key), 1, iv, plain, aad)[17:].hex() == want


@given(st.binary(max_size=200), st.binary(max_size=60), st.integers(0, envelope.MAX_TERM))
def test_opens_to_what_was_sealed(plain: bytes, aad: bytes, term: int) -> None:
    sealed = envelope.encrypt(KEY, term, NONCE, plain, aad)
    assert envelope.term_of(sealed) == term
    assert envelope.decrypt(KEY, sealed, aad) == plain


@given(st.integers(0, 8 * 38 - 1))
def test_no_bit_but_the_terms_can_change(bit: int) -> None:
    sealed = bytearray(envelope.encrypt(KEY, 1, NONCE, b"hello", b"here"))
    sealed[bit // 8] ^= 1 << bit % 8
    if 1 <= bit // 8 < envelope.HEADER_BYTES:
        # The term picks the key: under another term there is another key, or none.
        assert envelope.term_of(bytes(sealed)) != 1
    else:
        with pytest.raises(IntegrityError):
            envelope.decrypt(KEY, bytes(sealed), b"here")


@pytest.mark.parametrize("size", range(38))
def test_cut_short_anywhere(size: int) -> None:
    sealed = envelope.encrypt(KEY, 1, NONCE, b"hello", b"here")
    with pytest.raises(IntegrityError):
        envelope.decrypt(KEY, sealed[:size], b"here")


def test_another_key_or_place_does_not_open() -> None:
    sealed = envelope.encrypt(KEY, 1, NONCE, b"hello", b"here")
    with pytest.raises(IntegrityError):
        envelope.decrypt(KEY, sealed, b"there")
    with pytest.raises(IntegrityError):
        envelope.decrypt(AESGCM(bytes(32)), sealed, b"here")


@given(st.binary(max_size=64))
def test_hostile_bytes_raise_only_integrity_errors(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        envelope.decrypt(KEY, data, b"")
    with pytest.raises(IntegrityError):
        envelope.decrypt(KEY, b"\x01" + data, b"")


def test_a_nonce_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        envelope.encrypt(KEY, 1, bytes(11), b"", b"")
