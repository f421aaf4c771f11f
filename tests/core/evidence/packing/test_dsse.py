"""DSSE envelopes: the specification's own example, strict reading, several signatures."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.packing.dsse import (
    MAX_SIGNATURES,
    Envelope,
    EnvelopeSignature,
    decode,
    encode,
    pae,
    sign,
    verify,
)

KEYS = {name: Ed25519PrivateKey.from_private_bytes(name.encode() * 32) for name in "abc"}
PUBLIC = {name: key.public_key().public_bytes_raw() for name, key in KEYS.items()}


def signed(*names: str) -> Envelope:
    return sign("text/x", b"hello", {name: KEYS[name] for name in names})


def test_the_encoding_of_the_specification() -> None:
    example = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == example


def test_lengths_count_bytes() -> None:
    assert pae("\u00fc", b"\x00 1") == b"DSSEv1 2 \xc3\xbc 3 \x00 1"


def test_the_json_of_the_specification() -> None:
    raw = msgspec.json.decode(encode(signed("a")))
    assert list(raw) == ["payload", "payloadType", "signatures"]
    assert raw["payload"] == "aGVsbG8="
    assert list(raw["signatures"][0]) == ["keyid", "sig"]


def test_several_signatures_and_only_the_trusted_ones_are_told() -> None:
    envelope = signed("a", "b", "c")
    assert verify(envelope, {"c": PUBLIC["c"], "a": PUBLIC["a"]}) == ("a", "c")


def test_no_signature_of_a_trusted_key() -> None:
    with pytest.raises(IntegrityError, match="no trusted key"):
        verify(signed("a"), {"b": PUBLIC["b"]})


def test_a_bad_signature_of_a_trusted_key_condemns_the_good_ones() -> None:
    good, other = signed("a").signatures[0], signed("b").signatures[0]
    forged = EnvelopeSignature("b", bytes([other.sig[0] ^ 1]) + other.sig[1:])
    envelope = Envelope(b"hello", "text/x", (good, forged))
    with pytest.raises(IntegrityError, match="by b does not verify"):
        verify(envelope, PUBLIC)


def test_type_and_payload_are_signed() -> None:
    envelope = signed("a")
    for changed in (
        msgspec.structs.replace(envelope, payload_type="text/y"),
        msgspec.structs.replace(envelope, payload=b"hellO"),
    ):
        with pytest.raises(IntegrityError):
            verify(changed, PUBLIC)


def test_one_spelling() -> None:
    raw = encode(signed("a"))
    assert decode(raw) == signed("a")
    for other in (
        raw + b" ",
        raw.replace(b'":', b'": ', 1),
        raw.replace(b"text/x", b"text\\/x"),
        raw.replace(b"{", b'{"more":1,', 1),
        raw.replace(b"aGVsbG8=", b"aGVsbG9="),
        raw.replace(b"text/x", b"\\ud800"),
        b"",
        b"[]",
    ):
        with pytest.raises(IntegrityError):
            decode(other)


def test_how_many_signatures_there_may_be() -> None:
    one = signed("a").signatures
    most = Envelope(b"", "t", one * MAX_SIGNATURES)
    assert decode(encode(most)) == most
    for count in (0, MAX_SIGNATURES + 1):
        with pytest.raises(IntegrityError, match="1 to 16"):
            decode(encode(Envelope(b"", "t", one * count)))


def test_a_signature_of_another_length() -> None:
    short = EnvelopeSignature("a", b"x" * 63)
    with pytest.raises(IntegrityError, match="64 bytes"):
        decode(encode(Envelope(b"", "t", (short,))))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_envelope_or_an_integrity_error(data: bytes) -> None:
    try:
        envelope = decode(data)
    except IntegrityError:
        return
    assert encode(envelope) == data


@given(st.data())
def test_a_changed_byte_is_refused(data: st.DataObject) -> None:
    raw = bytearray(encode(signed("a")))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        verify(decode(bytes(raw)), PUBLIC)
