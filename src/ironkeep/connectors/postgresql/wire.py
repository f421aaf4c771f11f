"""The few messages of the PostgreSQL frontend/backend protocol 3.0 that a login needs.

"PostgreSQL documentation, Message Formats". Parsing raises IntegrityError on anything malformed
or past a limit: what is on the other end may be hostile.
"""

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from ironkeep.core.errors import IntegrityError

SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
TERMINATE: Final = b"X\x00\x00\x00\x04"

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""Nothing in a login comes near; an error message with its context takes a few kilobytes."""

_PROTOCOL_3_0: Final = 196608
_HEADER: Final = struct.Struct("!ci")
_INT: Final = struct.Struct("!i")


class Message(msgspec.Struct, frozen=True):
    """One message from the server: its type byte and its body."""

    kind: bytes
    body: bytes


class Reader:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take data and yield the messages that are now complete."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._buffer)
            if not _INT.size <= length <= MAX_MESSAGE_BYTES:
                raise IntegrityError("the server sent a message of an impossible length")
            if len(self._buffer) < 1 + length:
                return
            body = bytes(self._buffer[_HEADER.size : 1 + length])
            del self._buffer[: 1 + length]
            yield Message(kind, body)


def startup(username: str, database: str) -> bytes:
    """Return the start-up message; neither name may hold a zero byte."""
    pairs = {
        "user": username,
        "database": database,
        "application_name": "ironkeep probe",
        "client_encoding": "UTF8",
    }
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


def authentication(body: bytes) -> tuple[int, bytes]:
    """Return the code and the rest of an Authentication message."""
    if len(body) < _INT.size:
        raise IntegrityError("the server sent a malformed authentication message")
    return _INT.unpack_from(body)[0], body[_INT.size :]


def mechanisms(rest: bytes) -> list[str]:
    """Return the names in an AuthenticationSASL message."""
    return [name.decode(errors="replace") for name in rest.split(b"\0") if name]


def sqlstate(body: bytes) -> str:
    """Return the SQLSTATE of an ErrorResponse, or "" when it has none.

    It is the same in every language the server may speak; the text is not, and is not kept.
    """
    found = next((part[1:6] for part in body.split(b"\0") if part[:1] == b"C"), b"")
    return found.decode("ascii", errors="replace")


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + _INT.pack(_INT.size + len(body)) + body


def _text(value: str) -> bytes:
    return value.encode() + b"\0"
