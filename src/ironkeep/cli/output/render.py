"""Prints answers: as tables, as JSON or YAML, or as one field.

On a terminal rich draws the tables; in a pipe they are plain aligned columns as Vault prints them,
so that scripts written for Vault keep working. Text from the server never controls the terminal.
An answer that is given only once is shown in full rather than lost.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ironkeep.cli.exits import LOCAL, OK
from ironkeep.cli.failures import NoValue, Refused
from ironkeep.cli.output.documents import JSON, RAW, YAML, written
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest, IronkeepError
from ironkeep.core.text.numbers import dumps

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
_ONCE: Final = ("auth", "wrap_info", "lease_id")
"""An answer with one of these was made for this request and cannot be fetched again."""
_WRAP: Final = {
    "token": "wrapping_token",
    "accessor": "wrapping_accessor",
    "ttl": "wrapping_token_ttl",
    "creation_time": "wrapping_token_creation_time",
    "creation_path": "wrapping_token_creation_path",
}


def table(terminal: Terminal, headers: Sequence[str], rows: Rows) -> None:
    """Print rows under headers."""
    shown = [[terminal.shown(cell) for cell in row] for row in rows]
    if terminal.interactive:
        importlib.import_module("ironkeep.cli.output.pretty").draw(terminal.stdout, headers, shown)
        return
    body = [[cell.replace("\n", "\\n") for cell in row] for row in shown]
    lines = [list(headers), ["-" * len(header) for header in headers], *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        cells = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
        terminal.say("    ".join(cells).rstrip())


def pairs(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print a mapping as a table of keys and values."""
    table(terminal, ("Key", "Value"), [(key, text(value)) for key, value in data.items()])


def record(terminal: Terminal, document: Mapping[str, Any]) -> int:
    """Print a document that the command made itself: one field, in -format, or as a table."""
    if terminal.field:
        return field(terminal, document)
    if terminal.structured:
        return as_json(terminal, document)
    pairs(terminal, document)
    return OK


def text(value: object) -> str:
    """Return a value as a table shows it."""
    if value is None:
        return "n/a"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "[" + " ".join(value) + "]"
    return dumps(value, ensure_ascii=False)


def as_json(terminal: Terminal, document: object) -> int:
    """Print document in the format of -format, by default JSON; return success."""
    kind = terminal.format if terminal.structured else JSON
    terminal.say(written(document, kind, terminal.can_show))
    return OK


def line(terminal: Terminal, document: object) -> None:
    """Print one document of a stream: JSON on one line, or a YAML document."""
    kind = RAW if terminal.format != YAML else YAML
    text = written(document, kind, terminal.can_show)
    terminal.say(f"---\n{text}" if kind == YAML else text)


def value(terminal: Terminal, text: str) -> None:
    """Print a value: unchanged for a program, with a newline on a terminal."""
    if terminal.interactive:
        terminal.say(text)
    else:
        terminal.exact(text)


def field(terminal: Terminal, data: Mapping[str, Any]) -> int:
    """Print the field of -field, with a newline on a terminal only."""
    if terminal.field not in data:
        raise InvalidRequest(f'Field "{terminal.field}" not present in secret')
    found = data[terminal.field]
    value(terminal, found if isinstance(found, str) else dumps(found, ensure_ascii=False))
    return OK


def answer(
    terminal: Terminal, document: Mapping[str, Any] | None, done: str, *, once: bool = False
) -> int:
    """Print an answer with its warnings, or `done` if it has no content.

    `once` means that the answer cannot be fetched again.
    """
    if document is None:
        if terminal.field:
            raise NoValue("the answer has no content, so it has no fields")
        if terminal.structured:
            return as_json(terminal, {})
        terminal.say(f"Success! {done}")
        return OK
    warn(terminal, document)
    once = once or any(document.get(part) for part in _ONCE)
    try:
        return _printed(terminal, document, once=once)
    except OSError as error:
        if not once:
            raise
        # A full disk, or a reader that is gone: print the answer to standard error instead.
        why = error.strerror or type(error).__name__
        terminal.note(f"Standard output failed ({why}). This answer cannot be fetched again:")
        terminal.note(written(document, JSON, str.isascii))
        return LOCAL


def _printed(terminal: Terminal, document: Mapping[str, Any], *, once: bool) -> int:
    if terminal.field:
        data = _fields_once(terminal, document) if once else fields_of(document)
        if terminal.field not in data and once:
            return _whole(terminal, document)
        return field(terminal, data)
    if terminal.structured:
        return as_json(terminal, document)
    pairs(terminal, fields_of(document))
    return OK


def _fields_once(terminal: Terminal, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of an answer, or of the KV secret in it if the field is only there."""
    data = fields_of(document)
    inner = data.get("data")
    if terminal.field in data or not isinstance(inner, dict) or terminal.field not in inner:
        return data
    return inner


def _whole(terminal: Terminal, document: Mapping[str, Any]) -> int:
    """Print an answer in full that lacks the field of -field and cannot be fetched again."""
    terminal.note(
        f'Field "{terminal.field}" is not in the answer. The answer cannot be fetched again, so '
        "all of it is shown."
    )
    as_json(terminal, document)
    return LOCAL


def refused(terminal: Terminal, error: IronkeepError) -> None:
    """Print an error; with -format also as a document, in the form of Vault's errors."""
    fail_document(terminal, *(error.errors if isinstance(error, Refused) else ()) or (str(error),))
    terminal.note(str(error))


def failed(terminal: Terminal, text: str) -> None:
    """Print an error of this machine, as `refused` does."""
    fail_document(terminal, text)
    terminal.note(text)


def fail_document(terminal: Terminal, *errors: str) -> None:
    """Print errors as a document with -format, unless a document was already printed."""
    if terminal.structured and not terminal.answered:
        as_json(terminal, {"errors": list(errors)})


def warn(terminal: Terminal, document: Mapping[str, Any]) -> None:
    """Print the warnings of an answer to standard error."""
    for warning in document.get("warnings") or ():
        terminal.note(f"WARNING! {warning}")


def fields_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an answer in one level: wrapping, login, lease and data, as in Vault."""
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
    """Print the keys of a list; raise NoValue if it is empty."""
    found = ((document or {}).get("data") or {}).get("keys")
    if not found:
        if terminal.structured:
            as_json(terminal, [])
        raise NoValue(f"No value found at {path}")
    warn(terminal, document or {})
    if terminal.structured:
        return as_json(terminal, found)
    table(terminal, ("Keys",), [(str(key),) for key in found])
    return OK


def lines(terminal: Terminal, found: Iterable[str]) -> int:
    """Print one word per line, or a JSON list."""
    words = list(found)
    if terminal.structured:
        return as_json(terminal, words)
    for word in words:
        terminal.say(word)
    return OK
