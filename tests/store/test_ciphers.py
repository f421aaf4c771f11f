import pytest

from ironkeep.core.errors import IntegrityError, Sealed
from ironkeep.core.ports import Entropy
from ironkeep.store.ciphers import Ciphers
from ironkeep.store.keyring import HOUSE, Keyring, new_keyring


@pytest.fixture
def keyring(entropy: Entropy) -> Keyring:
    return new_keyring(HOUSE, entropy, now_ns=1_000)


def test_old_terms_still_open(keyring: Keyring, entropy: Entropy) -> None:
    old = Ciphers(keyring, entropy)
    sealed = old.encrypt(b"text", b"aad")
    new = Ciphers(keyring.rotate(entropy, 2), entropy)
    assert new.decrypt(sealed, b"aad") == b"text"
    with pytest.raises(IntegrityError, match="term 2"):
        old.decrypt(new.encrypt(b"text", b"aad"), b"aad")


def test_uses_are_counted(keyring: Keyring, entropy: Entropy) -> None:
    ciphers = Ciphers(keyring.counted(10), entropy)
    for _ in range(3):
        ciphers.decrypt(ciphers.encrypt(b"", b""), b"")
    assert ciphers.encryptions == ciphers.counted_keyring().encryptions == 13
    assert Ciphers(ciphers.counted_keyring(), entropy).encryptions == 13
    assert ciphers.keyring.rotate(entropy, 2).encryptions == 0


def test_hostile_bytes_raise_only_integrity_errors(keyring: Keyring, entropy: Entropy) -> None:
    ciphers = Ciphers(keyring, entropy)
    sealed = ciphers.encrypt(b"text", b"aad")
    for size in range(len(sealed)):
        with pytest.raises(IntegrityError):
            ciphers.decrypt(sealed[:size], b"aad")
    with pytest.raises(IntegrityError, match="version 2"):
        ciphers.decrypt(b"\x02" + sealed[1:], b"aad")


def test_each_encryption_has_its_own_nonce(keyring: Keyring, entropy: Entropy) -> None:
    ciphers = Ciphers(keyring, entropy)
    sealed = [ciphers.encrypt(b"same", b"aad") for _ in range(100)]
    assert len({value[5:17] for value in sealed}) == 100


@pytest.mark.parametrize("sizes", [[], [5], [1, 0, 7], [100_000, 28_000]])
def test_an_envelope_made_in_parts_opens_like_any_other(
    keyring: Keyring, entropy: Entropy, sizes: list[int]
) -> None:
    ciphers = Ciphers(keyring, entropy)
    making = ciphers.in_parts(b"aad")
    whole = b""
    for number, size in enumerate(sizes):
        part = bytes([number]) * size
        making.add(part)
        whole += part
    sealed = making.end()
    assert ciphers.encryptions == 1
    assert ciphers.decrypt(sealed, b"aad") == whole
    with pytest.raises(IntegrityError):
        ciphers.decrypt(sealed, b"other")


def test_nothing_is_encrypted_in_parts_without_keys(keyring: Keyring, entropy: Entropy) -> None:
    ciphers = Ciphers(keyring, entropy)
    ciphers.close()
    with pytest.raises(Sealed):
        ciphers.in_parts(b"aad")
