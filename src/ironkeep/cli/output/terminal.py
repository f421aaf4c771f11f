"""The three standard streams, and the input of secrets.

Answers go to standard output, all other messages to standard error. Only this module writes to
them, so that text from others never controls the terminal: `say` and `note` escape invisible
characters and those that the terminal's encoding lacks. `exact` prints a value for a program
unchanged.

A secret is typed without echo, or read from standard input if the user gives `-`; standard input is
never read for a secret unasked.
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

from ironkeep.config.environment import environment
from ironkeep.core.errors import InvalidRequest, TooLarge, Unavailable
from ironkeep.core.secret import Secret
from ironkeep.core.text.visible import visible

MAX_INPUT: Final = 32 << 20
"""Bytes read from standard input or a file: the limit of one request to a server."""

_LINES: Final = "\n\t"


@dataclass(frozen=True, slots=True)
class Painted:
    """A word with a style for terminals: the parameters of SGR (ECMA-48)."""

    text: str
    style: str


class Terminal:
    """The streams of one run of the command."""

    def __init__(self, stdin: BinaryIO, stdout: TextIO, stderr: TextIO) -> None:
        self._stdin: Final = stdin
        self.stdout: Final = stdout
        self.stderr: Final = stderr
        self.format: str = "table"
        self.field: str = ""
        self.answered = False
        """Whether anything was printed to standard output."""
        self._read = False
        self._closed = False
        self._no_input = False

    @classmethod
    def standard(cls) -> "Terminal":
        """Return the process's streams; closed ones read as empty and discard their output."""
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
        """Whether standard output is a terminal."""
        return self.stdout.isatty()

    @property
    def watched(self) -> bool:
        """Whether standard error is a terminal, so that progress is drawn there."""
        return self.stderr.isatty()

    @property
    def coloured(self) -> bool:
        """Whether to use colours: on a terminal that has them, and without NO_COLOR."""
        wanted = not environment("NO_COLOR") and environment("TERM") != "dumb"
        return wanted and self.interactive

    @property
    def structured(self) -> bool:
        """Whether the answer is printed as JSON or YAML, without other text."""
        return self.format != "table"

    def say(self, *parts: str | Painted) -> None:
        """Print a part of the answer and a newline."""
        self.answered = True
        text = "".join(self._styled(part) for part in parts)
        with _naming_output():
            print(text, file=self.stdout, flush=True)

    def note(self, text: str) -> None:
        """Print a warning, an error or a hint to standard error."""
        print(_encodable(visible(text, _LINES), self.stderr), file=self.stderr, flush=True)

    def redraw(self, text: str) -> None:
        """Replace the line of progress on standard error; "" removes it."""
        self.stderr.write(f"\r{_encodable(visible(text), self.stderr)}\033[K")
        self.stderr.flush()

    def exact(self, text: str) -> None:
        """Print a value for a program: in UTF-8 under any locale, without a newline."""
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
        """Return whether standard output can show a character; in a pipe only ASCII is safe."""
        return char.isascii() or (self.interactive and _encodable(char, self.stdout) == char)

    def shown(self, text: str) -> str:
        """Return text as `say` prints it."""
        return _encodable(visible(text, _LINES), self.stdout)

    def require_reader(self) -> None:
        """Raise Unavailable if standard output is closed or its reader is gone.

        Call before a request whose answer is given only once and would be lost.
        """
        if self._closed:
            raise Unavailable("standard output is closed: no request was sent")
        with suppress(AttributeError, OSError, ValueError):
            number = self.stdout.fileno()
            if stat.S_ISFIFO(os.fstat(number).st_mode) or stat.S_ISSOCK(os.fstat(number).st_mode):
                poll = select.poll()
                poll.register(number, select.POLLOUT)
                gone = any(event & select.POLLERR for _, event in poll.poll(0))
                if gone:
                    raise Unavailable("no program reads standard output: no request was sent")

    def read(self) -> bytes:
        """Return all of standard input, once; raise TooLarge past MAX_INPUT."""
        if self._read:
            raise InvalidRequest("standard input (-) can be used for one value only")
        if self._no_input:
            raise InvalidRequest("standard input is closed: no value can be read from it")
        self._read = True
        data = self._stdin.read(MAX_INPUT + 1)
        if len(data) > MAX_INPUT:
            raise TooLarge(f"standard input is longer than {MAX_INPUT} bytes")
        return data

    def value(self, what: str) -> bytes:
        """Return one value from standard input; at a terminal, one line typed without echo."""
        if not self._stdin.isatty():
            return line_of(self.read())
        return self.hidden(what)

    def secret(self, given: str | None, what: str) -> Secret:
        """Return a secret: `given`, standard input if that is `-`, or a line typed without echo."""
        if given == "-":
            return Secret(self.value(what))
        if given:
            return Secret(given.encode("utf-8", "surrogateescape"))
        if not self._stdin.isatty():
            raise InvalidRequest(
                f"{what} is needed, but there is no terminal to ask for it: give `-` to read it "
                "from standard input"
            )
        return Secret(self.hidden(what))

    def key(self, given: str | None, what: str) -> Secret:
        """Return a token or a share as `secret` does, without surrounding whitespace."""
        return Secret(self.secret(given, what).reveal().strip())

    def hidden(self, what: str) -> bytes:
        """Return one line typed without echo; raise InvalidRequest at the end of input (Ctrl-D)."""
        try:
            typed = getpass.getpass(f"{what} (will be hidden): ", self.stderr)
        except EOFError:
            self.note("")
            raise InvalidRequest(f"{what}: no value was given") from None
        return typed.encode("utf-8", "surrogateescape")

    def _styled(self, part: str | Painted) -> str:
        if isinstance(part, str):
            return self.shown(part)
        text = self.shown(part.text)
        return f"\x1b[{part.style}m{text}\x1b[0m" if self.coloured else text


@contextmanager
def _naming_output() -> Iterator[None]:
    """Name standard output in its OSErrors (a full disk), as the system names files."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = "standard output"
        raise


def line_of(data: bytes) -> bytes:
    """Return data without its end of line, if it is a single line.

    So a value is the same whether it is typed, piped by `echo` or saved by an editor. Several lines
    are a document (a PEM key, a configuration) and stay unchanged.
    """
    if data.count(b"\n") != 1 or not data.endswith(b"\n"):
        return data
    return data[:-1].removesuffix(b"\r")


def _encodable(text: str, stream: TextIO) -> str:
    """Return text with the characters escaped that the stream's encoding lacks."""
    if text.isascii():
        return text
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
