"""Parse HCL version 1 or JSON into one small tree, strictly.

Policies and server configuration share this parser. It does not merge, drop or guess anything:
repeated blocks stay separate and in order, and an attribute given twice in one body is an error,
because a parser that keeps the last one can lose a `deny`. Spec: github.com/hashicorp/hcl v1; a
text whose first character is `{` is JSON (RFC 8259).

    body   = { item [","] }
    item   = key "=" value | key { label } "{" body "}"      key, label = word | string
    value  = string | heredoc | number | true | false | "[" [ value { "," value } [","] ] "]"
           | "{" body "}"
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.policy.hcl_lexer import (
    MAX_NUMBER_LENGTH,
    Source,
    Token,
    number,
    open_source,
    tokenise,
)

MAX_DEPTH: Final = 32
"""Nesting of blocks, objects and lists; real policies use four levels."""

MAX_LABELS: Final = 3
"""Labels of a block; no stanza of Vault's has more than two."""

Value: TypeAlias = "str | int | float | bool | tuple[Value, ...] | Body | None"


@dataclass(frozen=True, slots=True)
class Item:
    """One `key = value` or `key "label" { … }`.

    Line and column count from 1; they are 0 in JSON, whose parser gives no positions. `is_block` is
    true if no `=` is between the key and its braces.
    """

    key: str
    labels: tuple[str, ...]
    value: Value
    line: int = 0
    column: int = 0
    is_block: bool = False

    def error(self, message: str) -> InvalidRequest:
        """Build the error that points at this item."""
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        return InvalidRequest(f"{place}{message}")

    def body(self) -> "Body":
        """Return the body of a block or object; raise InvalidRequest for any other value."""
        if not isinstance(self.value, Body):
            raise self.error(f"{self.key!r} must be a block")
        return self.value


@dataclass(frozen=True, slots=True)
class Body:
    """The items between two braces, or of the whole text, in their order."""

    items: tuple[Item, ...]

    def get(self, key: str) -> Item | None:
        """Return the only item of that key, or None; raise InvalidRequest if there are two."""
        found = [item for item in self.items if item.key == key]
        if len(found) > 1:
            raise found[1].error(f"{key!r} is given twice")
        return found[0] if found else None

    def blocks(self, key: str, label_count: int) -> Iterator[Item]:
        """Yield each block of that key with all its labels.

        In JSON, and in HCL objects, the labels are the keys of nested objects, and a list stands
        for several blocks: `{"listener": [{"tcp": {…}}]}` is `listener "tcp" {…}`.
        """
        for item in self.items:
            if item.key == key:
                yield from _expand(item, label_count)

    def plain(self) -> dict[str, object]:
        """Return the body as a dict of JSON values; a labelled or repeated key is an error."""
        members: dict[str, object] = {}
        for item in self.items:
            if item.labels or item.key in members:
                raise item.error(f"{item.key!r} must be one plain value")
            members[item.key] = plain(item.value)
        return members


def plain(value: Value) -> object:
    """Return value as JSON-like Python: dict, list, str, int, float, bool or None."""
    if isinstance(value, Body):
        return value.plain()
    if isinstance(value, tuple):
        return [plain(element) for element in value]
    return value


def parse(text: str) -> Body:
    """Parse HCL, or JSON when the first character that is not white space is `{`.

    Raises InvalidRequest with line and column, or TooLarge past a limit of size, depth or count.
    """
    source = open_source(text)
    if text.lstrip(" \t\r\n").startswith("{"):
        return _parse_json(text)
    return _Parser(source).document()


def _expand(item: Item, label_count: int) -> Iterator[Item]:
    if isinstance(item.value, tuple):
        for element in item.value:
            yield from _expand(replace(item, value=element), label_count)
        return
    body = item.body()
    if len(item.labels) > label_count:
        raise item.error(f"{item.key!r} takes {label_count} label(s)")
    if len(item.labels) == label_count:
        yield item
        return
    for child in body.items:
        labels = (*item.labels, child.key, *child.labels)
        yield from _expand(replace(child, key=item.key, labels=labels), label_count)


class _Parser:
    """Recursive descent over the tokens; recursion is bounded by MAX_DEPTH."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tokens = tokenise(source)
        self._next = 0

    def document(self) -> Body:
        """Parse the whole text."""
        body = self._body(closing="end", depth=1)
        assert self._next == len(self._tokens)
        return body

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _unexpected(self, token: Token, wanted: str) -> InvalidRequest:
        # A string is not quoted: it may be a password in the server's configuration.
        kinds = {"end": "the end of the text", "string": "a string", "number": "a number"}
        got = kinds.get(token.kind, repr(token.value[:40]))
        return self._source.error(token.offset, f"expected {wanted}, found {got}")

    def _deeper(self, token: Token, depth: int) -> int:
        if depth > MAX_DEPTH:
            line, column = self._source.place(token.offset)
            raise TooLarge(f"line {line}, column {column}: nested deeper than {MAX_DEPTH}")
        return depth + 1

    def _body(self, closing: str, depth: int) -> Body:
        items: list[Item] = []
        repeatable: dict[str, bool] = {}
        while (token := self._take()).kind != closing:
            if token.kind not in {"word", "string"}:
                raise self._unexpected(token, "a key" if closing == "end" else "a key or '}'")
            item = self._item(token, depth)
            # Only blocks may repeat; a second attribute would silently override the first.
            if not (item.is_block and repeatable.get(item.key, True)) and item.key in repeatable:
                raise item.error(f"{item.key!r} is given twice")
            repeatable[item.key] = item.is_block
            items.append(item)
            if self._tokens[self._next].kind == ",":
                self._next += 1
        return Body(tuple(items))

    def _item(self, key: Token, depth: int) -> Item:
        line, column = self._source.place(key.offset)
        labels: list[str] = []
        while (token := self._take()).kind in {"word", "string"}:
            labels.append(token.value)
            if len(labels) > MAX_LABELS:
                raise self._source.error(token.offset, f"more than {MAX_LABELS} labels")
        if token.kind == "{":
            body = self._body("}", self._deeper(token, depth))
            return Item(key.value, tuple(labels), body, line, column, is_block=True)
        if token.kind != "=" or labels:
            raise self._unexpected(token, "'{'" if labels else "'=' or '{'")
        return Item(key.value, (), self._value(self._take(), depth), line, column)

    def _value(self, token: Token, depth: int) -> Value:
        if token.kind == "string":
            return token.value
        if token.kind == "number":
            return number(self._source, token)
        if token.kind == "word" and token.value in {"true", "false"}:
            return token.value == "true"
        if token.kind == "[":
            return self._list(self._deeper(token, depth))
        if token.kind == "{":
            return self._body("}", self._deeper(token, depth))
        raise self._unexpected(token, "a value")

    def _list(self, depth: int) -> tuple[Value, ...]:
        values: list[Value] = []
        while (token := self._take()).kind != "]":
            values.append(self._value(token, depth))
            if (after := self._take()).kind == "]":
                break
            if after.kind != ",":
                raise self._unexpected(after, "',' or ']'")
        return tuple(values)


def _parse_json(text: str) -> Body:
    try:
        document = json.loads(
            text,
            object_pairs_hook=_json_object,
            parse_int=_json_int,
            parse_float=_json_float,
            parse_constant=_json_constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise TooLarge(f"nested deeper than {MAX_DEPTH}") from None
    tree = _json_value(document, 1)
    assert isinstance(tree, Body)
    return tree


def _json_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for key, value in pairs:
        if key in members:
            raise InvalidRequest(f"{key!r} is given twice")
        members[key] = value
    return members


def _json_int(digits: str) -> int:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise InvalidRequest("a number is too long")
    return int(digits)


def _json_float(digits: str) -> float:
    if len(digits) > MAX_NUMBER_LENGTH or math.isinf(value := float(digits)):
        raise InvalidRequest("a number is too long or too large")
    return value


def _json_constant(name: str) -> object:
    raise InvalidRequest(f"{name} is not JSON")


def _json_text(text: str) -> str:
    # JSON escapes can produce characters that open_source refuses in the text itself.
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest("a JSON string contains a NUL or an unpaired surrogate")
    return text


def _json_value(value: object, depth: int) -> Value:
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise TooLarge(f"nested deeper than {MAX_DEPTH}")
        if isinstance(value, list):
            return tuple(_json_value(element, depth + 1) for element in value)
        return Body(
            tuple(
                Item(_json_text(key), (), _json_value(member, depth + 1))
                for key, member in value.items()
            )
        )
    if isinstance(value, str):
        return _json_text(value)
    assert value is None or isinstance(value, bool | int | float)
    return value
