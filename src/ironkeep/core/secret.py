"""Secret values that cannot be shown by accident.

A `Secret` has no useful repr, str, format, hash, comparison or serialisation. `reveal()` is the
only access to its bytes; the pipeline, connectors and cryptographic code call it.
"""

import hmac
from typing import Final, NoReturn


class Secret:
    """Bytes that must not reach a log, an error, a trace or an audit entry."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value: Final = value

    def reveal(self) -> bytes:
        """Return the bytes; review every caller."""
        return self._value

    def equals(self, other: bytes) -> bool:
        """Return whether the bytes equal other, in constant time."""
        return hmac.compare_digest(self._value, other)

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "Secret(…)"

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("compare secrets with equals()")

    def __hash__(self) -> NoReturn:
        raise TypeError("a Secret is not a key")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret does not leave the process")
