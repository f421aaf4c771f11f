"""An independent reader (PyPI tlog-scales) on a log that we laid out and a proof that we made."""

from pathlib import Path

import pytest
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Ed25519CosignatureVerifier, PlainEd25519Verifier, Vkey
from tlog_scales.tlog import Checkpoint as TheirCheckpoint, InclusionProof

from ironkeep.tlog.checkpoint import open_checkpoint
from ironkeep.tlog.merkle import consistency_proof, inclusion_proof, leaf_hash
from ironkeep.tlog.proof import LogProof
from tests.support.log.sample_log import SampleLog, sample_cosigner

COSIGNER = sample_cosigner("witness.example/1")


@pytest.fixture(scope="module")
def log() -> SampleLog:
    log = SampleLog()
    log.append(b"entry %d" % number for number in range(66_000))
    return log


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000, 65_536, 66_000])
def test_they_read_our_log(log: SampleLog, size: int, tmp_path: Path) -> None:
    log.publish(tmp_path, log.signed(size, [COSIGNER]))
    reader = TilesReader(LocalBackend(tmp_path))
    head = reader.get_checkpoint()
    head.verify(Vkey.from_string(log.signer.key.format()))
    head.verify(Vkey.from_string(COSIGNER.key.format()))
    assert (head.origin, head.size, head.root_hash) == (log.origin, size, log.root(size))
    assert reader.calculate_root_hash() == log.root(size)
    for index in sorted({0, size // 2, size - 1}):
        assert reader.get_entry(index) == log.entries[index]
        theirs = reader.get_inclusion_proof(index, size)
        assert theirs.node_hashes == inclusion_proof(index, size, log.read)
        old = index + 1
        between = reader.get_consistency_proof(old, size)
        assert between.node_hashes == consistency_proof(old, size, log.read)
        between.check(log.root(old), log.root(size))


def test_they_verify_our_proof(log: SampleLog) -> None:
    data = log.proof(40_000, log.signed(66_000, [COSIGNER])).serialise()
    proof = LogProof.parse(data)
    head = TheirCheckpoint.from_text(proof.checkpoint.decode())
    leaf = leaf_hash(b"entry 40000")
    InclusionProof(proof.index, head.size, list(proof.hashes)).check(leaf, head.root_hash)
    by_log, by_witness = head.signatures
    log_key = Vkey.from_string(log.signer.key.format())
    witness_key = Vkey.from_string(COSIGNER.key.format())
    PlainEd25519Verifier(log_key).verify_note(by_log, head)
    Ed25519CosignatureVerifier(witness_key).verify_note(by_witness, head)


def test_we_verify_their_checkpoint(log: SampleLog) -> None:
    note = log.signed(1000)
    text = TheirCheckpoint.from_text(note.serialise().decode()).serialize().encode()
    assert text == note.serialise()
    assert open_checkpoint(text, [log.verifier]).checkpoint == log.checkpoint(1000)
