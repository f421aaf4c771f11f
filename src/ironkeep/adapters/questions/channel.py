"""Messages between the server and its process: a length, then MessagePack.

    server → process   ["open", folder, origin, keys, size]      once, first
                       ["ask", number, name, about, size]  ["cancel", number]  ["size", size]
    process → server   ["ready"]  ["answer", number, value]  ["error", number, code, text]
                       ["defect", number, text]  ["leaf", bytes]

`size` is the number of durable leaves. Both ends trust each other: they are one program, and the
socket pair has no name by which another process could reach it.
"""

import socket
import threading
from contextlib import suppress
from struct import Struct
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, TooLarge

MAX_MESSAGE: Final = 64 << 20
"""Bytes of a message: the largest answer. A pack of a case is some megabytes."""

_LENGTH: Final = Struct(">I")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder()


class Channel:
    """One end. Any thread may send; one thread receives."""

    def __init__(self, own: socket.socket) -> None:
        self._socket: Final = own
        self._sending: Final = threading.Lock()

    def send(self, *message: Any) -> None:
        """Send a message.

        Raise TooLarge past MAX_MESSAGE, InvalidRequest for a value that MessagePack cannot express,
        such as an integer of more than 64 bits, OSError if the other end is gone.
        """
        try:
            data = _ENCODER.encode(message)
        except (OverflowError, ValueError, TypeError, msgspec.MsgspecError) as error:
            raise InvalidRequest(f"a value of the question has no encoding: {error}") from None
        if len(data) > MAX_MESSAGE:
            raise TooLarge(f"the answer is larger than {MAX_MESSAGE >> 20} MiB: ask for less")
        with self._sending:
            self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> Any:
        """Return the next message as a list; None when the other end is gone."""
        head = self._exactly(_LENGTH.size)
        if head is None:
            return None
        (length,) = _LENGTH.unpack(head)
        data = self._exactly(length) if length <= MAX_MESSAGE else None
        return None if data is None else _DECODER.decode(data)

    def close(self) -> None:
        """Close this end; a thread that waits in `receive` gets None."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _exactly(self, length: int) -> bytes | None:
        parts: list[bytes] = []
        while length:
            try:
                part = self._socket.recv(min(length, 1 << 20))
            except OSError:
                return None
            if not part:
                return None
            parts.append(part)
            length -= len(part)
        return b"".join(parts)
