"""Proof files: an entry, a head, and enough witnesses; anything else is refused."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core.errors import IntegrityError, IronkeepError
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.note import MAX_SIGNATURES, Note, Signature
from ironkeep.tlog.policy import Policy
from ironkeep.tlog.proof import MAX_HASHES, LogProof, verify_proof
from tests.support.log.sample_log import SAMPLE_TIME, SampleLog, sample_cosigner

LOG = SampleLog()
LOG.append(b"entry %d" % number for number in range(1000))
ANNA, BERTA, CARLA = map(sample_cosigner, ("anna.example", "berta.example", "carla.example"))
POLICY = Policy.parse(
    f"""log {LOG.signer.key.format()}
witness anna {ANNA.key.format()}
witness berta {BERTA.key.format()}
witness carla {CARLA.key.format()}
group two 2 anna berta carla
quorum two
""".encode()
)
LOGS = POLICY.log_verifiers()
HEAD = LOG.signed(1000, [ANNA, BERTA])
PROOF = LOG.proof(700, HEAD)
LEAF = LOG.leaves[700]


def with_lines(*signatures: Signature) -> LogProof:
    """The proof, with other signature lines under its head."""
    return replace(PROOF, checkpoint=Note(HEAD.text, signatures).serialise())


def test_a_proof_verifies() -> None:
    logged = verify_proof(LogProof.parse(PROOF.serialise()), LEAF, LOGS, POLICY)
    assert logged.index == 700
    assert logged.checkpoint == LOG.checkpoint(1000)
    assert logged.cosigners == {"anna": SAMPLE_TIME, "berta": SAMPLE_TIME}


def test_the_file() -> None:
    text = replace(PROOF, hashes=PROOF.hashes[:1], extra=b"more").serialise().decode()
    lines = text.split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra bW9yZQ==", "index 700"]
    assert lines[4:7] == ["", LOG.origin, "1000"]
    assert text.endswith(HEAD.serialise().decode())


@given(
    st.integers(0, (1 << 63) - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=MAX_HASHES),
    st.none() | st.binary(min_size=1, max_size=100),
)
def test_round_trip(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    proof = LogProof(index, tuple(hashes), HEAD.serialise(), extra)
    assert LogProof.parse(proof.serialise()) == proof


def test_the_extra_data_is_not_vouched_for() -> None:
    assert verify_proof(replace(PROOF, extra=b"anything"), LEAF, LOGS, POLICY).index == 700


@given(st.data())
@settings(max_examples=300)
def test_one_byte_changed(data: st.DataObject) -> None:
    bad = bytearray(PROOF.serialise())
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        verify_proof(LogProof.parse(bytes(bad)), LEAF, LOGS, POLICY)


@given(st.binary(max_size=100) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_proof_or_refused(data: bytes) -> None:
    for candidate in (data, b"c2sp.org/tlog-proof@v1\n" + data, PROOF.serialise() + data):
        try:
            proof = LogProof.parse(candidate)
        except IntegrityError:
            continue
        assert proof.serialise() == candidate
        if candidate != PROOF.serialise():
            with pytest.raises(IronkeepError):
                verify_proof(proof, LEAF, LOGS, POLICY)


def test_another_entry_or_index() -> None:
    for proof, leaf in (
        (PROOF, LOG.leaves[701]),
        (PROOF, leaf_hash(b"never logged")),
        (replace(PROOF, index=701), LEAF),
        (replace(PROOF, index=1000), LEAF),
        (replace(PROOF, hashes=PROOF.hashes[1:]), LEAF),
        (replace(PROOF, hashes=(*PROOF.hashes, PROOF.hashes[0])), LEAF),
        (replace(PROOF, hashes=LOG.proof(699, HEAD).hashes), LEAF),
    ):
        with pytest.raises(IntegrityError, match="inclusion proof"):
            verify_proof(proof, leaf, LOGS, POLICY)


def test_a_truncated_log_under_the_same_key() -> None:
    short = LOG.signed(600, [ANNA, BERTA])
    with pytest.raises(IntegrityError, match="not in the tree"):
        verify_proof(replace(PROOF, checkpoint=short.serialise()), LEAF, LOGS, POLICY)


def test_too_few_witnesses() -> None:
    log, anna, berta = HEAD.signatures
    verify_proof(with_lines(log, anna, berta), LEAF, LOGS, POLICY)
    for lines in ((log,), (log, anna), (log, anna, anna), (log, berta, berta, berta)):
        with pytest.raises(IntegrityError, match="quorum two"):
            verify_proof(with_lines(*lines), LEAF, LOGS, POLICY)
    again = ANNA.cosign(LOG.checkpoint(1000), SAMPLE_TIME + 1)
    with pytest.raises(IntegrityError, match="quorum two"):
        verify_proof(with_lines(log, anna, again), LEAF, LOGS, POLICY)


def test_strangers_do_not_count_and_do_not_harm() -> None:
    log, anna, berta = HEAD.signatures
    strangers = [
        sample_cosigner(f"{number}.example").cosign(LOG.checkpoint(1000), 5) for number in range(20)
    ]
    with pytest.raises(IntegrityError, match="quorum two"):
        verify_proof(with_lines(log, anna, *strangers), LEAF, LOGS, POLICY)
    logged = verify_proof(with_lines(*strangers, log, anna, berta), LEAF, LOGS, POLICY)
    assert set(logged.cosigners) == {"anna", "berta"}
    grease = Signature("grease.example", bytes(4), bytes(3000))
    many = [grease] * (MAX_SIGNATURES - 3)
    verify_proof(with_lines(log, *many, anna, berta), LEAF, LOGS, POLICY)


def test_witnesses_without_the_log() -> None:
    _, anna, berta = HEAD.signatures
    with pytest.raises(IntegrityError, match="trusted key of its origin"):
        verify_proof(with_lines(anna, berta), LEAF, LOGS, POLICY)
    with pytest.raises(IntegrityError, match="trusted key of its origin"):
        verify_proof(PROOF, LEAF, [], POLICY)


def test_cosignatures_of_another_head() -> None:
    log, anna, _ = HEAD.signatures
    stale = BERTA.cosign(LOG.checkpoint(999), SAMPLE_TIME)
    with pytest.raises(IntegrityError, match="does not verify"):
        verify_proof(with_lines(log, anna, stale), LEAF, LOGS, POLICY)


def test_the_earliest_time_of_a_witness_counts() -> None:
    log, anna, berta = HEAD.signatures
    earlier = ANNA.cosign(LOG.checkpoint(1000), SAMPLE_TIME - 9)
    logged = verify_proof(with_lines(log, anna, earlier, berta), LEAF, LOGS, POLICY)
    assert logged.cosigners["anna"] == SAMPLE_TIME - 9


MAGIC = "c2sp.org/tlog-proof@v1"
HASH = "A" * 43 + "="
NOTE = HEAD.serialise().decode()


@pytest.mark.parametrize(
    "text",
    [
        "", MAGIC, f"{MAGIC}\n", f"{MAGIC}\nindex 5\n", f"{MAGIC}\n\n{NOTE}",
        f"{MAGIC}\nindex\n\n{NOTE}", f"{MAGIC}\nindex 05\n\n{NOTE}", f"{MAGIC}\nindex -5\n\n{NOTE}",
        f"{MAGIC}\nindex 5 \n\n{NOTE}", f"{MAGIC}\nindex 5\n{HASH}{NOTE}",
        f"c2sp.org/tlog-proof@v2\nindex 5\n\n{NOTE}", f"{MAGIC}\nextra \nindex 5\n\n{NOTE}",
        f"{MAGIC}\nextra AA\nindex 5\n\n{NOTE}", f"{MAGIC}\nindex 5\nextra AA==\n\n{NOTE}",
        f"{MAGIC}\nextra AA==\n\n{NOTE}", f"{MAGIC}\nextra AA==\nextra AA==\nindex 5\n\n{NOTE}",
        f"{MAGIC}\nindex 5\nAAAA\n\n{NOTE}", f"{MAGIC}\nindex 5\n{HASH[:-2]}B=\n\n{NOTE}",
        f"{MAGIC}\r\nindex 5\r\n\r\n{NOTE}", f"{MAGIC}\nindex 5\n" + f"{HASH}\n" * 64 + f"\n{NOTE}",
        f"{MAGIC}\nindex 5\n" + f"{HASH}\n" * 5000 + f"\n{NOTE}", f"{MAGIC}\n" + "x" * (1 << 21),
    ],
)  # fmt: skip
def test_malformed(text: str) -> None:
    with pytest.raises(IntegrityError):
        LogProof.parse(text.encode())


def test_the_longest_proof() -> None:
    text = f"{MAGIC}\nindex 5\n" + f"{HASH}\n" * MAX_HASHES + f"\n{NOTE}"
    proof = LogProof.parse(text.encode())
    with pytest.raises(IntegrityError, match="too long"):
        verify_proof(proof, LEAF, LOGS, POLICY)
