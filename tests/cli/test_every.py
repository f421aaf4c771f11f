"""Every command of the table: against a hostile server, at a terminal of ASCII, for a program."""

import argparse
import contextlib
import gc
import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ironkeep.cli import exits, main
from ironkeep.cli.command import Command, Group, parser_of
from ironkeep.cli.output.terminal import Terminal

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\x9b2J\u202e\u200b\ufe0f\u3164 слово"
NAMED = {"server", "witness", "agent", "demo"}
"""They serve, or act on this machine: an answer of a server is nothing to most of them."""


def commands() -> Iterator[tuple[tuple[str, ...], Command]]:
    """Yield every command with the words that call it."""

    def below(words: tuple[str, ...], found: Command | Group) -> Iterator[Any]:
        if isinstance(found, Command):
            yield words, found
            return
        for name, each in found.commands.items():
            yield from below((*words, name), each)

    for name in main.COMMANDS:
        found = main.load(name)
        assert found is not None
        yield from below((name,), found)


REMOTE = [(words, each) for words, each in commands() if each.remote and words[0] not in NAMED]
IDS = [" ".join(words) for words, _ in REMOTE]


def arguments_of(words: tuple[str, ...], command: Command) -> list[str]:
    """Return arguments that the command takes: something for each position that it needs."""
    parser = parser_of("ironkeep", command)
    given = []
    for action in parser._actions:
        needed = action.nargs not in ("?", "*", argparse.REMAINDER)
        if not action.option_strings and (needed or action.dest in ("arguments", "token", "key")):
            given.append("x=y" if action.dest in ("data", "pairs") else "1")
        elif action.required and action.option_strings:
            given.append(f"{action.option_strings[0].replace('--', '-', 1)}=1")
    if words[-1] in ("put", "patch", "write") and words[0] in ("kv", "write", "patch"):
        given.append("a=b")
    return given


class Hostile(BaseHTTPRequestHandler):
    """Answers everything with text that would drive a terminal."""

    status, body = 200, b""

    def answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self.rfile.read(length)
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


for verb in ("GET", "PUT", "POST", "DELETE", "LIST", "PATCH"):
    setattr(Hostile, f"do_{verb}", Hostile.answer)


@pytest.fixture(scope="module")
def hostile() -> Iterator[tuple[str, type[Hostile]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", Hostile
    server.shutdown()
    server.server_close()
    thread.join()


class Stream(io.TextIOWrapper):
    """A stream with 128 characters, watched or not."""

    def __init__(self, *, watched: bool) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", errors="strict")
        self.watched = watched

    def isatty(self) -> bool:
        return self.watched

    def text(self) -> str:
        self.flush()
        found: bytes = self.buffer.getvalue()  # type: ignore[attr-defined]
        return found.decode("utf-8")


def called(
    words: list[str], address: str, home: Path, monkeypatch: pytest.MonkeyPatch, *, watched: bool
) -> tuple[int, str, str]:
    for name in ("VAULT_FORMAT", "VAULT_NAMESPACE", "VAULT_WRAP_TTL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VAULT_ADDR", address)
    monkeypatch.setenv("VAULT_TOKEN", "root")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    out, err = Stream(watched=watched), Stream(watched=watched)
    code = main.call(words, Terminal(io.BytesIO(b"v\n"), out, err))
    return code, out.text(), err.text()


ANSWERS: list[tuple[int, Any]] = [
    (200, {"request_id": HOSTILE, "warnings": [HOSTILE], "data": {"keys": [HOSTILE], HOSTILE: 1}}),
    (200, {"request_id": "x", "data": None}),
    (200, {"request_id": "x", "auth": {"client_token": "t", "metadata": {HOSTILE: HOSTILE}}}),
    (400, {"errors": [HOSTILE]}),
    (404, {"errors": []}),
    (503, [HOSTILE]),
]  # fmt: skip


def is_tame(text: str) -> bool:
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)  # colours of ours
    return text.isascii() and all(char.isprintable() or char in "\n\t" for char in text)


def test_the_enumeration_finds_them_all() -> None:
    assert len(REMOTE) > 60
    assert {"kv", "token", "operator", "audit", "incident"} <= {words[0] for words, _ in REMOTE}


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("module", ["ironkeep.cli.version", "ironkeep.cli.no_such_module"])
def test_the_collector_is_after_loading_as_it_was_before(
    module: str, monkeypatch: pytest.MonkeyPatch, *, collects: bool
) -> None:
    """A server whose collector stays off keeps every cycle that its requests make."""
    monkeypatch.setattr(main, "COMMANDS", {"it": main.Line(module, "VERSION", "")})
    if not collects:
        gc.disable()
    try:
        with contextlib.suppress(ModuleNotFoundError):
            main.load("it")
        assert gc.isenabled() is collects
    finally:
        gc.enable()


@pytest.mark.parametrize(("words", "command"), REMOTE, ids=IDS)
def test_what_a_server_says_drives_no_terminal_of_any_command(
    words: tuple[str, ...], command: Command, hostile: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    address, handler = hostile
    for status, document in ANSWERS:
        handler.status, handler.body = status, json.dumps(document).encode()
        for watched in (True, False):
            line = [*words, *arguments_of(words, command)]
            _, out, err = called(line, address, tmp_path, monkeypatch, watched=watched)
            assert is_tame(err), (line, err)
            assert is_tame(out), (line, out)
            assert "UnicodeE" not in err


@pytest.mark.parametrize(("words", "command"), REMOTE, ids=IDS)
def test_a_program_that_asks_for_json_gets_json_or_nothing(
    words: tuple[str, ...], command: Command, hostile: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if not command.output:
        return
    address, handler = hostile
    for status, document in ANSWERS:
        handler.status, handler.body = status, json.dumps(document).encode()
        line = [*words, *arguments_of(words, command), "-format=json"]
        code, out, _ = called(line, address, tmp_path, monkeypatch, watched=False)
        if words == ("audit", "tail") and not code:
            assert all(json.loads(each) for each in out.splitlines())
        elif out or code:
            json.loads(out)


@pytest.mark.parametrize(("words", "command"), REMOTE, ids=IDS)
@pytest.mark.parametrize("body", [b"<html>Sign in to the network</html>", b"", b"[]"])
def test_what_is_no_vault_did_nothing_that_was_asked_for(
    words: tuple[str, ...], command: Command, body: bytes, hostile: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    address, handler = hostile
    for status in (200, 404):
        handler.status, handler.body = status, body
        line = [*words, *arguments_of(words, command)]
        code, out, err = called(line, address, tmp_path, monkeypatch, watched=False)
        assert code != exits.OK
        assert out == ""
        assert "defect" not in err


def test_wrong_use_is_told_to_a_program_too() -> None:
    out = io.StringIO()
    code = main.call(["kv", "get", "-format=json"], Terminal(io.BytesIO(), out, io.StringIO()))
    assert code == exits.LOCAL
    assert "required" in json.loads(out.getvalue())["errors"][0]


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_is_reached_by_every_way(name: str) -> None:
    wanted = None
    for words in ([name, "-help"], [name, "-h"], ["help", name]):
        out = io.StringIO()
        assert main.call(words, Terminal(io.BytesIO(), out, io.StringIO())) == exits.OK
        wanted = wanted or out.getvalue()
        assert out.getvalue() == wanted
        assert "usage: ironkeep" in wanted


@pytest.mark.parametrize(("words", "command"), list(commands()))
def test_help_of_every_command_below_a_group(words: tuple[str, ...], command: Command) -> None:
    del command
    found = []
    first, *rest = words
    for line in ([*words, "-help"], ["help", *words], [first, "help", *rest]):
        if len(words) == 1 and line[1:2] == ["help"]:
            continue  # there it would be an argument
        out = io.StringIO()
        assert main.call(line, Terminal(io.BytesIO(), out, io.StringIO())) == exits.OK
        found.append(out.getvalue())
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["stauts"], "ironkeep status"),
        (["Read"], "ironkeep read"),
        (["kv", "gte"], "ironkeep kv get"),
        (["secret", "list"], "ironkeep secrets"),
        (["operator", "unsael"], "ironkeep operator unseal"),
    ],
)
def test_a_mistyped_verb_is_answered_by_the_one_that_was_meant(
    typed: list[str], meant: str
) -> None:
    err = io.StringIO()
    assert main.call(typed, Terminal(io.BytesIO(), io.StringIO(), err)) == exits.LOCAL
    assert f"Did you mean `{meant}`?" in err.getvalue()


def test_an_argument_that_is_no_text_is_refused_in_words() -> None:
    err = io.StringIO()
    assert main.call(["read", "\udcff"], Terminal(io.BytesIO(), io.StringIO(), err)) == exits.LOCAL
    assert "argument 2 is not text" in err.getvalue()
