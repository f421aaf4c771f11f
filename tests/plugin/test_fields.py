"""Weak typing: what clients send becomes what a handler declared, or an error that names it."""

import dataclasses
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret
from ironkeep.plugin import fields
from ironkeep.plugin.fields import (
    MAX_LIST,
    MAX_SECONDS,
    CommaList,
    Duration,
    IntList,
    KvPairs,
    duration,
)


@dataclass(frozen=True)
class Everything:
    text: str = ""
    flag: bool = False
    number: int = 0
    length: Duration = 0
    words: CommaList = ()
    numbers: IntList = ()
    pairs: KvPairs = field(default_factory=dict)
    object: dict[str, Any] = field(default_factory=dict)
    anything: Any = None
    secret: Secret = Secret(b"")
    maybe: int | None = None
    renamed: str = field(default="", metadata={"alias": ("old_name", "older"), "help": "a name"})


@dataclass(frozen=True)
class Needed:
    text: str
    length: Duration = 0


def parsed(name: str, value: Any) -> Any:
    return getattr(fields.parse(Everything, {name: value}), name)


BAD: Any = InvalidRequest

TABLE: list[tuple[str, Any, Any]] = [
    ("text", "x", "x"), ("text", 5, "5"), ("text", True, "true"), ("text", 1.5, "1.5"),
    ("text", Decimal("1.10"), "1.10"), ("text", [], BAD), ("text", {}, BAD),
    ("flag", "true", True), ("flag", "F", False), ("flag", 1, True), ("flag", "0", False),
    ("flag", "", False), ("flag", "yes", BAD), ("flag", 2, BAD), ("flag", [], BAD),
    ("number", "5", 5), ("number", "-5", -5), ("number", 5.0, 5), ("number", 5.5, BAD),
    ("number", "5.0", BAD), ("number", "", BAD), ("number", True, BAD), ("number", "٣", BAD),
    ("number", 2**63 - 1, 2**63 - 1), ("number", 2**63, BAD), ("number", "9" * 18, int("9" * 18)),
    ("number", "9" * 19, BAD), ("number", 1e300, BAD), ("number", " 5", BAD),
    ("length", 90, 90), ("length", "90", 90), ("length", "1h30m", 5400), ("length", "1d", 86_400),
    ("length", "1.5m", 90), ("length", "500ms", 0), ("length", "", 0), ("length", " 5s ", 5),
    ("length", -1, BAD), ("length", "-1s", BAD), ("length", "1x", BAD), ("length", "h", BAD),
    ("length", True, BAD), ("length", [], BAD), ("length", float("nan"), BAD),
    ("length", float("inf"), BAD), ("length", "1h" * 33, BAD), ("length", "٣s", BAD),
    ("length", MAX_SECONDS, MAX_SECONDS), ("length", MAX_SECONDS + 1, BAD),
    ("words", "a, b,,c ", ("a", "b", "c")), ("words", ["a,b", "c"], ("a,b", "c")),
    ("words", "", ()), ("words", [], ()), ("words", 5, ("5",)), ("words", [{}], BAD),
    ("words", ["x"] * MAX_LIST, ("x",) * MAX_LIST), ("words", ["x"] * (MAX_LIST + 1), BAD),
    ("words", "x," * (MAX_LIST + 1), BAD),
    ("numbers", "1,2", (1, 2)), ("numbers", [1, "2"], (1, 2)), ("numbers", 3, (3,)),
    ("numbers", "x", BAD), ("numbers", [None], BAD),
    ("pairs", {"a": 1}, {"a": "1"}), ("pairs", ["a=1", "b=2=3"], {"a": "1", "b": "2=3"}),
    ("pairs", "a=1", {"a": "1"}), ("pairs", "a", BAD), ("pairs", {"a": []}, BAD),
    ("object", {"a": [1]}, {"a": [1]}), ("object", "x", BAD), ("object", [], BAD),
    ("anything", [1, {}], [1, {}]), ("maybe", None, None), ("maybe", "7", 7),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), TABLE)
def test_weak_typing(name: str, value: Any, expected: Any) -> None:
    if expected is BAD:
        with pytest.raises(InvalidRequest, match=f"error converting input for field '{name}'"):
            parsed(name, value)
    else:
        assert parsed(name, value) == expected


def test_a_secret_stays_one() -> None:
    made = parsed("secret", "hunter2")
    assert isinstance(made, Secret)
    assert made.equals(b"hunter2")
    assert "hunter2" not in repr(fields.parse(Everything, {"secret": "hunter2"}))


def test_what_is_needed_and_what_is_absent() -> None:
    for data in ({}, {"text": None}, {"length": "1h"}):
        with pytest.raises(InvalidRequest, match="missing text"):
            fields.parse(Needed, data)
    assert fields.parse(Needed, {"text": "x", "length": None}) == Needed("x")


def test_other_names_and_unknown_ones() -> None:
    assert fields.parse(Everything, {"older": "x"}).renamed == "x"
    assert fields.parse(Everything, {"older": "x", "renamed": "x"}).renamed == "x"
    assert fields.parse(Everything, {"older": None, "renamed": "x"}).renamed == "x"
    for both in ({"older": "x", "renamed": "y"}, {"older": "x", "old_name": "y"}):
        with pytest.raises(InvalidRequest, match="are one field: give one of them"):
            fields.parse(Everything, both)
    assert fields.unknown(Everything, {"text": 1, "old_name": 1, "z": 1, "b": 1}) == ["b", "z"]


def test_a_declaration_that_cannot_be_parsed_is_found_at_once() -> None:
    @dataclass(frozen=True)
    class Wrong:
        x: complex = 0j

    with pytest.raises(TypeError, match="no weak parser"):
        fields.fields_of(Wrong)


def test_help_comes_from_the_declaration() -> None:
    by_name = {item.name: item for item in fields.fields_of(Everything)}
    assert by_name["renamed"].help == "a name"
    assert [item.required for item in fields.fields_of(Needed)] == [True, False]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
NAMES = [item.name for item in dataclasses.fields(Everything)]


@given(st.dictionaries(st.sampled_from([*NAMES, "older", "other"]), VALUES))
def test_whatever_is_sent_is_parsed_or_refused(data: dict[str, Any]) -> None:
    try:
        made = fields.parse(Everything, data)
    except InvalidRequest as error:
        assert re.search("error converting input|are one field", str(error))  # noqa: PT017 - either way is fine
        return
    assert isinstance(made.text, str)
    assert 0 <= made.length <= MAX_SECONDS
    assert all(isinstance(word, str) for word in made.words)
    assert all(isinstance(number, int) for number in made.numbers)


@given(VALUES)
def test_an_error_never_shows_the_value(value: Any) -> None:
    marked = {"length": ["hunter2", value], "number": "hunter2", "flag": "hunter2"}
    for name, sent in marked.items():
        with pytest.raises(InvalidRequest) as caught:
            fields.parse(Everything, {name: sent})
        assert "hunter2" not in str(caught.value)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds
