"""The `Date` header of every answer, formatted once a second.

Source: RFC 9110, 6.6.1 (a server with a clock sends it) and 5.6.7 (its form). The caches of Vault's
and OpenBao's agents read it and do not keep an answer without it.
"""

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

Header = tuple[bytes, bytes]


class HttpDate:
    """Caches the header of the current second, so that most answers only read the clock."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds: Final = seconds
        self._second = -1
        self._value = b""

    def value(self) -> bytes:
        """Return the value of the header, such as `Sun, 06 Nov 1994 08:49:37 GMT`."""
        second = int(self._seconds())
        if second != self._second:
            self._second, self._value = second, formatdate(second, usegmt=True).encode()
        return self._value

    def header(self) -> Header:
        """Return the header as name and value."""
        return b"date", self.value()


DATE: Final = HttpDate(time.time)  # noqa: TID251 - shown to clients; nothing is decided by it
