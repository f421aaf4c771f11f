"""Answers as programs read them: JSON, JSON on one line (`raw`), and YAML.

Characters that a terminal cannot show or would act on are escaped by the rules of the format, so
the output stays valid and keeps its meaning. YAML is written in block style, with strings quoted as
in JSON wherever a plain one could be read as another type (YAML 1.2.2, 7.3; the booleans of YAML
1.1 are quoted too, for its readers).
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
"""Tells whether the stream can show a character."""

_PLAIN: Final = re.compile(r"[A-Za-z/_][A-Za-z0-9/_.-]*", re.ASCII)
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def written(document: object, kind: str, can_show: Shown) -> str:
    """Return document in one of the formats above, with characters escaped unless can_show them."""
    if kind == YAML:
        return "\n".join(_yaml(document, can_show))
    shape: dict[str, Any] = {"separators": (",", ":")} if kind == RAW else {"indent": 2}
    return _escaped(dumps(document, ensure_ascii=False, **shape), can_show, json.dumps)


def _escaped(text: str, can_show: Shown, spelt: Callable[[str], str]) -> str:
    """Return text with every character that cannot be shown escaped by `spelt`.

    Both formats are ASCII outside of strings, so each escaped character is inside one.
    """
    if text.isascii():
        return text
    return "".join(
        char if char == "\n" or (is_drawn(char) and can_show(char)) else spelt(char)[1:-1]
        for char in text
    )


def _yaml(value: object, can_show: Shown) -> Iterator[str]:
    """Yield the lines of a value without a key."""
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
    """Return a character as YAML escapes it: by its code point, not by a surrogate pair."""
    number = ord(char)
    return f'"\\U{number:08X}"' if number > 0xFFFF else f'"\\u{number:04x}"'  # noqa: PLR2004 - BMP
