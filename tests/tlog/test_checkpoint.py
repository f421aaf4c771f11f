"""Checkpoints: one spelling, signed by the key of their origin."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier, Cosigner
from ironkeep.tlog.merkle import EMPTY_ROOT
from ironkeep.tlog.note import Note, NoteVerifier, Signature, Signer
from ironkeep.tlog.wire import MAX_SIZE
from tests.support.log.sample_log import SampleLog, sample_cosigner, sample_key

LOG = SampleLog()
LOG.append([b"one", b"two", b"three"])
WITNESS = sample_cosigner("witness.example")

ROOT = base64.b64encode(bytes(range(32))).decode()

lines = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1)
checkpoints = st.builds(
    Checkpoint,
    lines,
    st.integers(0, MAX_SIZE),
    st.binary(min_size=32, max_size=32),
    st.lists(lines, max_size=3).map(tuple),
)


@given(checkpoints)
def test_round_trip(checkpoint: Checkpoint) -> None:
    assert Checkpoint.parse(checkpoint.text) == checkpoint


@given(st.binary(max_size=100) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_a_checkpoint_or_refused(data: bytes) -> None:
    for candidate in (data, data + f"\n5\n{ROOT}\n".encode(), f"o\n5\n{ROOT}\n".encode() + data):
        try:
            checkpoint = Checkpoint.parse(candidate)
        except IntegrityError:
            continue
        assert checkpoint.text == candidate


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "o\n", f"o\n5\n{ROOT}", "o\n5\n", f"\n5\n{ROOT}\n", f"o\n\n{ROOT}\n",
        f"o\n05\n{ROOT}\n", f"o\n00\n{ROOT}\n", f"o\n-1\n{ROOT}\n", f"o\n+5\n{ROOT}\n",
        f"o\n5 \n{ROOT}\n", f"o\n{MAX_SIZE + 1}\n{ROOT}\n", f"o\n5\n{ROOT[:-1]}\n", "o\n5\nAAAA\n",
        f"o\n5\n{ROOT[:-2]}9=\n", f"o\r\n5\r\n{ROOT}\r\n", f"o\n5\n{ROOT}\n\n",
        f"o\n5\n{ROOT}\n\nx\n", f"o\n5\n{ROOT}\nx\t\n", f"o\n5\n{ROOT}\nx",
    ],
)  # fmt: skip
def test_malformed(text: str) -> None:
    with pytest.raises(IntegrityError):
        Checkpoint.parse(text.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1}, {"size": MAX_SIZE + 1}, {"root": bytes(31)}, {"origin": ""},
        {"origin": "a\nb"}, {"origin": "\ud800"}, {"extensions": ("",)}, {"extensions": ("a\n",)},
    ],
)  # fmt: skip
def test_checkpoints_that_have_no_spelling(change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        replace(LOG.checkpoint(), **change)  # type: ignore[arg-type]


def test_extension_lines_are_kept_and_signed() -> None:
    checkpoint = replace(LOG.checkpoint(), extensions=("first", "second"))
    data = checkpoint.sign(LOG.signer).serialise()
    assert open_checkpoint(data, [LOG.verifier]).checkpoint == checkpoint
    with pytest.raises(IntegrityError, match="does not verify"):
        open_checkpoint(data.replace(b"second\n", b""), [LOG.verifier])


def test_open() -> None:
    signed = open_checkpoint(
        LOG.signed(2, [WITNESS]).serialise(), [LOG.verifier], [CosignatureVerifier(WITNESS.key)]
    )
    assert signed.checkpoint == LOG.checkpoint(2)
    assert [signature.name for signature in signed.cosignatures] == ["witness.example"]
    unknown = open_checkpoint(LOG.signed(2, [WITNESS]).serialise(), [LOG.verifier])
    assert unknown.cosignatures == ()


def test_not_signed_by_its_log() -> None:
    note = LOG.signed(2, [WITNESS])
    witness = CosignatureVerifier(WITNESS.key)
    without = Note(note.text, note.signatures[1:]).serialise()
    for data, logs in (
        (without, [LOG.verifier]),
        (note.serialise(), []),
        (note.serialise(), [SampleLog("other.example").verifier]),
    ):
        with pytest.raises(IntegrityError, match="trusted key of its origin"):
            open_checkpoint(data, logs, [witness])


def test_a_trusted_log_does_not_speak_for_another() -> None:
    forged = LOG.checkpoint().sign(SampleLog("other.example").signer)
    logs = [LOG.verifier, SampleLog("other.example").verifier]
    with pytest.raises(IntegrityError, match="trusted key of its origin"):
        open_checkpoint(forged.serialise(), logs)


def test_a_cosignature_by_the_log_itself_is_not_its_signature() -> None:
    """A key of the wrong type with the right name: its signature says something else."""
    cosigner = Cosigner(sample_key(LOG.origin))
    note = Note(LOG.checkpoint().text, (cosigner.cosign(LOG.checkpoint(), 1),))
    with pytest.raises(IntegrityError, match="trusted key of its origin"):
        open_checkpoint(note.serialise(), [LOG.verifier], [CosignatureVerifier(cosigner.key)])


def test_a_bad_line_of_a_known_witness_condemns_the_checkpoint() -> None:
    note = LOG.signed(2, [WITNESS])
    bad = Signature(WITNESS.key.name, WITNESS.key.key_id, bytes(72))
    data = Note(note.text, (*note.signatures, bad)).serialise()
    with pytest.raises(IntegrityError, match="cosignature"):
        open_checkpoint(data, [LOG.verifier], [CosignatureVerifier(WITNESS.key)])


def test_the_empty_log_has_the_empty_root() -> None:
    empty = Checkpoint(LOG.origin, 0, EMPTY_ROOT)
    assert open_checkpoint(empty.sign(LOG.signer).serialise(), [LOG.verifier]).checkpoint == empty
    lie = Checkpoint(LOG.origin, 0, bytes(32))
    with pytest.raises(IntegrityError, match="empty tree"):
        open_checkpoint(lie.sign(LOG.signer).serialise(), [LOG.verifier])


def test_the_log_may_have_several_keys() -> None:
    """As while its key is rotated: any one of them is enough, and a bad line of any is fatal."""
    second = Signer(sample_key("second"))
    renamed = NoteVerifier(replace(second.key, name=LOG.origin))
    assert open_checkpoint(LOG.signed().serialise(), [renamed, LOG.verifier]).checkpoint.size == 3
    note = LOG.signed()
    bad = Signature(LOG.origin, renamed.key.key_id, bytes(64))
    data = Note(note.text, (*note.signatures, bad)).serialise()
    with pytest.raises(IntegrityError, match="does not verify"):
        open_checkpoint(data, [renamed, LOG.verifier])
