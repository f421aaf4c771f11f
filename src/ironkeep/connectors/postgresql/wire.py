"""The messages of the PostgreSQL frontend/backend protocol 3.0 for a login and plain statements.

"PostgreSQL documentation, Message Formats". Parsing raises IntegrityError for anything malformed
or past a limit, because the server may be hostile. Only rows may be longer than a message's limit:
a long row is hashed as it passes, and only its beginning is kept.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from ironkeep.core.errors import IntegrityError

SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
TERMINATE: Final = b"X\x00\x00\x00\x04"

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""No message of a login comes near; an error message with its context takes a few kilobytes, and so
does the longest list of privileges that a person would still read."""

MAX_ROW_BYTES: Final = 1024 * 1024
"""Bytes of an inventory's row that is read whole: a publication may have thousands of tables."""

_PROTOCOL_3_0: Final = 196608
_HEADER: Final = struct.Struct("!ci")
_INT: Final = struct.Struct("!i")
_SHORT: Final = struct.Struct("!h")
_COLUMN: Final = struct.Struct("!ihihih")
"""Description of a column: table, number within it, type, size, modifier, format."""


class Message(msgspec.Struct, frozen=True):
    """One message from the server: its type byte and its body.

    For a row that was too long, `body` is its beginning, `size` its whole length in bytes and
    `digest` the SHA-256 of all of it; otherwise `size` is 0 and `digest` empty.
    """

    kind: bytes
    body: bytes
    size: int = 0
    digest: bytes = b""


ROW: Final = b"D"


class Reader:
    """Cuts a stream of bytes into messages, with bounded memory."""

    def __init__(self, *, long_rows: bool = False) -> None:
        self._buffer = bytearray()
        self._long_rows = long_rows
        self._head = b""
        self._size = self._missing = 0
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take data and yield the messages that are now complete."""
        self._buffer += data
        while True:
            if self._missing:
                if not self._pass_over():
                    return
                yield Message(ROW, self._head, self._size, self._hash.digest())
            if len(self._buffer) < _HEADER.size:
                return
            kind, length = _HEADER.unpack_from(self._buffer)
            long_row = kind == ROW and self._long_rows
            if long_row and length > MAX_ROW_BYTES:
                if len(self._buffer) < 1 + MAX_MESSAGE_BYTES:
                    return
                self._begin_long(length - _INT.size)
                continue
            if not _INT.size <= length <= (MAX_ROW_BYTES if long_row else MAX_MESSAGE_BYTES):
                raise IntegrityError("the server sent a message of an impossible length")
            if len(self._buffer) < 1 + length:
                return
            body = bytes(self._buffer[_HEADER.size : 1 + length])
            del self._buffer[: 1 + length]
            yield Message(kind, body)

    def _begin_long(self, size: int) -> None:
        self._head = bytes(self._buffer[_HEADER.size : 1 + MAX_MESSAGE_BYTES])
        self._hash = hashlib.sha256(self._head)
        self._size, self._missing = size, size - len(self._head)
        del self._buffer[: 1 + MAX_MESSAGE_BYTES]

    def _pass_over(self) -> bool:
        """Hash the received part of a long row; return whether the row is complete."""
        part = bytes(self._buffer[: self._missing])
        self._hash.update(part)
        self._missing -= len(part)
        del self._buffer[: len(part)]
        return not self._missing


def startup(
    username: str, database: str, program: str = "ironkeep probe", options: str = ""
) -> bytes:
    """Return the start-up message; no argument may contain a zero byte."""
    pairs = {
        "user": username,
        "database": database,
        "application_name": program,
        "client_encoding": "UTF8",
    }
    if options:
        pairs["options"] = options
    body = b"".join(_text(part) for pair in pairs.items() for part in pair) + b"\0"
    return _INT.pack(2 * _INT.size + len(body)) + _INT.pack(_PROTOCOL_3_0) + body


def sasl_initial(mechanism: str, response: bytes) -> bytes:
    """Return the SASLInitialResponse message."""
    return _message(b"p", _text(mechanism) + _INT.pack(len(response)) + response)


def sasl_response(response: bytes) -> bytes:
    """Return the SASLResponse message."""
    return _message(b"p", response)


def query(statement: str) -> bytes:
    """Return the simple Query message."""
    return _message(b"Q", _text(statement))


def statement(text: str, values: Sequence[str]) -> bytes:
    """Return the messages that run text as one statement, with values bound to its $1, $2, ..."""
    bound = b"".join(_INT.pack(len(raw)) + raw for raw in (value.encode() for value in values))
    return b"".join(
        (
            _message(b"P", b"\0" + _text(text) + _SHORT.pack(0)),
            _message(b"B", b"\0\0" + _SHORT.pack(0) + _SHORT.pack(len(values)) + bound + b"\0\0"),
            _message(b"D", b"P\0"),
            _message(b"E", b"\0" + _INT.pack(0)),
            _message(b"S", b""),
        )
    )


def columns(body: bytes) -> list[tuple[str, int]]:
    """Return the name and type number of each column in a RowDescription message."""
    found = []
    try:
        (count,), at = _SHORT.unpack_from(body), _SHORT.size
        for _ in range(count):
            end = body.index(b"\0", at)
            found.append((body[at:end].decode(), _COLUMN.unpack_from(body, end + 1)[2]))
            at = end + 1 + _COLUMN.size
    except (ValueError, struct.error) as failure:
        raise IntegrityError("the server sent a malformed row description") from failure
    return found


def cells(body: bytes, *, cut: bool = False) -> list[bytes | None]:
    """Return the values in a DataRow message; when it was cut, only the complete ones."""
    found: list[bytes | None] = []
    count = -1
    try:
        (count,), at = _SHORT.unpack_from(body), _SHORT.size
        for _ in range(count):
            (size,) = _INT.unpack_from(body, at)
            at += _INT.size + max(size, 0)
            if size < -1 or at > len(body):
                break
            found.append(None if size < 0 else body[at - size : at])
    except struct.error:
        count = -1
    if len(found) != count and not cut:
        raise IntegrityError("the server sent a malformed row")
    return found


def parameter(body: bytes) -> tuple[str, str]:
    """Return the name and value in a ParameterStatus message."""
    name, _, value = body.rstrip(b"\0").partition(b"\0")
    return name.decode(errors="replace"), value.decode(errors="replace")


def process(body: bytes) -> int:
    """Return the number of the process in a BackendKeyData message; 0 for a malformed one."""
    return int(_INT.unpack_from(body)[0]) if len(body) >= _INT.size else 0


def authentication(body: bytes) -> tuple[int, bytes]:
    """Return the code and the rest of an Authentication message."""
    if len(body) < _INT.size:
        raise IntegrityError("the server sent a malformed authentication message")
    return _INT.unpack_from(body)[0], body[_INT.size :]


def mechanisms(rest: bytes) -> list[str]:
    """Return the names in an AuthenticationSASL message."""
    return [name.decode(errors="replace") for name in rest.split(b"\0") if name]


def sqlstate(body: bytes) -> str:
    """Return the SQLSTATE of an ErrorResponse, "" without one.

    The SQLSTATE is the same in every language of the server; the message text is dropped.
    """
    found = next((part[1:6] for part in body.split(b"\0") if part[:1] == b"C"), b"")
    return found.decode("ascii", errors="replace")


def words(body: bytes) -> bytes:
    """Return the message text of an ErrorResponse, only to be compared; b"" without one."""
    return next((part[1:] for part in body.split(b"\0") if part[:1] == b"M"), b"")


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + _INT.pack(_INT.size + len(body)) + body


def _text(value: str) -> bytes:
    return value.encode() + b"\0"
