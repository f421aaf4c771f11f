"""The three streams: what is said where, and how secrets are asked for.

Answers go to standard output, everything else to standard error. This is the only place where the
command writes to them, so that what others wrote never drives a terminal: `say` and `note` spell
out what would not be seen, and what the terminal's encoding cannot show. A value for a program goes
out as it is, by `exact`.

A secret is read without echo, or from standard input when the caller says `-`; it is never taken
from a stream that nobody named.
"""

import getpass
import os
import select
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Final, TextIO

from ironkeep.config import environment
from ironkeep.core.errors import InvalidRequest, TooLarge, Unavailable
from ironkeep.core.secret import Secret
from ironkeep.core.text.visible import visible

MAX_INPUT: Final = 32 << 20
"""Bytes read from standard input or a file: what a server takes as one request."""

_LINES: Final = "\n\t"


@dataclass(frozen=True, slots=True)
class Painted:
    """A word that is shown in a style, the parameters of SGR (ECMA-48), where somebody watches."""

    text: str
    style: str


class Terminal:
    """Where one run of the command reads and writes."""

    def __init__(self, stdin: BinaryIO, stdout: TextIO, stderr: TextIO) -> None:
        self._stdin: Final = stdin
        self.stdout: Final = stdout
        self.stderr: Final = stderr
        self.format: str = "table"
        self.field: str = ""
        self.answered = False
        """Whether standard output has got anything yet."""
        self._read = False
        self._closed = False
        self._no_input = False

    @classmethod
    def standard(cls) -> "Terminal":
        """Return the process's own streams; those that are closed lead nowhere."""
        made = cls(
            sys.stdin.buffer if sys.stdin else BytesIO(),
            sys.stdout or open(os.devnull, "w", encoding="utf-8"),  # noqa: SIM115, PTH123
            sys.stderr or open(os.devnull, "w", encoding="utf-8"),  # noqa: SIM115, PTH123
        )
        made._closed = sys.stdout is None
        made._no_input = sys.stdin is None
        return made

    @property
    def interactive(self) -> bool:
        """Whether standard output is shown to somebody."""
        return self.stdout.isatty()

    @property
    def watched(self) -> bool:
        """Whether standard error is shown to somebody: progress is drawn there."""
        return self.stderr.isatty()

    @property
    def coloured(self) -> bool:
        """Whether colours are wanted: at a terminal that has them, and without NO_COLOR."""
        wanted = not environment("NO_COLOR") and environment("TERM") != "dumb"
        return wanted and self.interactive

    @property
    def structured(self) -> bool:
        """Whether a program reads the answer: JSON or YAML, and no words between."""
        return self.format != "table"

    def say(self, *parts: str | Painted) -> None:
        """Print an answer, and a newline."""
        self.answered = True
        text = "".join(self._styled(part) for part in parts)
        with _naming_output():
            print(text, file=self.stdout, flush=True)

    def note(self, text: str) -> None:
        """Print what is not the answer: a warning, an error, a hint."""
        print(_encodable(visible(text, _LINES), self.stderr), file=self.stderr, flush=True)

    def redraw(self, text: str) -> None:
        """Replace the line of progress on standard error; "" takes it back."""
        self.stderr.write(f"\r{_encodable(visible(text), self.stderr)}\033[K")
        self.stderr.flush()

    def exact(self, text: str) -> None:
        """Print a value for a program: UTF-8 whatever the locale, and nothing behind it."""
        self.answered = True
        raw = getattr(self.stdout, "buffer", None)
        with _naming_output():
            self.stdout.flush()
            if raw is None:
                self.stdout.write(text)
            else:
                raw.write(text.encode("utf-8", "surrogatepass"))
                raw.flush()
            self.stdout.flush()

    def can_show(self, char: str) -> bool:
        """Return whether standard output has a character; in a pipe only ASCII is safe."""
        return char.isascii() or (self.interactive and _encodable(char, self.stdout) == char)

    def shown(self, text: str) -> str:
        """Return text as `say` prints it."""
        return _encodable(visible(text, _LINES), self.stdout)

    def require_reader(self) -> None:
        """Raise Unavailable when nobody can read the answer: what is shown once would be lost."""
        if self._closed:
            raise Unavailable("standard output is closed: nothing was asked for")
        with suppress(AttributeError, OSError, ValueError):
            number = self.stdout.fileno()
            if stat.S_ISFIFO(os.fstat(number).st_mode) or stat.S_ISSOCK(os.fstat(number).st_mode):
                poll = select.poll()
                poll.register(number, select.POLLOUT)
                gone = any(event & select.POLLERR for _, event in poll.poll(0))
                if gone:
                    raise Unavailable("nobody reads standard output: nothing was asked for")

    def read(self) -> bytes:
        """Return all of standard input, once; raise TooLarge past MAX_INPUT."""
        if self._read:
            raise InvalidRequest("standard input (-) can be used for one value only")
        if self._no_input:
            raise InvalidRequest("standard input is closed: there is no value to read from it")
        self._read = True
        data = self._stdin.read(MAX_INPUT + 1)
        if len(data) > MAX_INPUT:
            raise TooLarge(f"standard input holds more than {MAX_INPUT} bytes")
        return data

    def value(self, what: str) -> bytes:
        """Return one value from standard input; where somebody types, one line without echo."""
        if not self._stdin.isatty():
            return line_of(self.read())
        return self.hidden(what)

    def secret(self, given: str | None, what: str) -> Secret:
        """Return a secret: given, standard input when given is `-`, or typed without echo."""
        if given == "-":
            return Secret(self.value(what))
        if given:
            return Secret(given.encode("utf-8", "surrogateescape"))
        if not self._stdin.isatty():
            raise InvalidRequest(
                f"{what} is needed and there is no terminal to ask on: give `-` to have it read "
                "from standard input"
            )
        return Secret(self.hidden(what))

    def key(self, given: str | None, what: str) -> Secret:
        """Return a token or a share as `secret` does: no blank around it is part of it."""
        return Secret(self.secret(given, what).reveal().strip())

    def hidden(self, what: str) -> bytes:
        """Return one line typed without echo; raise InvalidRequest when nothing is (Ctrl-D)."""
        try:
            typed = getpass.getpass(f"{what} (will be hidden): ", self.stderr)
        except EOFError:
            self.note("")
            raise InvalidRequest(f"{what}: nothing was given") from None
        return typed.encode("utf-8", "surrogateescape")

    def _styled(self, part: str | Painted) -> str:
        if isinstance(part, str):
            return self.shown(part)
        text = self.shown(part.text)
        return f"\x1b[{part.style}m{text}\x1b[0m" if self.coloured else text


@contextmanager
def _naming_output() -> Iterator[None]:
    """Name standard output in what the system says of it (a full disk), as files are named."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = "standard output"
        raise


def line_of(data: bytes) -> bytes:
    """Return data without its end of line, if one line is all that it is.

    So a value is the same whether it is typed, piped by `echo` or kept by an editor. Several lines
    are a document (a key in PEM, a configuration), and stay as they are to the byte.
    """
    if data.count(b"\n") != 1 or not data.endswith(b"\n"):
        return data
    return data[:-1].removesuffix(b"\r")


def _encodable(text: str, stream: TextIO) -> str:
    """Return text with what the stream's encoding does not have spelt out."""
    if text.isascii():
        return text
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
