"""Verifying a proof without a server; journal/index/test_prove.py changes every byte of one."""

import json
from typing import Any

import msgspec
import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.index.leaf import Run
from ironkeep.index.proof import Proven, decode_proof, encode_proof, verify_proof
from ironkeep.index.terms import Term, What
from tests.index.test_vectors import VECTORS


def vector() -> dict[str, Any]:
    """Return the proof of the test vectors."""
    proof: dict[str, Any] = json.loads(VECTORS.read_text())["proof"]
    return proof


def test_the_vector_verifies_and_says_what_it_says() -> None:
    """One term is present, the other is not; all leaves of the run are covered."""
    this = vector()
    terms = [Term(What(what), value) for what, value in this["terms"]]
    data, root = bytes.fromhex(this["proof"]), bytes.fromhex(this["root"])
    proven = verify_proof(
        decode_proof(data), terms, this["first"], this["last"], this["size"], root
    )
    assert [list(proven.positions[term]) for term in terms] == this["positions"]
    assert (proven.open, proven.late, proven.unread) == ((), (), ())
    wider = verify_proof(decode_proof(data), terms, 0, this["size"], this["size"], root)
    assert wider.open == ((4_096, 4_097),)


def test_only_one_encoding_is_a_proof() -> None:
    """MessagePack has several forms of a number; one of them counts."""
    data = bytes.fromhex(vector()["proof"])
    assert encode_proof(decode_proof(data)) == data
    assert data[:2] == b"\x95\x01"
    for other in (b"\x95\xcc\x01" + data[2:], b"", b"\xc0", b"\x91" * 5_000, data[:-1]):
        with pytest.raises(IntegrityError):
            decode_proof(other)


def test_a_run_names_its_leaves() -> None:
    """Errors name the leaves whose index is wrong."""
    assert str(Run(1, 262_144)) == "the index of leaves 262144 to 524287"


def partial(terms: list[Term], data: bytes | None = None) -> Proven:
    """Return what the vector's proof says of terms other than its own."""
    this = vector()
    proof = decode_proof(data or bytes.fromhex(this["proof"]))
    root = bytes.fromhex(this["root"])
    return verify_proof(proof, terms, this["first"], this["last"], this["size"], root, partial=True)


def test_a_partial_proof_answers_what_it_can_and_names_the_rest() -> None:
    this = vector()
    asked = [Term(What(what), value) for what, value in this["terms"]]
    others = [Term(What.ACTOR, f"person:nobody-{number}") for number in range(40)]
    found = partial([asked[0], *others])
    assert list(found.positions[asked[0]]) == this["positions"][0]
    assert asked[0] not in found.undecided
    # A term between two shown neighbours is known to be absent; of most others nothing is known.
    assert 0 < len(found.undecided) <= len(others)
    assert set(found.undecided.values()) == {0}
    assert all(found.positions[term] == () for term in others)


def test_a_strict_proof_of_other_terms_is_refused() -> None:
    this = vector()
    proof, root = decode_proof(bytes.fromhex(this["proof"])), bytes.fromhex(this["root"])
    other = [Term(What.ACTOR, f"person:nobody-{number}") for number in range(40)]
    with pytest.raises(IntegrityError, match="index proof"):
        verify_proof(proof, other, this["first"], this["last"], this["size"], root)


def test_a_changed_record_of_a_partial_proof_is_refused() -> None:
    this = vector()
    proof = decode_proof(bytes.fromhex(this["proof"]))
    terms = [Term(What(what), value) for what, value in this["terms"]]
    for place, record in enumerate(proof.runs[0].records):
        for changed in (
            msgspec.structs.replace(record, positions=b"\x00\x01\x07", positions_hash=b""),
            msgspec.structs.replace(record, positions_hash=b"\x00" * 32, positions=b""),
            msgspec.structs.replace(record, positions=b"\x00", positions_hash=b"\x01" * 32),
        ):
            records = list(proof.runs[0].records)
            records[place] = changed
            run = msgspec.structs.replace(proof.runs[0], records=tuple(records))
            made = encode_proof(msgspec.structs.replace(proof, runs=(run,)))
            with pytest.raises(IntegrityError):
                partial(terms, made)


def test_a_partial_proof_has_to_say_which_entries_are_unreadable() -> None:
    this = vector()
    proof = decode_proof(bytes.fromhex(this["proof"]))
    run = msgspec.structs.replace(proof.runs[0], records=())
    made = encode_proof(msgspec.structs.replace(proof, runs=(run,)))
    with pytest.raises(IntegrityError):
        partial([], made)
