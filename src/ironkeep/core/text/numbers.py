"""JSON numbers that keep their spelling: 1.10 is not 1.1, and 1e3 is not 1000.

A number with a fraction or an exponent is read as a `Spelt`, a Decimal that remembers its text.
Encoders of request data and of stored data take `core.text.number_hook.encoded` as their hook.
Whole numbers are Python ints, except -0, which would lose its sign.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

MAX_NUMBER: Final = 1_024
"""Characters of a number: the time to read or write one grows with the square of its length."""


class Spelt(Decimal):
    """A number that remembers its text."""

    text: str

    def __new__(cls, text: str) -> "Spelt":
        """Return text as a number; raise ValueError if it is too long or out of range."""
        if len(text) > MAX_NUMBER:
            raise ValueError("number")
        try:
            number = super().__new__(cls, text)
        except InvalidOperation:
            raise ValueError("number") from None
        number.text = text
        return number

    def __str__(self) -> str:
        """Return the number as it was written."""
        return self.text


def whole(text: str) -> "int | Spelt":
    """Return a whole number, or a Spelt for -0; raise ValueError if it is too long."""
    if len(text) > MAX_NUMBER:
        raise ValueError("number")
    return int(text) if text != "-0" else Spelt(text)


def loads(text: str | bytes) -> Any:
    """Return a JSON document whose numbers keep their spelling; raise ValueError."""
    return json.loads(text, parse_float=Spelt, parse_int=whole)


def dumps(document: object, **shape: Any) -> str:
    """Return document as JSON, its numbers in their spelling; shape is passed to json.dumps."""
    plain = json.dumps(document, default=_text, **shape)
    # The mark is longer than any run of "~" in the document, so it encloses only numbers.
    mark = "~" * (1 + max(map(len, re.findall("~+", plain)), default=0))
    text = json.dumps(document, default=lambda value: f"{mark}{_text(value)}{mark}", **shape)
    return re.sub(f'"{mark}([^"~]*){mark}"', r"\1", text)


def _text(value: object) -> str:
    if isinstance(value, Spelt):
        return value.text
    raise TypeError(f"{type(value).__name__} is not JSON")
