"""Typed ids: each kind of id has its own type, so that kinds cannot be confused."""

from typing import Final, NewType

NamespaceId = NewType("NamespaceId", str)
MountAccessor = NewType("MountAccessor", str)
MountUuid = NewType("MountUuid", str)
EntityId = NewType("EntityId", str)
TokenAccessor = NewType("TokenAccessor", str)
TokenHash = NewType("TokenHash", str)
DeviceId = NewType("DeviceId", str)
RequestId = NewType("RequestId", str)

ROOT_NAMESPACE: Final = NamespaceId("root")
"""The only namespace so far; every place, token and entry already names it."""

BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The first two bits of the digit are 10 (RFC 9562, 4.1)."""


def base62(random: bytes, length: int) -> str:
    """Return length base62 characters from random, which must have at least 2 bytes for each.

    With sixteen bits a character, the bias of the remainder is below 0.1 %.
    """
    if len(random) < 2 * length:
        raise ValueError("base62 needs two random bytes a character")
    number = memoryview(random)
    return "".join(
        BASE62[int.from_bytes(number[2 * i : 2 * i + 2], "big") % 62] for i in range(length)
    )


def uuid(random: bytes) -> str:
    """Return the RFC 9562 version 4 UUID made of 16 random bytes."""
    if len(random) != 16:  # noqa: PLR2004 - the size of a UUID
        raise ValueError("a UUID takes 16 random bytes")
    text = random.hex()
    variant = _VARIANT[text[16]]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
