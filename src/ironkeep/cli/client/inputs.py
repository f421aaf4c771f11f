r"""Data from arguments, as Vault's CLI builds it: `key=value`, `key=@file`, `key=-`, `-`, `@file`.

A value `@file` is read from that file and `-` from standard input, so that a secret need not appear
in the process list; `\@` is a literal `@`. A value of a single line loses its end of line, so it is
the same whether typed, piped or read from a file. `-` and `@file` without a key are a whole JSON
object. A repeated key becomes a list.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ironkeep.cli.output.terminal import MAX_INPUT, Terminal, line_of
from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.text.numbers import loads


def data_of(words: Sequence[str], terminal: Terminal) -> dict[str, Any]:
    """Return the data in words; raise InvalidRequest, which quotes no value."""
    data: dict[str, Any] = {}
    for number, word in enumerate(words, start=1):
        if word == "-" or word.startswith("@"):
            data.update(_object(content_of(word, terminal)))
            continue
        key, equals, value = word.partition("=")
        if not (equals and key):
            raise InvalidRequest(
                f"argument {number} of the data is not key=value, @file or - (standard input)"
            )
        _add(data, key, _value(key, value, terminal))
    return data


def pairs_of(words: Sequence[str] | None, flag: str) -> dict[str, str]:
    """Return the values of a repeated flag as a dict; raise InvalidRequest unless all are pairs."""
    pairs = {}
    for word in words or ():
        key, equals, value = word.partition("=")
        if not (equals and key):
            raise InvalidRequest(f"{flag} takes key=value")
        pairs[key] = value
    return pairs


def content_of(word: str, terminal: Terminal) -> bytes:
    """Return the content that `-` or `@file` names; raise InvalidRequest or TooLarge."""
    if word == "-":
        return terminal.read()
    return read_file(Path(word.removeprefix("@")), MAX_INPUT)


def read_file(path: Path, limit: int) -> bytes:
    """Return the content of a file; raise TooLarge past limit bytes."""
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(f"{path} is longer than {limit} bytes")
    return content


def read_plain(path: Path, limit: int) -> bytes:
    """Return the content of a plain file that somebody else made.

    Raises InvalidRequest for a pipe, a device or a directory, also behind a symbolic link, without
    waiting for it, and TooLarge past limit bytes, without reading them.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise InvalidRequest(f"{path} is not a plain file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(limit + 1) if found.st_size <= limit else b""
    if found.st_size > limit or len(content) > limit:
        raise TooLarge(f"{path} is longer than {limit} bytes")
    return content


def text_of(word: str, terminal: Terminal) -> str:
    """Return the text that `-` or `@file` names; raise InvalidRequest unless it is UTF-8."""
    return text_of_value(content_of(word, terminal))


def text_of_value(value: bytes) -> str:
    """Return value as text; raise InvalidRequest, without quoting it, unless it is UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("a value is not UTF-8: encode binary values, e.g. in base64") from None


def _value(key: str, word: str, terminal: Terminal) -> str:
    if word == "-":
        return text_of_value(terminal.value(key))
    if word.startswith("@"):
        return text_of_value(line_of(content_of(word, terminal)))
    return "@" + word[2:] if word.startswith("\\@") else word


def _add(data: dict[str, Any], key: str, value: str) -> None:
    if key not in data:
        data[key] = value
    elif isinstance(data[key], list):
        data[key].append(value)
    else:
        data[key] = [data[key], value]


def _object(raw: bytes) -> dict[str, Any]:
    try:
        document = loads(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest("standard input or the file is not a JSON object") from None
    if not isinstance(document, dict):
        raise InvalidRequest("standard input or the file is not a JSON object")
    return document
