"""Cosignatures: a witness's time and signature over a head."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.tlog.cosignature import CosignatureVerifier, cosigned_at
from ironkeep.tlog.note import KeyType, Signature, VerifierKey
from ironkeep.tlog.wire import MAX_SIZE
from tests.support.log.sample_log import SampleLog, sample_cosigner, sample_key

LOG = SampleLog()
LOG.append([b"one", b"two"])
COSIGNER = sample_cosigner("witness.example")
VERIFIER = CosignatureVerifier(COSIGNER.key)
HEAD = LOG.checkpoint()


@given(st.integers(1, MAX_SIZE))
def test_round_trip(timestamp: int) -> None:
    signature = COSIGNER.cosign(HEAD, timestamp)
    VERIFIER.verify(HEAD.text, signature.data)
    assert cosigned_at(signature) == timestamp
    assert Signature.parse(signature.format()) == signature


def test_what_is_signed_and_how_it_is_laid_out() -> None:
    signature = COSIGNER.cosign(HEAD, 1_790_000_000)
    assert signature.data[:8] == (1_790_000_000).to_bytes(8, "big")
    assert len(signature.data) == 72
    message = b"cosignature/v1\ntime 1790000000\n" + HEAD.text
    Ed25519PublicKey.from_public_bytes(COSIGNER.key.public).verify(signature.data[8:], message)


@given(st.data())
def test_one_byte_changed(data: st.DataObject) -> None:
    signature = COSIGNER.cosign(HEAD, 1_790_000_000)
    bad = bytearray(signature.data)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        VERIFIER.verify(HEAD.text, bytes(bad))


def test_another_head() -> None:
    signature = COSIGNER.cosign(HEAD, 5)
    with pytest.raises(IntegrityError, match="does not verify"):
        VERIFIER.verify(LOG.checkpoint(1).text, signature.data)


@pytest.mark.parametrize("length", [0, 7, 8, 64, 71, 73])
def test_other_lengths(length: int) -> None:
    with pytest.raises(IntegrityError, match="64 bytes of signature"):
        VERIFIER.verify(HEAD.text, b"\1" * length)


@pytest.mark.parametrize("timestamp", [-1, 0, MAX_SIZE + 1])
def test_times_that_cannot_be(timestamp: int) -> None:
    with pytest.raises(InvalidRequest):
        COSIGNER.cosign(HEAD, timestamp)
    if timestamp >= 0:
        data = timestamp.to_bytes(8, "big") + bytes(64)
        with pytest.raises(IntegrityError, match="time above 0"):
            VERIFIER.verify(HEAD.text, data)


def test_the_type_of_the_key() -> None:
    assert COSIGNER.key.kind is KeyType.COSIGNATURE
    assert VerifierKey.parse(COSIGNER.key.format()) == COSIGNER.key
    plain = sample_key("witness.example").verifier_key(KeyType.ED25519)
    assert plain.public == COSIGNER.key.public
    assert plain.key_id != COSIGNER.key.key_id
    with pytest.raises(InvalidRequest, match="type cosignature/v1"):
        CosignatureVerifier(plain)
