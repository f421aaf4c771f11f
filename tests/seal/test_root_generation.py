import base64

import pytest

from ironkeep.core.errors import InvalidRequest, Sealed
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.seal.rekey import Rekey
from ironkeep.seal.root_generation import RootGeneration, RootGrant, RootStatus
from ironkeep.seal.seal import Seal
from ironkeep.store.keyring import HOUSE
from ironkeep.store.rows import RowView

OTP = "0123456789abcdefghijABCDEFGH"
TOKEN = b"hvs." + b"x" * 24
IDLE = RootStatus("", started=False, progress=0, required=2)


@pytest.fixture
def seal(entropy: Entropy) -> Seal:
    return Seal(HOUSE, entropy)


@pytest.fixture
def keys(seal: Seal, view: RowView) -> list[str]:
    """The seal is initialised, 2 of 3, and open."""
    keys = [key.reveal().hex() for key in seal.initialise(view, 1, 3, 2).keys]
    for key in keys[:2]:
        seal.unseal(view, key)
    return keys


@pytest.fixture
def generation(seal: Seal, entropy: Entropy) -> RootGeneration:
    return RootGeneration(seal, entropy)


def _decode(encoded: str, otp: str) -> bytes:
    """As `vault operator generate-root -decode` does."""
    mixed = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(a ^ b for a, b in zip(mixed, otp.encode(), strict=True))


def test_shares_grant_one_token(generation: RootGeneration, keys: list[str]) -> None:
    assert generation.status() == IDLE
    started, made = generation.start(OTP)
    assert made is None
    assert started == RootStatus(started.nonce, started=True, progress=0, required=2)
    assert (started.otp_length, started.pgp_fingerprint) == (28, "")
    status = generation.update(keys[2], started.nonce)
    assert isinstance(status, RootStatus)
    assert (status.progress, status.complete) == (1, False)
    grant = generation.update(keys[0], started.nonce)
    assert isinstance(grant, RootGrant)
    assert grant.status == RootStatus(started.nonce, True, 2, 2, complete=True)
    encoded = grant.encode(Secret(TOKEN))
    assert _decode(encoded, OTP) == TOKEN
    assert "=" not in encoded
    assert OTP not in repr(grant)
    assert generation.status() == IDLE
    with pytest.raises(InvalidRequest, match="no root generation in progress"):
        generation.update(keys[1], started.nonce)


def test_a_known_encoding() -> None:
    grant = RootGrant(IDLE, Secret(b"\x00" * 27 + b"\xff"))
    assert grant.encode(Secret(b"h" * 28)) == base64.b64encode(b"h" * 27 + b"\x97").decode()[:-2]
    with pytest.raises(ValueError, match="28"):
        grant.encode(Secret(b"h" * 29))


def test_we_make_the_password_when_asked(generation: RootGeneration, keys: list[str]) -> None:
    status, made = generation.start()
    assert made is not None
    otp = made.reveal().decode()
    assert len(otp) == 28
    assert otp.isalnum()
    generation.update(keys[0], status.nonce)
    grant = generation.update(keys[1], status.nonce)
    assert isinstance(grant, RootGrant)
    assert _decode(grant.encode(Secret(TOKEN)), otp) == TOKEN


@pytest.mark.parametrize("otp", ["short", OTP + "x", "é" * 14, "é" * 28, "\ud800" * 28])
def test_other_passwords_are_refused(generation: RootGeneration, keys: list[str], otp: str) -> None:
    assert keys
    with pytest.raises(InvalidRequest, match="wrong length"):
        generation.start(otp)
    assert generation.status() == IDLE


def test_wrong_nonces_and_repeated_or_wrong_shares(
    generation: RootGeneration, keys: list[str]
) -> None:
    nonce = generation.start(OTP)[0].nonce
    with pytest.raises(InvalidRequest, match="incorrect nonce"):
        generation.update(keys[0], "")
    generation.update(keys[0], nonce)
    with pytest.raises(InvalidRequest, match="already been provided"):
        generation.update(keys[0], nonce)
    with pytest.raises(InvalidRequest, match="do not open"):
        generation.update("00" * 33, nonce)
    assert generation.status().progress == 1
    assert isinstance(generation.update(keys[1], nonce), RootGrant)


def test_one_at_a_time_and_cancelled(generation: RootGeneration, keys: list[str]) -> None:
    generation.cancel()
    nonce = generation.start(OTP)[0].nonce
    with pytest.raises(InvalidRequest, match="already in progress"):
        generation.start(OTP)
    generation.update(keys[0], nonce)
    generation.cancel()
    with pytest.raises(InvalidRequest, match="no root generation"):
        generation.update(keys[1], nonce)
    again = generation.start(OTP)[0]
    assert again.progress == 0
    assert again.nonce != nonce


def test_sealing_ends_the_attempt(
    seal: Seal, view: RowView, generation: RootGeneration, keys: list[str]
) -> None:
    nonce = generation.start(OTP)[0].nonce
    generation.update(keys[0], nonce)
    seal.close()
    for touch in (
        generation.status,
        generation.cancel,
        lambda: generation.start(OTP),
        lambda: generation.update(keys[1], nonce),
    ):
        with pytest.raises(Sealed):
            touch()
    for key in keys[:2]:
        seal.unseal(view, key)
    assert generation.status() == IDLE


def test_a_rekey_ends_the_attempt(
    seal: Seal, view: RowView, generation: RootGeneration, keys: list[str], entropy: Entropy
) -> None:
    """Old shares gathered before a rekey must not count after it."""
    nonce = generation.start(OTP)[0].nonce
    generation.update(keys[0], nonce)
    rekey = Rekey(seal, entropy)
    rekey_nonce = rekey.start(3, 2).nonce
    for key in keys[:2]:
        rekey.update(view, key, rekey_nonce)
    with pytest.raises(InvalidRequest, match="no root generation"):
        generation.update(keys[1], nonce)


def test_a_key_file_is_no_shareholder(seal: Seal, view: RowView, entropy: Entropy) -> None:
    """Whoever can read the disk of a development server still cannot mint a root token."""
    initialised = seal.initialise(view, 1, 3, 2, with_key_file=True)
    assert initialised.key_file is not None
    seal.unseal_with_file(view, initialised.key_file.reveal())
    generation = RootGeneration(seal, entropy)
    nonce = generation.start(OTP)[0].nonce
    content = initialised.key_file.reveal().split(b":")[1].strip()
    with pytest.raises(InvalidRequest):
        generation.update(content.decode(), nonce)
