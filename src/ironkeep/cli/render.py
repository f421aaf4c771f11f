"""Answers as people and programs read them: tables, JSON, or one field.

On a terminal tables are drawn by rich; piped, they are plain aligned columns as Vault prints them,
so that scripts written for it go on working. Control characters from the server never reach a
terminal as they are.
"""

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ironkeep.cli.exits import OK
from ironkeep.cli.failures import NoValue
from ironkeep.cli.terminal import Terminal, printable
from ironkeep.core.errors import InvalidRequest

Rows = Sequence[Sequence[str]]

_AUTH: Final = {
    "client_token": "token",
    "accessor": "token_accessor",
    "lease_duration": "token_duration",
    "renewable": "token_renewable",
    "token_policies": "token_policies",
    "identity_policies": "identity_policies",
    "policies": "policies",
}
_WRAP: Final = {
    "token": "wrapping_token",
    "accessor": "wrapping_accessor",
    "ttl": "wrapping_token_ttl",
    "creation_time": "wrapping_token_creation_time",
    "creation_path": "wrapping_token_creation_path",
}


def table(terminal: Terminal, headers: Sequence[str], rows: Rows) -> None:
    """Print rows under headers."""
    shown = [[printable(cell) for cell in row] for row in rows]
    if terminal.interactive:
        importlib.import_module("ironkeep.cli.pretty").draw(terminal.stdout, headers, shown)
        return
    body = [[cell.replace("\n", "\\n") for cell in row] for row in shown]
    lines = [list(headers), ["-" * len(header) for header in headers], *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        cells = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
        terminal.say("    ".join(cells).rstrip())


def pairs(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print a mapping as keys and values."""
    table(terminal, ("Key", "Value"), [(key, text(value)) for key, value in data.items()])


def text(value: object) -> str:
    """Return a value as a table shows it."""
    if value is None:
        return "n/a"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "[" + " ".join(value) + "]"
    return json.dumps(value, ensure_ascii=False)


def as_json(terminal: Terminal, document: object) -> int:
    """Print document as JSON; return success."""
    terminal.say(json.dumps(document, indent=2, ensure_ascii=not terminal.interactive))
    return OK


def field(terminal: Terminal, data: Mapping[str, Any]) -> int:
    """Print the field that was asked for, without a newline when nobody watches."""
    if terminal.field not in data:
        raise InvalidRequest(f'Field "{terminal.field}" not present in secret')
    value = data[terminal.field]
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if terminal.interactive:
        terminal.say(printable(shown))
    else:
        terminal.stdout.write(shown)
        terminal.stdout.flush()
    return OK


def answer(terminal: Terminal, document: Mapping[str, Any] | None, done: str) -> int:
    """Print an answer with its warnings; done is what to say when it has no content."""
    if document is None:
        if terminal.field:
            raise NoValue("the answer has no content, so it has no fields")
        if terminal.format == "json":
            return OK
        terminal.say(f"Success! {done}")
        return OK
    warn(terminal, document)
    if terminal.field:
        return field(terminal, fields_of(document))
    if terminal.format == "json":
        return as_json(terminal, document)
    pairs(terminal, fields_of(document))
    return OK


def warn(terminal: Terminal, document: Mapping[str, Any]) -> None:
    """Print the warnings of an answer to standard error."""
    for warning in document.get("warnings") or ():
        terminal.note(f"WARNING! {warning}")


def fields_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an answer tells, flat: wrapping, login, lease and data as Vault names them."""
    wrap, auth = document.get("wrap_info"), document.get("auth")
    if wrap:
        return {name: wrap[key] for key, name in _WRAP.items() if key in wrap}
    if auth:
        found = {name: auth[key] for key, name in _AUTH.items() if auth.get(key) is not None}
        meta = auth.get("metadata") or {}
        return found | {f"token_meta_{key}": value for key, value in meta.items()}
    data = document.get("data")
    if data is None and "request_id" not in document:
        return dict(document)
    lease: dict[str, Any] = {}
    if document.get("lease_id"):
        lease = {
            "lease_id": document["lease_id"],
            "lease_duration": f"{document.get('lease_duration', 0)}s",
            "lease_renewable": document.get("renewable", False),
        }
    elif document.get("lease_duration"):
        lease = {"refresh_interval": f"{document['lease_duration']}s"}
    return lease | (data if isinstance(data, dict) else {})


def keys(terminal: Terminal, document: Mapping[str, Any] | None, path: str) -> int:
    """Print the keys of a list; raise NoValue when there is none."""
    found = ((document or {}).get("data") or {}).get("keys")
    if not found:
        raise NoValue(f"No value found at {path}")
    warn(terminal, document or {})
    if terminal.format == "json":
        return as_json(terminal, found)
    table(terminal, ("Keys",), [(str(key),) for key in found])
    return OK


def lines(terminal: Terminal, found: Iterable[str]) -> int:
    """Print one word a line, or a JSON list."""
    words = list(found)
    if terminal.format == "json":
        return as_json(terminal, words)
    for word in words:
        terminal.say(printable(word))
    return OK
