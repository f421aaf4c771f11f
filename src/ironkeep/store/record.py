"""The encoding of records: a version byte, then MessagePack.

    0x01 ‖ msgpack(struct)

A decoded value must encode to the same bytes, or decoding raises IntegrityError, so that two
readers cannot interpret one record differently. The only exception is the size of a map's length:
msgspec chooses it by the number of fields that the struct has in this release, so a row from before
the sixteenth field was added has the shorter form, which is accepted.
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

        msgspec omits a default only if it is the same object, so an equal value from elsewhere
        would be written. Decoding and encoding once more gives the canonical bytes.
        """
        read_back = self._decoder.decode(_ENCODER.encode(value))
        return VERSION + _ENCODER.encode(read_back)

    def decode(self, raw: bytes) -> T:
        """Return the value in raw; raise IntegrityError unless `encode` writes the same bytes."""
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
            raise IntegrityError(f"a {self._name} is damaged: its encoding is not canonical")
        return value


def _shortest(body: bytes) -> bytes:
    """Return body with each map's length in the shortest form."""
    return _ENCODER.encode(msgspec.msgpack.decode(body))
