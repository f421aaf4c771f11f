"""Verifying a proof without a server; journal/index/test_prove.py changes every byte of one."""

import json
from typing import Any

import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.index.leaf import Run
from ironkeep.index.proof import decode_proof, encode_proof, verify_proof
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
