"""What a witness keeps, and when: faults at its one write, and bodies nobody would send."""

from hashlib import sha256

import pytest
from hypothesis import given, strategies as st

from ironkeep.api.witness.state import MAX_LOGS, Witness
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.logport import LogFiles
from ironkeep.testing.memory import FakeClock, Fault
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.note import KeyType, VerifierKey
from ironkeep.tlog.witness import WitnessedHead
from tests.support.log.sample_log import SampleLog, sample_cosigner, sample_key
from tests.support.log.sample_upload import sample_checkpoint

LOG = SampleLog()
LOG.append(str(number).encode() for number in range(40))
TAG = sha256(LOG.origin.encode()).hexdigest()


def state(files: LogFiles, *, cosigns: bool = True) -> Witness:
    return Witness(
        files, [LOG.signer.key], sample_cosigner("w.example"), FakeClock(), cosigns=cosigns
    )


def head_of(witness: Witness) -> WitnessedHead:
    return witness.logs[LOG.origin].head


def test_a_head_is_kept_before_it_is_told() -> None:
    disk = LogDisk()
    files = MemoryLogFiles(disk)
    witness = state(files)
    assert witness.checkpoint(TAG) is None
    assert witness.add_checkpoint(sample_checkpoint(LOG, 0, 9)).status == 200
    assert files.calls == [("replace", f"{TAG}/checkpoint")]
    assert bytes(disk.files[f"{TAG}/checkpoint"]) == witness.checkpoint(TAG)
    again = state(MemoryLogFiles(disk, readonly=True))
    assert head_of(again) == WitnessedHead(9, LOG.root(9))
    assert again.checkpoint(TAG) == witness.checkpoint(TAG)
    assert again.checkpoint("0" * 64) is None


@pytest.mark.parametrize("fault", list(Fault))
def test_what_could_not_be_kept_is_not_told(fault: Fault) -> None:
    disk = LogDisk()
    files = MemoryLogFiles(disk)
    witness = state(files)
    files.fail(0, fault)
    with pytest.raises(OSError, match="Input/output error"):
        witness.add_checkpoint(sample_checkpoint(LOG, 0, 9))
    assert head_of(witness) == WitnessedHead(0, head_of(witness).root)
    assert witness.checkpoint(TAG) is None
    assert witness.add_checkpoint(sample_checkpoint(LOG, 0, 9)).status == 200


def test_without_cosigning_it_only_remembers() -> None:
    disk = LogDisk()
    witness = state(MemoryLogFiles(disk), cosigns=False)
    answer = witness.add_checkpoint(sample_checkpoint(LOG, 0, 9))
    assert (answer.status, answer.body) == (200, b"")
    assert head_of(witness).size == 9
    assert witness.checkpoint(TAG) is None
    assert bytes(disk.files[f"{TAG}/checkpoint"]) == LOG.signed(9).serialise()
    assert witness.add_checkpoint(sample_checkpoint(LOG, 0, 9)).status == 409
    assert witness.add_checkpoint(sample_checkpoint(LOG, 9, 40)).status == 200


def test_logs_are_limited_and_named_once() -> None:
    def named(number: int) -> VerifierKey:
        return sample_key(f"log{number}").verifier_key(KeyType.ED25519)

    keys = [named(number) for number in range(MAX_LOGS + 1)]
    cosigner, clock = sample_cosigner("w"), FakeClock()
    files = MemoryLogFiles(LogDisk())
    assert len(Witness(files, keys[:-1], cosigner, clock).logs) == MAX_LOGS
    for bad in (keys, [], [keys[0], keys[0]]):
        with pytest.raises(InvalidRequest):
            Witness(files, bad, cosigner, clock)


@given(st.data())
def test_no_body_moves_it_but_a_proven_extension(data: st.DataObject) -> None:
    witness = state(MemoryLogFiles(LogDisk()))
    witness.add_checkpoint(sample_checkpoint(LOG, 0, 9))
    good = sample_checkpoint(LOG, 9, 40)
    at = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(at, len(good)))
    body = good[:at] + data.draw(st.binary(max_size=40)) + good[cut:]
    answer = witness.add_checkpoint(body)
    if answer.status == 200:
        assert head_of(witness) == WitnessedHead(40, LOG.root(40))
    else:
        assert answer.status in {400, 403, 404, 409, 422}
        assert head_of(witness) == WitnessedHead(9, LOG.root(9))


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused(body: bytes) -> None:
    witness = state(MemoryLogFiles(LogDisk()))
    assert witness.add_checkpoint(body).status == 400
