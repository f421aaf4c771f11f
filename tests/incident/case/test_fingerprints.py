"""Known secrets in a text: found as they are and encoded, and nothing else is."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.evidence.node import NodeId
from ironkeep.core.secret import Secret
from ironkeep.incident.case import fingerprints
from ironkeep.incident.case.fingerprints import ANCHOR, Prints, search

KEY = bytes(range(32))
VERSION = NodeId("secret:mount/app@1")
VALUE = b"s3cr3t/value+with=odd&chars"
PEM = b"-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n-----END KEY-----\n"


def prints_of(*values: bytes) -> Prints:
    prints = Prints(KEY)
    for value in values:
        prints.add(VERSION, Secret(value))
    return prints


def holds(document: bytes, value: bytes = VALUE) -> bool:
    return search(document, prints_of(value), ()).versions == {VERSION}


def wrapped(text: bytes, width: int = 64) -> bytes:
    return b"\n".join(text[at : at + width] for at in range(0, len(text), width))


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda value: value,
    "base64": b64encode,
    "base64 without padding": lambda value: b64encode(value).rstrip(b"="),
    "base64 for URLs": urlsafe_b64encode,
    "base64 in lines": lambda value: wrapped(b64encode(b"x" * 90 + value)),
    "a user and password in base64": lambda value: b64encode(b"app:" + value),
    "base64 twice": lambda value: b64encode(b64encode(value)),
    "hexadecimal": lambda value: value.hex().encode(),
    "HEXADECIMAL": lambda value: value.hex().upper().encode(),
    "URL": lambda value: quote(value, safe="").encode(),
    "base64 behind a path": lambda value: b"https://host/" + b64encode(value),
    "base64 behind a letter": lambda value: b"xy" + b64encode(value),
    "hexadecimal behind a digit": lambda value: b"0" + value.hex().encode(),
    "JSON with all escapes": lambda value: "".join(f"\\u{one:04x}" for one in value).encode(),
    "JSON": lambda value: json.dumps({"password": value.decode()}).encode(),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_secret_is_found_however_it_is_written(name: str) -> None:
    encoded = ENCODINGS[name](VALUE)
    assert holds(b"# a file\ntoken: " + encoded + b"\n")
    assert holds(b'{"token":"' + encoded + b'"}')
    assert not holds(b"token: " + ENCODINGS[name](VALUE[:-1] + b"!"))


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        PEM.replace(b"\n", b"\r\n"),
        b"key: |\n" + PEM,
        json.dumps({"key": PEM.decode()}).encode(),
        b64encode(PEM),
    ],
)
def test_a_key_of_several_lines(text: bytes) -> None:
    assert holds(text, PEM)


def test_what_is_short_is_in_any_text_and_so_in_none() -> None:
    short = b"x" * (ANCHOR - 1)
    assert not prints_of(short).by_anchor
    assert holds(b"-" + b"y" * ANCHOR, b"y" * ANCHOR)


def test_fingerprints_depend_on_the_key_and_hold_no_value() -> None:
    other = Prints(bytes(32))
    other.add(VERSION, Secret(VALUE))
    assert other.by_anchor != prints_of(VALUE).by_anchor
    assert VALUE not in repr(other).encode()
    assert VALUE[:ANCHOR] not in repr(other).encode()


def test_a_value_with_quotes_and_backslashes_is_found_in_json() -> None:
    value = 'p"a\\ss/wo\trd-\u00e9'
    for ascii_only in (True, False):
        document = json.dumps({"password": value}, ensure_ascii=ascii_only).encode()
        assert holds(document, value.encode())


def test_values_that_begin_alike_do_not_make_a_search_last_for_hours() -> None:
    prints = Prints(KEY)
    for length in range(ANCHOR, 5_000):
        prints.add(VERSION, Secret(b"A" * length + b"!"))
    found = search(b"A" * (1 << 20), prints, ())
    assert not found.complete


def test_one_value_may_belong_to_several_versions() -> None:
    prints = prints_of(VALUE)
    second = NodeId("secret:mount/other@7")
    prints.add(second, Secret(VALUE))
    assert search(VALUE, prints, ()).versions == {VERSION, second}


def test_registered_copies_are_found_as_a_whole_and_as_a_part() -> None:
    ciphertext = bytes(range(200, 256)) * 2
    digest = sha256(ciphertext).hexdigest()
    for document in (
        ciphertext,
        b"enc: " + b64encode(ciphertext),
        b"enc: " + ciphertext.hex().encode(),
    ):
        assert search(document, Prints(KEY), (digest, "00" * 32)).copies == {digest}
    assert not search(ciphertext[1:], Prints(KEY), (digest,)).copies


def test_a_bomb_of_layers_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    document = b64encode(b64encode(b64encode(VALUE)))
    monkeypatch.setattr(fingerprints, "MAX_SEARCHED", len(document))
    assert not search(document, prints_of(VALUE), ()).complete
    monkeypatch.undo()
    assert search(document, prints_of(VALUE), ()).complete


@given(st.binary(min_size=ANCHOR, max_size=40), st.binary(max_size=60), st.binary(max_size=60))
def test_any_value_is_found_in_any_place(value: bytes, before: bytes, after: bytes) -> None:
    plain = fingerprints.normal(value)
    if len(plain) >= ANCHOR and b"\r" not in before + value + after:
        assert VERSION in search(before + plain + after, prints_of(value), ()).versions


@given(st.binary(max_size=300), st.binary(min_size=ANCHOR, max_size=40))
def test_nothing_is_found_that_is_not_there(document: bytes, value: bytes) -> None:
    found = search(document, prints_of(value), ()).versions
    plain = fingerprints.normal(value)
    inside = any(plain in fingerprints.normal(part) for part in fingerprints.layers(document))
    assert bool(found) == (inside and len(plain) >= ANCHOR)


def test_what_is_hidden_changes_nothing_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of one beginning, repeated, spends the budget only where a secret begins so."""
    monkeypatch.setattr(fingerprints, "MAX_COMPARED", 50_000)
    hidden = Prints(KEY)
    for length in range(ANCHOR, 5_000):
        hidden.add(VERSION, Secret(b"A" * length + b"!"))
    guessed = search(b"A" * (1 << 20), prints_of(VALUE), (), hidden)
    wrong = search(b"B" * (1 << 20), prints_of(VALUE), (), hidden)
    assert (guessed.versions, guessed.complete) == (wrong.versions, wrong.complete)
    assert guessed.complete
    assert (guessed.thorough, wrong.thorough) == (False, True)


def test_what_is_hidden_is_found_apart() -> None:
    found = search(VALUE, Prints(KEY), (), prints_of(VALUE))
    assert not found.versions
    assert found.hidden == {VERSION}
