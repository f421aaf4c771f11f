"""The msgspec encoder hook for numbers that keep their spelling (core/text/numbers.py).

A module of its own: the command line uses `numbers` too, and starts without importing msgspec.
"""

from typing import Any

import msgspec

from ironkeep.core.text.numbers import Spelt


def encoded(value: Any) -> Any:
    """Return the encoding of a Spelt; raise NotImplementedError for any other value."""
    if isinstance(value, Spelt):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError
