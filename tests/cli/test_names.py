"""Names that a person typed reach the server as they are, and none at all reaches nothing."""

import argparse
import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ironkeep.cli.command import (
    MAY_BE_EMPTY,
    PLACES,
    Command,
    Group,
    normalise,
    parse,
    parser_of,
)
from ironkeep.cli.main import COMMANDS, call, load
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest


def commands(name: str, found: Command | Group | None) -> list[tuple[str, Command]]:
    if isinstance(found, Group):
        return [
            each
            for below, command in found.commands.items()
            for each in commands(f"{name} {below}", command)
        ]
    return [] if found is None else [(name, found)]


EVERY = [each for name in COMMANDS for each in commands(name, load(name))]


def test_all_commands_are_looked_at() -> None:
    names = {name for name, _ in EVERY}
    assert {
        "delete", "kv delete", "kv destroy", "kv metadata delete", "lease revoke", "token revoke",
        "policy delete", "secrets disable", "secrets move", "auth disable", "segment seal",
        "segment cut",
    } <= names  # fmt: skip


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
@pytest.mark.parametrize("blank", ["", " ", "/", "\t", " / ", "\u00a0"])
def test_an_argument_that_names_nothing_is_refused(name: str, command: Command, blank: str) -> None:
    parser = parser_of(f"ironkeep {name}", command)
    wanted = [a for a in parser._get_positional_actions() if a.choices is None]
    for at, action in enumerate(wanted):
        words = [blank if place == at else "x=y" for place in range(len(wanted))]
        if action.default == blank or any(
            other.default is not None and place != at and other.nargs == "?"
            for place, other in enumerate(wanted)
        ):
            continue
        for option in parser._actions:
            if option.required and option.option_strings:
                words += [option.option_strings[0], "1"]
        with pytest.raises(InvalidRequest, match=re.escape("is empty: is a variable not set?")):
            parse(parser, words)


@pytest.mark.parametrize("blank", ["", " ", "/"])
def test_a_flag_for_a_path_that_names_nothing_is_refused(blank: str) -> None:
    tried = set()
    for name, command in EVERY:
        parser = parser_of(f"ironkeep {name}", command)
        for flag in (a for a in parser._actions if a.option_strings and a.dest in PLACES):
            words = ["x"] * sum(a.nargs != "*" for a in parser._get_positional_actions())
            words += [
                f"{a.option_strings[0]}=1"
                for a in parser._actions
                if a.required and a.option_strings
            ]
            tried.add((name, flag.dest))
            with pytest.raises(InvalidRequest, match=f"-{flag.dest} is empty: is a variable"):
                parse(parser, normalise([*words, f"{flag.option_strings[0]}={blank}"]))
    assert {("kv delete", "mount"), ("kv metadata delete", "mount")} <= tried


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_flag_whose_value_is_empty_is_refused_and_not_taken_as_not_given(blank: str) -> None:
    """`-policy=$UNSET` would make a root token, `-wrap-ttl=$UNSET` show what was to be wrapped."""
    tried = set()
    for name, command in EVERY:
        parser = parser_of(f"ironkeep {name}", command)
        positions = parser._get_positional_actions()
        words = ["x"] * sum(a.nargs not in ("*", "?") for a in positions)
        words += [
            f"{a.option_strings[0]}={next(iter(a.choices)) if a.choices else 1}"
            for a in parser._actions
            if a.required and a.option_strings
        ]
        flags = [a for a in parser._actions if a.option_strings and a.nargs is None]
        for flag in flags:
            line = normalise([*words, f"{flag.option_strings[0]}={blank}"])
            if flag.dest in MAY_BE_EMPTY:
                assert getattr(parse(parser, line), flag.dest) == blank
                continue
            tried.add((name, flag.dest))
            with pytest.raises(InvalidRequest, match=_spelt(flag)):
                parse(parser, line)
    assert {
        ("token create", "policy"), ("token create", "ttl"), ("kv get", "wrap_ttl"),
        ("kv get", "field"), ("kv metadata put", "delete_version_after"), ("read", "address"),
    } <= tried  # fmt: skip


def _spelt(flag: argparse.Action) -> str:
    return "-" + flag.option_strings[0].lstrip("-")


ASKED: list[str] = []


class Listener(BaseHTTPRequestHandler):
    """Answers everything with one document, and keeps in ASKED what was asked for."""

    version = "2"

    def answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        path = unquote(self.path.partition("?")[0]).removeprefix("/v1/")
        if not path.startswith("sys/internal/ui/mounts/"):
            ASKED.extend([path, *_strings(json.loads(sent or "null"))])
        mount = {"path": "secret/", "options": {"version": self.version}, "keys": ["k"]}
        more = {"data": {"a": "1"}, "metadata": {"version": 1}, "current_version": 1}
        body = json.dumps({"request_id": "x", "help": "x", "data": {**mount, **more}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


for verb in ("GET", "PUT", "POST", "DELETE", "LIST", "PATCH"):
    setattr(Listener, f"do_{verb}", Listener.answer)


def _strings(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict | list):
        for each in found.values() if isinstance(found, dict) else found:
            yield from _strings(each)


@pytest.fixture(scope="module")
def listener() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def words_of(name: str, command: Command, typed: str) -> list[str]:
    """Return a line that gives typed wherever the command takes a path."""
    words = name.split()
    for action in parser_of("ironkeep", command)._get_positional_actions():
        if action.dest in PATHS:
            words.append(typed)
        elif action.dest == "data":
            words.append("a=b")
    for action in parser_of("ironkeep", command)._actions:
        if action.required and action.option_strings:
            words.append(f"{action.option_strings[0].replace('--', '-', 1)}=1")
    more = {
        "kv metadata patch": ["-max-versions=3"],
        "kv undelete": ["-versions=1"],
        "kv destroy": ["-versions=1"],
        "secrets tune": ["-description=x"],
        "auth tune": ["-description=x"],
    }
    return words + more.get(name, [])


PATHS = {"path", "source", "target", "id", "words"}
TAKE_PATHS = [
    (name, command)
    for name, command in EVERY
    if PATHS & {a.dest for a in parser_of("ironkeep", command)._get_positional_actions()}
    and not name.startswith(("incident", "segment"))
]


def test_all_commands_that_take_a_path_are_looked_at() -> None:
    assert {
        "read", "write", "list", "delete", "patch", "path-help", "kv get", "kv put", "kv patch",
        "kv delete",
        "kv undelete", "kv destroy", "kv list", "kv rollback", "kv metadata get",
        "kv metadata put", "kv metadata patch", "kv metadata delete", "lease lookup",
        "lease renew", "lease revoke", "secrets disable", "secrets tune", "secrets move",
        "auth disable", "auth tune", "auth move", "token capabilities",
    } == {name for name, _ in TAKE_PATHS}  # fmt: skip


@pytest.mark.parametrize(("name", "command"), TAKE_PATHS, ids=[name for name, _ in TAKE_PATHS])
@pytest.mark.parametrize("tail", ["pay ", " pay", "a b/ c", "/pay", "a//b", "A\u00a0b", "%20"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_path_reaches_the_server_as_it_was_typed(
    name: str, command: Command, tail: str, version: str, listener: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if version == "1" and not name.startswith("kv "):
        return
    Listener.version = version
    ASKED.clear()
    for each, value in {"VAULT_ADDR": listener, "VAULT_TOKEN": "root", "HOME": tmp_path}.items():
        monkeypatch.setenv(each, str(value))
    line = words_of(name, command, f"secret/{tail}")
    out, err = io.StringIO(), io.StringIO()
    code = call(line, Terminal(io.BytesIO(), out, err))
    if version == "1" and not ASKED:
        assert "version 1" in err.getvalue() or "version 2" in err.getvalue()
        return
    assert code == 0, err.getvalue()
    ends = (f"/{tail}", f"/{tail}/", f"/{tail}/tune")
    assert any(path.endswith(ends) for path in ASKED), (line, ASKED)
    moved = [path for path in ASKED if path.startswith("secret/")]
    assert all(path.endswith(ends) for path in moved), (line, ASKED)
