"""Data from arguments, tables and fields, terminals: without a server."""

import io
import json
import pty
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from ironkeep.cli import inputs, render, terminal as module
from ironkeep.cli.terminal import Terminal, printable
from ironkeep.core.errors import InvalidRequest, TooLarge


class Watched(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


def piped(given: bytes = b"") -> Terminal:
    return Terminal(io.BytesIO(given), io.StringIO(), io.StringIO())


def out(terminal: Terminal) -> str:
    assert isinstance(terminal.stdout, io.StringIO)
    return terminal.stdout.getvalue()


def test_pairs_repeat_into_lists() -> None:
    data = inputs.data_of(["a=1", "b=x=y", "a=2", "a=3", "c="], piped())
    assert data == {"a": ["1", "2", "3"], "b": "x=y", "c": ""}


@pytest.mark.parametrize("word", ["canary", "=canary", "canary value"])
def test_what_is_no_pair_is_refused_unquoted(word: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        inputs.data_of(["a=1", word], piped())
    assert "argument 2" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '"x"', "[" * 100_000, "\udcff"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        inputs.data_of(["-"], piped(text.encode("utf-8", "surrogateescape")))


def test_standard_input_is_used_once_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="one value only"):
        inputs.data_of(["a=-", "b=-"], piped(b"x"))
    monkeypatch.setattr(module, "MAX_INPUT", 4)
    assert inputs.data_of(["a=-"], piped(b"1234")) == {"a": "1234"}
    with pytest.raises(TooLarge):
        inputs.data_of(["a=-"], piped(b"12345"))


def test_files_are_bounded_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "value"
    path.write_bytes(b"\xff")
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        inputs.data_of([f"a=@{path}"], piped())
    monkeypatch.setattr(inputs, "MAX_INPUT", 4)
    path.write_bytes(b"1234")
    assert inputs.data_of([f"a=@{path}"], piped()) == {"a": "1234"}
    path.write_bytes(b"12345")
    with pytest.raises(TooLarge):
        inputs.data_of([f"a=@{path}"], piped())


@given(st.dictionaries(st.text(min_size=1).filter(lambda k: "=" not in k), st.text()))
def test_any_pair_is_taken_as_it_is(data: dict[str, str]) -> None:
    words = [f"{key}={chr(92) + value if value.startswith('@') else value}"
             for key, value in data.items() if key[0] != "@" and value != "-"
             and not value.startswith("\\@")]  # fmt: skip
    found = inputs.data_of(words, piped())
    assert found.items() <= data.items()
    assert len(found) == len(words)


@given(st.text())
def test_what_is_printed_drives_no_terminal(text: str) -> None:
    shown = printable(text)
    assert all(char.isprintable() or char in "\n\t" for char in shown)
    if text.isprintable():
        assert shown == text


def test_control_characters_do_not_reach_a_table() -> None:
    terminal = piped()
    render.pairs(
        terminal, {"a\x1b[2J": "\x1b]0;title\x07", "b": ["x", "y"], "c": None, "d": {"e": 1}}
    )
    assert "\x1b" not in out(terminal)
    assert "[x y]" in out(terminal)
    assert "n/a" in out(terminal)
    assert '{"e": 1}' in out(terminal)


def test_a_field_is_printed_bare_when_piped_and_as_a_line_when_watched() -> None:
    terminal = piped()
    terminal.field = "a"
    render.field(terminal, {"a": "x\x1b"})
    assert out(terminal) == "x\x1b"
    terminal = Terminal(io.BytesIO(), Watched(), io.StringIO())
    terminal.field = "a"
    render.field(terminal, {"a": "x\x1b"})
    assert out(terminal) == "x\\x1b\n"


def test_a_watched_table_is_drawn_and_takes_nothing_for_markup() -> None:
    terminal = Terminal(io.BytesIO(), Watched(), io.StringIO())
    render.pairs(terminal, {"key": "[red]value[/red]"})
    assert "[red]value[/red]" in out(terminal)
    assert "─" in out(terminal)


def test_warnings_go_to_standard_error() -> None:
    terminal = piped()
    document: dict[str, Any] = {"request_id": "r", "data": {"a": 1}, "warnings": ["look out\x1b"]}
    render.answer(terminal, document, "")
    assert isinstance(terminal.stderr, io.StringIO)
    assert terminal.stderr.getvalue() == "WARNING! look out\\x1b\n"
    terminal = piped()
    terminal.format = "json"
    render.answer(terminal, document, "")
    assert json.loads(out(terminal)) == document


def test_a_lease_is_shown_above_its_data() -> None:
    document = {
        "request_id": "r", "lease_id": "l/1", "lease_duration": 60, "renewable": True,
        "data": {"a": 1}, "auth": None, "wrap_info": None,
    }  # fmt: skip
    assert list(render.fields_of(document)) == [
        "lease_id",
        "lease_duration",
        "lease_renewable",
        "a",
    ]
    document |= {"lease_id": ""}
    assert render.fields_of(document) == {"refresh_interval": "60s", "a": 1}


def test_a_secret_is_typed_without_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    asked = []

    def typed(prompt: str, stream: Any) -> str:
        asked.append((prompt, stream))
        return " typed\n"

    monkeypatch.setattr("getpass.getpass", typed)
    with open(leader, "rb", 0), open(follower, "rb", 0) as stdin:  # noqa: PTH123 - descriptors
        terminal = Terminal(stdin, io.StringIO(), io.StringIO())
        assert terminal.secret(None, "Token").equals(b"typed")
    assert asked == [("Token (will be hidden): ", terminal.stderr)]
    assert piped(b" x\n").secret("-", "Token").equals(b"x")
    assert piped().secret("given", "Token").equals(b"given")
    with pytest.raises(InvalidRequest, match="no terminal"):
        piped(b"x").secret(None, "Token")
