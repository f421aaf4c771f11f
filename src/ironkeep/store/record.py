"""Records as bytes: a version byte, then MessagePack.

    0x01 ‖ msgpack(struct)

What decodes re-encodes to the same bytes, or is an IntegrityError: two readers never see two
meanings in one record. The one exception is the length of a map: msgspec reserves it by the number
of fields that the struct has in this release, so a row from before the sixteenth field was added
has the shorter one. It counts as the same spelling.
"""

from typing import Final, Generic, TypeVar

import msgspec

from ironkeep.core.errors import IntegrityError

T = TypeVar("T", bound=msgspec.Struct)

VERSION: Final = b"\x01"

_ENCODER: Final = msgspec.msgpack.Encoder()


class Codec(Generic[T]):
    """Encodes and decodes the records of one struct."""

    __slots__ = ("_decoder", "_name")

    def __init__(self, struct: type[T]) -> None:
        self._name: Final = struct.__name__
        self._decoder: Final = msgspec.msgpack.Decoder(struct)

    def encode(self, value: T) -> bytes:
        """Return value as bytes.

        msgspec leaves a default out only when it is the same object, so an equal value from
        elsewhere would be spelled out; read back once, it is spelled as every reader will.
        """
        read_back = self._decoder.decode(_ENCODER.encode(value))
        return VERSION + _ENCODER.encode(read_back)

    def decode(self, raw: bytes) -> T:
        """Return the value in raw; raise IntegrityError when these are not bytes of `encode`."""
        if raw[:1] != VERSION:
            raise IntegrityError(
                f"a {self._name} of unknown version: use the release that wrote it"
            )
        try:
            value = self._decoder.decode(memoryview(raw)[1:])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise IntegrityError(f"a {self._name} is damaged") from None
        again = _ENCODER.encode(value)
        if VERSION + again != raw and VERSION + _shortest(again) != raw:
            raise IntegrityError(f"a {self._name} is damaged: it is not spelled as written")
        return value


def _shortest(body: bytes) -> bytes:
    """Return body with each map's length in as few bytes as it takes."""
    return _ENCODER.encode(msgspec.msgpack.decode(body))
