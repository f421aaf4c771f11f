"""Signed notes, against the specification's example and the vectors of golang.org/x/mod."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.secret import Secret
from ironkeep.tlog.note import (
    MAX_NAME,
    MAX_NOTE,
    MAX_SIGNATURES,
    KeyType,
    Note,
    NoteVerifier,
    Signature,
    Signer,
    SigningKey,
    VerifierKey,
    open_note,
)
from tests.support.log.sample_log import sample_key

SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    b"If you think cryptography is the answer to your problem,\n"
    b"then you don't know what your problem is.\n"
)
GO_LINE = (
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
GO_NOTE = GO_TEXT + b"\n" + GO_LINE.encode()

PETER = NoteVerifier(VerifierKey.parse(GO_KEY))
ANNA = Signer(sample_key("anna.example"))
BERTA = Signer(sample_key("berta.example"))

TEXT = b"Head\n\nand tail\n"


def verifier(signer: Signer) -> NoteVerifier:
    return NoteVerifier(signer.key)


def note(*signatures: Signature, text: bytes = TEXT) -> bytes:
    return Note(text, signatures).serialise()


def test_the_example_of_the_specification() -> None:
    opened, signatures = open_note(SPEC_NOTE, [NoteVerifier(VerifierKey.parse(SPEC_KEY))])
    assert opened.text == b"This is an example message.\n"
    assert [signature.name for signature in signatures] == ["example.com/foo"]
    assert opened.serialise() == SPEC_NOTE


def test_the_vectors_of_go() -> None:
    key = SigningKey.parse(Secret(GO_PRIVATE.encode()))
    assert key.format().equals(GO_PRIVATE.encode())
    assert key.verifier_key(KeyType.ED25519).format() == GO_KEY
    assert note(Signer(key).sign(GO_TEXT), text=GO_TEXT) == GO_NOTE
    assert open_note(GO_NOTE, [PETER])[0].text == GO_TEXT


@given(st.data())
def test_one_byte_changed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GO_NOTE) - 1))
    bad = bytearray(GO_NOTE)
    bad[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        open_note(bytes(bad), [PETER])


@given(st.binary(max_size=200) | st.text(alphabet="a\n \u2014+=\r\t", max_size=60).map(str.encode))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    for candidate in (data, data + b"\n\n" + GO_LINE.encode(), GO_TEXT + b"\n" + data + b"\n"):
        try:
            parsed = Note.parse(candidate)
        except IntegrityError:
            continue
        assert parsed.serialise() == candidate


texts = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]) | st.just("\n"))


@given(texts.map(lambda text: f"{text}\n".encode()))
def test_any_text_is_signed_and_opened(text: bytes) -> None:
    opened, signatures = open_note(note(ANNA.sign(text), text=text), [verifier(ANNA)])
    assert (opened.text, len(signatures)) == (text, 1)


def test_the_text_may_hold_blank_lines_and_even_signature_lines() -> None:
    text = GO_NOTE + b"\n"
    opened, _ = open_note(note(ANNA.sign(text), text=text), [verifier(ANNA), PETER])
    assert opened.text == text


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"\n\n", GO_TEXT, GO_TEXT + b"\n", GO_TEXT + GO_LINE.encode(), GO_NOTE[:-1],
        GO_NOTE + b"\n", GO_NOTE + b"\n\n", GO_NOTE + b"text\n", GO_NOTE.replace(b"\n", b"\r\n"),
        GO_NOTE.replace(b"If", b"I\tf"), GO_NOTE.replace(b"If", b"\0If"), b"\xff" + GO_NOTE,
        GO_NOTE.replace(b"If", b"\xed\xa0\x80"), b"\n" + GO_LINE.encode(),
    ],
)  # fmt: skip
def test_malformed_notes(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        open_note(data, [PETER])


GOOD = GO_LINE.split(" ")[2].strip()


@pytest.mark.parametrize(
    "line",
    [
        "", "\u2014", "\u2014 ", "\u2014 PeterNeumann", f"- PeterNeumann {GOOD}", f"\u2014  {GOOD}",
        f"\u2014PeterNeumann {GOOD}", f"\u2014 Peter Neumann {GOOD}",
        f"\u2014 Peter+Neumann {GOOD}", f"\u2014 Peter\u00a0Neumann {GOOD}",
        f"\u2014 Peter\u2003 {GOOD}", f"\u2014 PeterNeumann  {GOOD}",
        f"\u2014 PeterNeumann {GOOD} ", f"\u2014 PeterNeumann {GOOD[:-1]}",
        f"\u2014 PeterNeumann {GOOD}=", "\u2014 PeterNeumann x08gow==", "\u2014 PeterNeumann x08g",
        # Not canonical: the unused low bits of the last character before = are not zero.
        f"\u2014 PeterNeumann {GOOD[:-2]}N=",
        f"\u2014 PeterNeumann {GOOD.replace('/', '_')}",
    ],
)  # fmt: skip
def test_malformed_signature_lines(line: str) -> None:
    with pytest.raises(IntegrityError):
        Signature.parse(line)
    with pytest.raises(IntegrityError):
        open_note(GO_NOTE + f"{line}\n".encode(), [PETER])


def test_no_signature_by_a_trusted_key() -> None:
    for verifiers in ([], [verifier(ANNA)]):
        with pytest.raises(IntegrityError, match="no signature by a trusted key"):
            open_note(GO_NOTE, verifiers)


def test_unknown_keys_are_ignored_even_with_a_known_name_or_id() -> None:
    good = ANNA.sign(TEXT)
    grease = [
        Signature("grease.example", b"\1\2\3\4", b"\0"),
        Signature(good.name, b"\1\2\3\4", good.data),
        Signature("grease.example", good.key_id, good.data),
        Signature("x" * 1000, bytes(4), bytes(5000)),
    ]
    _, signatures = open_note(note(*grease, good, *grease), [verifier(ANNA)])
    assert signatures == (good,)
    with pytest.raises(IntegrityError, match="no signature by a trusted key"):
        open_note(note(*grease), [verifier(ANNA)])


def test_a_bad_signature_by_a_known_key_condemns_the_note() -> None:
    bad = Signature(ANNA.key.name, ANNA.key.key_id, bytes(64))
    for lines in ((bad, BERTA.sign(TEXT)), (BERTA.sign(TEXT), bad), (ANNA.sign(TEXT), bad)):
        with pytest.raises(IntegrityError, match="does not verify"):
            open_note(note(*lines), [verifier(ANNA), verifier(BERTA)])
    short = Signature(ANNA.key.name, ANNA.key.key_id, bytes(1))
    with pytest.raises(IntegrityError, match="does not verify"):
        open_note(note(short), [verifier(ANNA)])


def test_repeated_lines_are_of_one_key() -> None:
    lines = [ANNA.sign(TEXT)] * 3
    _, signatures = open_note(note(*lines), [verifier(ANNA)])
    assert {signature.key_id for signature in signatures} == {ANNA.key.key_id}
    assert open_note(note(*lines), [verifier(ANNA)])[0].serialise() == note(*lines)


def test_two_verifiers_of_one_name_and_id_are_a_mistake() -> None:
    with pytest.raises(InvalidRequest, match="two verifiers"):
        open_note(note(ANNA.sign(TEXT)), [verifier(ANNA), verifier(ANNA)])


def test_the_number_of_signatures() -> None:
    grease = Signature("grease.example", bytes(4), bytes(64))
    lines = [grease] * (MAX_SIGNATURES - 1)
    _, signatures = open_note(note(*lines, ANNA.sign(TEXT)), [verifier(ANNA)])
    assert len(signatures) == 1
    whole = note(*lines, ANNA.sign(TEXT))
    for more in (1, 2, 5000):
        with pytest.raises(IntegrityError, match="1 to 64"):
            open_note(whole + f"{grease.format()}\n".encode() * more, [verifier(ANNA)])
    with pytest.raises(IntegrityError, match="1 to 64"):
        Note(TEXT, (grease,) * (MAX_SIGNATURES + 1))
    with pytest.raises(IntegrityError, match="1 to 64"):
        Note(TEXT, ())


def test_the_size_of_a_note() -> None:
    text = bytes([97]) * (MAX_NOTE - len(note(ANNA.sign(b"\n"), text=b"\n"))) + b"\n"
    longest = note(ANNA.sign(text), text=text)
    assert len(longest) == MAX_NOTE
    open_note(longest, [verifier(ANNA)])
    with pytest.raises(IntegrityError, match="longer than"):
        open_note(b"a" + longest, [verifier(ANNA)])


@pytest.mark.parametrize("text", [b"", b"no newline", b"a\rb\n", b"\xff\n"])
def test_texts_that_no_note_holds(text: bytes) -> None:
    with pytest.raises(IntegrityError):
        Note(text, (ANNA.sign(text),))


@pytest.mark.parametrize("key", [SPEC_KEY, GO_KEY])
def test_verifier_keys_round_trip_and_every_mangling_is_refused(key: str) -> None:
    assert VerifierKey.parse(key).format() == key
    for start in range(len(key)):
        for end in range(start, len(key)):
            with pytest.raises(InvalidRequest):
                VerifierKey.parse(key[start:end])
    for at, char in enumerate(key):
        with pytest.raises(InvalidRequest):
            VerifierKey.parse(key[:at] + chr(ord(char) + 1) + key[at + 1 :])


@pytest.mark.parametrize(
    "key",
    [
        # A key of 34 bytes, and one of an unknown type, both with the right hash (from Go's tests).
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "\ud800+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "", "+", "++", "a+b+c",
    ],
)  # fmt: skip
def test_bad_verifier_keys(key: str) -> None:
    with pytest.raises(InvalidRequest):
        VerifierKey.parse(key)


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\n", "a\u2028b", "\ud800", "a" * (MAX_NAME + 1)]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(InvalidRequest, match="key name"):
        VerifierKey(name, KeyType.ED25519, bytes(32))
    with pytest.raises(InvalidRequest, match="key name"):
        SigningKey(name, Secret(bytes(32)))
    assert VerifierKey("a" * MAX_NAME, KeyType.ED25519, bytes(32)).name == "a" * MAX_NAME


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_public_key_has_32_bytes(length: int) -> None:
    with pytest.raises(InvalidRequest, match="32 bytes"):
        VerifierKey("anna.example", KeyType.ED25519, bytes(length))


def test_a_verifier_takes_its_own_type_only() -> None:
    with pytest.raises(InvalidRequest, match="type Ed25519"):
        NoteVerifier(sample_key("anna.example").verifier_key(KeyType.COSIGNATURE))


@pytest.mark.parametrize(
    "text",
    [
        GO_KEY, GO_PRIVATE[:-4], GO_PRIVATE.replace("c7", "c8"), GO_PRIVATE.replace("+AY", "+BY"),
        GO_PRIVATE.replace("Peter", "P ter"), "PRIVATE+KEY+", "", GO_PRIVATE + "AAAA",
        GO_PRIVATE.removeprefix("PRIVATE+KEY+"), f"{GO_PRIVATE}\n",
    ],
)  # fmt: skip
def test_bad_signing_keys_are_not_quoted(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SigningKey.parse(Secret(text.encode()))
    assert "gUKFALVFGyNhPJE" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_signing_keys_are_shown_nowhere() -> None:
    key = SigningKey.parse(Secret(GO_PRIVATE.encode()))
    shown = f"{key!r} {key} {Signer(key)!r} {key.format()!r}"
    assert "AYEKFALV" not in shown
    with pytest.raises(InvalidRequest):
        SigningKey("anna.example", Secret(bytes(31)))
    with pytest.raises(InvalidRequest, match="UTF-8"):
        SigningKey.parse(Secret(b"\xff"))
