"""The witness's decision: one test for each row of the protocol's table, and attempts to fork."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier, cosigned_at
from ironkeep.tlog.merkle import EMPTY_ROOT, consistency_proof
from ironkeep.tlog.note import MAX_SIGNATURES, Note, NoteVerifier, Signature, Signer
from ironkeep.tlog.witness import (
    MAX_HASHES,
    MAX_REQUEST,
    AddCheckpoint,
    Answer,
    WitnessedHead,
    decide,
    read_cosignature,
    read_size,
)
from tests.support.log.sample_log import SampleLog, sample_cosigner, sample_key

LOG = SampleLog()
LOG.append(b"entry %d" % number for number in range(300))
FORK = SampleLog()
FORK.append([*LOG.entries[:100], b"another past", *LOG.entries[101:]])
LOGS = {LOG.origin: [LOG.verifier]}
WITNESS = sample_cosigner("witness.example")
VERIFIER = CosignatureVerifier(WITNESS.key)
NOW = 1_790_000_100


def body(old: int, new: int, log: SampleLog = LOG) -> bytes:
    """An honest request of a log."""
    note = log.signed(new)
    proof = consistency_proof(old, new, log.read)
    return AddCheckpoint(old, tuple(proof), note, Checkpoint.parse(note.text)).serialise()


def raw(old: int, proof: tuple[bytes, ...], note: Note) -> bytes:
    return AddCheckpoint(old, proof, note, Checkpoint.parse(note.text)).serialise()


def ask(request: bytes, known: int | None = None) -> Answer:
    """The answer of a witness that has last cosigned LOG at size `known`."""
    heads = {} if known is None else {LOG.origin: WitnessedHead(known, LOG.root(known))}
    return decide(request, heads, LOGS, WITNESS, NOW)


def refused(answer: Answer, status: int) -> None:
    assert (answer.status, answer.update) == (status, None)
    assert answer.body.endswith(b"\n")


@pytest.mark.parametrize(
    ("known", "new"), [(None, 0), (None, 1), (None, 200), (0, 7), (1, 2), (100, 256), (200, 200)]
)
def test_200(known: int | None, new: int) -> None:
    answer = ask(body(known or 0, new), known)
    assert (answer.status, answer.content_type) == (200, "text/plain; charset=utf-8")
    head = LOG.checkpoint(new)
    signature = read_cosignature(answer.body, head, VERIFIER)
    assert cosigned_at(signature) == NOW
    assert answer.update is not None
    assert answer.update.origin == LOG.origin
    assert answer.update.head == WitnessedHead(new, LOG.root(new))
    kept = open_checkpoint(answer.update.note, [LOG.verifier], [VERIFIER])
    assert (kept.checkpoint, kept.cosignatures) == (head, (signature,))


@given(st.data())
def test_a_log_that_grows_is_cosigned_again_and_again(data: st.DataObject) -> None:
    heads: dict[str, WitnessedHead] = {}
    size = 0
    for new in sorted(data.draw(st.lists(st.integers(0, 300), max_size=8))):
        answer = decide(body(size, new), heads, LOGS, WITNESS, NOW)
        assert answer.update is not None
        heads[answer.update.origin] = answer.update.head
        size = new


def test_400_malformed() -> None:
    good = body(100, 200)
    for bad in (
        b"", b"\n", good[:-1], b"old\n" + good, good.replace(b"old 100", b"old 0100"),
        good.replace(b"old 100", b"old -1"), good.replace(b"old 100", b"Old 100"),
        good.replace(b"\n", b"\r\n"), good.replace(b"old 100\n", b"old 100\nAAAA\n"),
        good.replace(b"old 100\n", b"old 100\n\n"), good.replace(b"\n200\n", b"\n0200\n"),
        good + b"\n", good + b"x" * MAX_REQUEST,
    ):  # fmt: skip
        refused(ask(bad, 100), 400)


def test_400_old_size_beyond_the_checkpoint() -> None:
    refused(ask(raw(201, (), LOG.signed(200)), 201), 400)


def test_63_hash_lines_and_no_more() -> None:
    refused(ask(raw(100, (bytes(32),) * MAX_HASHES, LOG.signed(200)), 100), 422)
    refused(ask(raw(100, (bytes(32),) * (MAX_HASHES + 1), LOG.signed(200)), 100), 400)


def test_404_unknown_log() -> None:
    stranger = SampleLog("stranger.example")
    stranger.append([b"x"])
    refused(ask(body(0, 1, stranger)), 404)


def test_403_not_signed_by_the_log() -> None:
    note = LOG.signed(200)
    forged = LOG.checkpoint(200).sign(SampleLog("stranger.example").signer)
    bad = Signature(LOG.origin, LOG.signer.key.key_id, bytes(64))
    own = Signature(LOG.origin, WITNESS.key.key_id, WITNESS.cosign(LOG.checkpoint(200), 1).data)
    for lines in (forged.signatures, (bad,), (*note.signatures, bad), (own,)):
        refused(ask(raw(0, (), Note(note.text, lines))), 403)


def test_403_comes_before_anything_that_tells_of_our_state() -> None:
    forged = LOG.checkpoint(200).sign(SampleLog("stranger.example").signer)
    refused(ask(raw(5, (), forged), 100), 403)


@pytest.mark.parametrize(("known", "old"), [(None, 50), (100, 0), (100, 50), (100, 150)])
def test_409_says_the_size_that_we_know(known: int | None, old: int) -> None:
    answer = ask(body(old, 200), known)
    refused(answer, 409)
    assert answer.content_type == "text/x.tlog.size"
    assert read_size(answer.body) == (known or 0)


def test_409_for_a_log_that_was_rolled_back() -> None:
    answer = ask(body(100, 150), 200)
    refused(answer, 409)
    assert read_size(answer.body) == 200


def test_422_proof_does_not_verify() -> None:
    honest = consistency_proof(100, 200, LOG.read)
    for proof in (honest[:-1], honest[1:], [*honest, honest[0]], [], honest[::-1]):
        refused(ask(raw(100, tuple(proof), LOG.signed(200)), 100), 422)


@pytest.mark.parametrize("new", [200, 256, 300])
def test_422_a_fork_is_not_cosigned(new: int) -> None:
    refused(ask(body(150, new, FORK), 150), 422)
    for proof in (consistency_proof(150, new, LOG.read), consistency_proof(150, new, FORK.read)):
        refused(ask(raw(150, tuple(proof), FORK.signed(new)), 150), 422)


def test_422_two_roots_at_one_size() -> None:
    refused(ask(raw(200, (), FORK.signed(200)), 200), 422)


def test_422_a_proof_where_there_is_nothing_to_prove() -> None:
    refused(ask(raw(0, (bytes(32),), LOG.signed(200))), 422)
    refused(ask(raw(200, (bytes(32),), LOG.signed(200)), 200), 422)


def test_422_an_empty_log_with_another_root() -> None:
    lie = Checkpoint(LOG.origin, 0, bytes(32)).sign(LOG.signer)
    refused(ask(raw(0, (), lie)), 422)
    assert ask(raw(0, (), Checkpoint(LOG.origin, 0, EMPTY_ROOT).sign(LOG.signer))).status == 200


def test_only_signatures_that_were_checked_are_kept() -> None:
    """Grease and repetitions neither harm nor crowd out the witness's own line."""
    note = LOG.signed(200)
    grease = Signature("grease.example", bytes(4), bytes(64))
    for line in (grease, note.signatures[0]):
        lines = (*note.signatures, *[line] * (MAX_SIGNATURES - 1))
        answer = ask(raw(0, (), Note(note.text, lines)))
        assert answer.update is not None
        kept = Note.parse(answer.update.note)
        assert [signature.name for signature in kept.signatures] == [LOG.origin, WITNESS.key.name]


def test_a_log_with_two_keys() -> None:
    second = Signer(sample_key(f"{LOG.origin}/second"))
    logs = {LOG.origin: [LOG.verifier, NoteVerifier(second.key)]}
    note = LOG.checkpoint(200).sign(second)
    answer = decide(raw(0, (), note), {}, logs, WITNESS, NOW)
    assert answer.status == 200


@given(st.binary(max_size=100), st.integers(0, 100), st.integers(0, 2))
def test_any_body_is_answered(junk: bytes, at: int, mode: int) -> None:
    good = body(100, 200)
    cut = len(good) * at // 100
    request = [junk, good[:cut] + junk, good[:cut] + junk + good[cut:]][mode]
    answer = ask(request, 100)
    assert (answer.status == 200) is (answer.update is not None)
    assert answer.status in {200, 400, 403, 404, 409, 422}


@given(st.integers(0, 1 << 62), st.lists(st.binary(min_size=32, max_size=32), max_size=MAX_HASHES))
def test_requests_round_trip(old: int, proof: list[bytes]) -> None:
    request = AddCheckpoint.parse(raw(old, tuple(proof), LOG.signed(3)))
    assert (request.old, list(request.proof)) == (old, proof)
    assert AddCheckpoint.parse(request.serialise()) == request


def test_reading_a_cosignature() -> None:
    head = LOG.checkpoint(200)
    own = WITNESS.cosign(head, NOW)
    other = sample_cosigner("other.example").cosign(head, NOW)
    answer = f"{other.format()}\n{own.format()}\n".encode()
    assert read_cosignature(answer, head, VERIFIER) == own
    stale = WITNESS.cosign(LOG.checkpoint(199), NOW)
    bad = replace(own, data=bytes(72))
    for lines in (other.format(), stale.format(), bad.format(), "", "OK", f"x\n\n{own.format()}"):
        with pytest.raises(IntegrityError):
            read_cosignature(f"{lines}\n".encode(), head, VERIFIER)


def test_a_cosignature_over_more_than_the_checkpoint() -> None:
    """A blank line in the answer must not turn the lines above it into text that was signed."""
    head = LOG.checkpoint(200)
    grease = Signature("grease.example", bytes(4), bytes(64)).format()
    text = head.text + f"\n{grease}\n".encode()
    signed = sample_key(WITNESS.key.name).private_key().sign(b"cosignature/v1\ntime 5\n" + text)
    data = (5).to_bytes(8, "big") + signed
    VERIFIER.verify(text, data)
    line = Signature(WITNESS.key.name, WITNESS.key.key_id, data).format()
    with pytest.raises(IntegrityError, match="must be signature lines"):
        read_cosignature(f"{grease}\n\n{line}\n".encode(), head, VERIFIER)


@pytest.mark.parametrize(
    "text", [b"", b"5", b"55", b"05\n", b"-5\n", b"5\r\n", b"five\n", b"5\n\n", b"\xff\n"]
)
def test_reading_a_size(text: bytes) -> None:
    assert read_size(b"5\n") == 5
    with pytest.raises(IntegrityError):
        read_size(text)
