"""Answers as programs read them: JSON, the same on one line (`raw`), and YAML.

What a terminal could not show, or would be driven by, is escaped in the way of the format, so that
what is printed stays valid and means the same. YAML is written in block style, with strings quoted
as in JSON wherever a plain one could be taken for something else (YAML 1.2.2, 7.3; YAML 1.1's
booleans are quoted too, for its readers).
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from ironkeep.core.text.numbers import dumps
from ironkeep.core.text.visible import is_drawn

JSON: Final = "json"
RAW: Final = "raw"
YAML: Final = "yaml"

Shown = Callable[[str], bool]
"""Whether the stream can show a character."""

_PLAIN: Final = re.compile(r"[A-Za-z/_][A-Za-z0-9/_.-]*", re.ASCII)
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def written(document: object, kind: str, can_show: Shown) -> str:
    """Return document in one of the formats above, for a stream that shows what can_show says."""
    if kind == YAML:
        return "\n".join(_yaml(document, can_show))
    shape: dict[str, Any] = {"separators": (",", ":")} if kind == RAW else {"indent": 2}
    return _escaped(dumps(document, ensure_ascii=False, **shape), can_show, json.dumps)


def _escaped(text: str, can_show: Shown, spelt: Callable[[str], str]) -> str:
    """Return text with what cannot be shown as `spelt` writes it inside of quotes.

    Outside of strings both formats are ASCII, so what is escaped stands in one.
    """
    if text.isascii():
        return text
    return "".join(
        char if char == "\n" or (is_drawn(char) and can_show(char)) else spelt(char)[1:-1]
        for char in text
    )


def _yaml(value: object, can_show: Shown) -> Iterator[str]:
    """Yield the lines of a value that stands by itself."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{_scalar(str(key), can_show)}:", item, can_show)
    elif isinstance(value, list | tuple) and value:
        for item in value:
            yield from _entry("-", item, can_show)
    else:
        yield _scalar(value, can_show)


def _entry(mark: str, item: object, can_show: Shown) -> Iterator[str]:
    lines = _yaml(item, can_show)
    if not (isinstance(item, dict | list | tuple) and item):
        yield f"{mark} {next(lines)}"
        return
    yield mark
    yield from (f"  {line}" for line in lines)


def _scalar(value: object, can_show: Shown) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _escaped(dumps(value, ensure_ascii=False), can_show, _yaml_spelt)


def _yaml_spelt(char: str) -> str:
    """Return a character as YAML escapes it: by its number, and no pair of surrogates."""
    number = ord(char)
    return f'"\\U{number:08X}"' if number > 0xFFFF else f'"\\u{number:04x}"'  # noqa: PLR2004 - BMP
