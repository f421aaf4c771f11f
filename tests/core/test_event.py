"""Entries: what is written is what is read, and nothing that is not a field is ever written."""

import dataclasses

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core.event import VERSION, Entry, Released, decode, encode

TEXT = st.text(max_size=20)
RELEASED = st.builds(Released, TEXT, TEXT, st.integers(0, 9), st.lists(TEXT, max_size=3).map(tuple))
VALUES = TEXT | st.integers(-(2**53), 2**53) | st.booleans() | st.lists(TEXT, max_size=3)
ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(["request", "commit", "start", "refused", "tick", "notice", "effect"]),
    time_ns=st.integers(0, 2**62),
    path=TEXT,
    outcome=TEXT,
    wrapped=st.booleans(),
    released=st.lists(RELEASED, max_size=3).map(tuple),
    audited=st.dictionaries(TEXT, VALUES, max_size=3),
)


@given(ENTRIES)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    raw = encode(entry)
    assert decode(raw) == entry
    assert encode(decode(raw)) == raw


def test_defaults_take_no_room_but_the_first_two_fields_are_always_there() -> None:
    assert encode(Entry("tick", 5)) == b'{"kind":"tick","time_ns":5}'
    assert decode(b'{"kind":"tick","time_ns":5}').v == VERSION


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b'{"time_ns":1}', b'{"kind":"nonsense","time_ns":1}', b'{"kind":"tick"}',
     b'{"kind":"tick","time_ns":"1"}', b'{"kind":"tick","time_ns":1,"audited":{"a":{"b":1}}}',
     b'{"kind":"tick","time_ns":1,"audited":{"a":null}}', b"\xff"],
)  # fmt: skip
def test_what_is_no_entry(raw: bytes) -> None:
    with pytest.raises((msgspec.ValidationError, msgspec.DecodeError)):
        decode(raw)


def test_entries_cannot_be_changed() -> None:
    with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
        Entry("tick", 5).time_ns = 6  # type: ignore[misc]
