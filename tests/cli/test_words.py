"""Data from arguments, tables and fields, terminals: without a server."""

import errno
import io
import json
import pty
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import ironkeep
from ironkeep.cli.client import inputs
from ironkeep.cli.output import render, terminal as module
from ironkeep.cli.output.terminal import Painted, Terminal
from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.text.visible import is_drawn, is_visible


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
    shown = piped().shown(text)
    assert all(is_drawn(char) or char in "\n\t" for char in shown)
    if is_visible(text):
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
        return " typed "

    monkeypatch.setattr("getpass.getpass", typed)
    with open(leader, "rb", 0), open(follower, "rb", 0) as stdin:  # noqa: PTH123 - descriptors
        terminal = Terminal(stdin, io.StringIO(), io.StringIO())
        assert terminal.secret(None, "Token").equals(b" typed ")
        assert terminal.key(None, "Token").equals(b"typed")
        # What is named to be read is not shown either where somebody types it.
        assert inputs.data_of(["password=-"], terminal) == {"password": " typed "}
    words = ("Token", "Token", "password")
    assert asked == [(f"{what} (will be hidden): ", terminal.stderr) for what in words]
    assert piped(b" x\n").secret("-", "Password").equals(b" x")
    assert piped(b" x\n").key("-", "Token").equals(b"x")
    assert piped().secret("given", "Token").equals(b"given")
    with pytest.raises(InvalidRequest, match="no terminal"):
        piped(b"x").secret(None, "Token")


HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\x9b2J\u202e\u2066\u200b\ufe0f\u3164\U000e0041 здесь"


class Ascii(io.TextIOWrapper):
    """A terminal of `LC_ALL=POSIX`: its encoding has 128 characters."""

    def __init__(self, *, watched: bool) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", errors="strict")
        self.watched = watched

    def isatty(self) -> bool:
        return self.watched

    def text(self) -> str:
        self.flush()
        found: bytes = self.buffer.getvalue()  # type: ignore[attr-defined]
        return found.decode("utf-8")


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("kind", ["table", "json", "yaml", "raw"])
def test_hostile_text_drives_no_terminal_and_breaks_none_of_ascii(kind: str, watched: bool) -> None:
    stdout, stderr = Ascii(watched=watched), Ascii(watched=watched)
    terminal = Terminal(io.BytesIO(), stdout, stderr)
    terminal.format = kind
    document = {HOSTILE: HOSTILE, "list": [HOSTILE, {"a": HOSTILE}]}
    render.answer(terminal, {"data": document, "request_id": "x", "warnings": [HOSTILE]}, "")
    terminal.say(HOSTILE, Painted(HOSTILE, "1"))
    terminal.note(HOSTILE)
    terminal.redraw(HOSTILE)
    shown = stdout.text() + stderr.text()
    for ours in ("\x1b[1m", "\x1b[0m", "\r", "\x1b[K"):
        shown = shown.replace(ours, "")
    # rich styles what it draws; those are SGR alone.
    shown = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert shown.isascii()
    assert all(char.isprintable() or char in "\n\t" for char in shown)


@pytest.mark.parametrize("kind", ["json", "raw", "yaml"])
def test_documents_mean_what_was_answered(kind: str) -> None:
    """YAML is read here as what it is a superset of: its scalars are JSON's, or plain words."""
    terminal = piped()
    terminal.format = kind
    document = {"a": HOSTILE, "many": [1, None, True, 1.5], "empty": {}, "none": [], "yes": "no"}
    render.as_json(terminal, document)
    if kind != "yaml":
        assert json.loads(out(terminal)) == document
        return
    assert out(terminal).splitlines()[1:] == [
        "many:", "  - 1", "  - null", "  - true", "  - 1.5", "empty: {}", "none: []", '"yes": "no"',
    ]  # fmt: skip
    key, _, spelt = out(terminal).splitlines()[0].partition(": ")
    wide = re.sub(r"\\U([0-9A-F]{8})", lambda each: chr(int(each[1], 16)), spelt)
    assert (key, json.loads(wide)) == ("a", HOSTILE)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"pw\n", "pw"), (b"pw\r\n", "pw"), (b"pw", "pw"), (b" pw \n", " pw "), (b"", ""),
        (b"\n", ""), (b"a\nb\n", "a\nb\n"), (b"a\nb", "a\nb"), (b"pw\n\n", "pw\n\n"),
    ],
)  # fmt: skip
def test_a_value_is_the_same_from_standard_input_and_from_a_file(
    given: bytes, kept: str, tmp_path: Path
) -> None:
    (tmp_path / "value").write_bytes(given)
    assert inputs.data_of(["v=-"], piped(given)) == {"v": kept}
    assert inputs.data_of([f"v=@{tmp_path / 'value'}"], piped()) == {"v": kept}
    assert piped(given).secret("-", "Password").reveal().decode() == kept


def test_the_end_of_input_at_a_prompt_is_an_answer_that_was_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ended(prompt: str, stream: Any) -> str:
        del prompt, stream
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    with pytest.raises(InvalidRequest, match="no value was given"):
        piped().hidden("Token")


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_left_out_where_nobody_wants_them(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal(io.BytesIO(), Watched(), io.StringIO())
    terminal.say(Painted("PROVEN", "1;32"))
    assert ("\x1b" in out(terminal)) is coloured


def test_standard_input_that_is_closed_is_no_empty_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InvalidRequest, match="standard input is closed"):
        inputs.data_of(["password=-"], Terminal.standard())


@pytest.mark.parametrize("columns", ["0", "1", "5", "12", "20", "40", "80", "x", "-3"])
def test_a_narrow_terminal_shows_every_cell_whole(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of short columns in one piece, long ones on several lines: nothing is cropped."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal(io.BytesIO(), Watched(), io.StringIO())
    short, wide, long = "a-password-of-24-letters", "\u5bc6\u7801" * 6, "0123456789" * 9
    row = ["x", short, wide, long, short]
    render.table(terminal, ["k", "Value", "wide", "long", "last"], [row, row])
    text = re.sub(r"\x1b\[[0-9;]*m", "", out(terminal))
    assert [text.count(cell) for cell in (short, wide)] == [4, 2]
    assert sum(text.count(digit) for digit in "56789") == 2 * 9 * 5


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text: str, /) -> int:
        del text
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_behind_standard_output_is_named() -> None:
    terminal = Terminal(io.BytesIO(), Full(), io.StringIO())
    for write in (terminal.say, terminal.exact):
        with pytest.raises(OSError, match="No space left on device: 'standard output'"):
            write("words")


def test_nothing_but_the_terminal_writes_to_the_streams() -> None:
    """One place, so that no text of others gets round it; `render` has rich draw tables."""
    root = Path(ironkeep.__file__).parent
    places = [path for room in ("agent", "cli", "demo") for path in (root / room).rglob("*.py")]
    found = {
        path.name
        for path in places
        if re.search(
            r"\bprint\(|sys\.std|\.stdout\b(?! \+)|\.stderr\b|getpass\.getpass\(", path.read_text()
        )
    }
    assert found <= {
        "terminal.py",
        "render.py",
        "main.py",
        "pretty.py",
        "estate.py",
        "posture.py",
        "witness_process.py",
    }
