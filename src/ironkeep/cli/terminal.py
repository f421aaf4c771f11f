"""The three streams: what is said where, and how secrets are asked for.

Answers go to standard output, everything else to standard error. A secret is read without echo, or
from standard input when the caller says `-`; it is never taken from a stream that nobody named.
"""

import getpass
import sys
from typing import BinaryIO, Final, TextIO

from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.secret import Secret

MAX_INPUT: Final = 32 << 20
"""Bytes read from standard input or a file: what a server takes as one request."""

_SAFE: Final = {"\n", "\t"}


class Terminal:
    """Where one run of the command reads and writes."""

    def __init__(self, stdin: BinaryIO, stdout: TextIO, stderr: TextIO) -> None:
        self._stdin: Final = stdin
        self.stdout: Final = stdout
        self.stderr: Final = stderr
        self.format: str = "table"
        self.field: str = ""
        self._read = False

    @classmethod
    def standard(cls) -> "Terminal":
        """Return the process's own streams."""
        return cls(sys.stdin.buffer, sys.stdout, sys.stderr)

    @property
    def interactive(self) -> bool:
        """Whether standard output is shown to somebody."""
        return self.stdout.isatty()

    @property
    def watched(self) -> bool:
        """Whether standard error is shown to somebody: progress is drawn there."""
        return self.stderr.isatty()

    def say(self, text: str) -> None:
        """Print an answer, and a newline."""
        print(text, file=self.stdout, flush=True)

    def note(self, text: str) -> None:
        """Print what is not the answer: a warning, an error, a hint."""
        print(printable(text), file=self.stderr, flush=True)

    def read(self) -> bytes:
        """Return all of standard input, once; raise TooLarge past MAX_INPUT."""
        if self._read:
            raise InvalidRequest("standard input (-) can be used for one value only")
        self._read = True
        data = self._stdin.read(MAX_INPUT + 1)
        if len(data) > MAX_INPUT:
            raise TooLarge(f"standard input holds more than {MAX_INPUT} bytes")
        return data

    def secret(self, given: str | None, what: str) -> Secret:
        """Return a secret: given, standard input when given is `-`, or typed without echo."""
        if given == "-":
            return Secret(self.read().strip())
        if given:
            return Secret(given.encode())
        if not self._stdin.isatty():
            raise InvalidRequest(
                f"{what} is needed and there is no terminal to ask on: give `-` to have it read "
                "from standard input"
            )
        return Secret(getpass.getpass(f"{what} (will be hidden): ", self.stderr).strip().encode())


def printable(text: str) -> str:
    """Return text with control characters spelt out: what is stored must not drive a terminal."""
    if text.isprintable():
        return text
    return "".join(
        char if char in _SAFE or char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )
