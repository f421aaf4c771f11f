"""Large statements are compressed, small ones are not, and a reader takes one spelling of each."""

import zlib

import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.packing import compressed
from ironkeep.core.evidence.packing.compressed import (
    ABOVE,
    COMPRESSED_TYPE,
    PLAIN_TYPE,
    payload_of,
    statement_of,
)
from ironkeep.core.evidence.packing.dsse import Envelope

LARGE = b"a" * (ABOVE + 1)


def read(kind: str, payload: bytes) -> bytes:
    return statement_of(Envelope(payload, kind, ()))


@pytest.mark.parametrize("statement", [b"", b"{}", LARGE[:-1], LARGE])
def test_a_statement_is_read_back(statement: bytes) -> None:
    kind, payload = payload_of(statement)
    assert read(kind, payload) == statement
    assert kind == (COMPRESSED_TYPE if statement == LARGE else PLAIN_TYPE)
    assert len(payload) <= ABOVE


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"no stream", "not a zlib stream"),
        (zlib.compress(LARGE)[:-1], "cut off"),
        (zlib.compress(LARGE) + b"\0", "canonical"),
        (zlib.compress(LARGE[:-1]), "canonical"),
    ],
)
def test_another_spelling_is_refused(payload: bytes, words: str) -> None:
    with pytest.raises(IntegrityError, match=words):
        read(COMPRESSED_TYPE, payload)


def test_a_small_envelope_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "MAX_STATEMENT", len(LARGE) - 1)
    with pytest.raises(IntegrityError, match="longer than"):
        read(COMPRESSED_TYPE, zlib.compress(LARGE))


def test_another_type_is_refused() -> None:
    with pytest.raises(IntegrityError, match="not an in-toto statement"):
        read("text/plain", b"{}")
