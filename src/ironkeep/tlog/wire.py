"""Strict text encodings shared by the c2sp.org formats: each value has one spelling.

Every decoder refuses text that its encoder would not write, so that parsing and serialising gives
the same bytes.
"""

import base64
import binascii
import re
from typing import Final

from ironkeep.core.errors import IntegrityError

HASH_SIZE: Final = 32
"""Bytes of a SHA-256 hash."""

MAX_SIZE: Final = (1 << 63) - 1
"""Largest tree size, index or timestamp: the signed 64-bit maximum (tlog-cosignature)."""

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_UNFIT: Final = re.compile(r"[\x00-\x1f\ud800-\udfff]")
_MAX_DIGITS: Final = len(str(MAX_SIZE))


def encode_base64(data: bytes) -> str:
    """Return data as standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes of canonical, padded, standard base64; raise IntegrityError otherwise."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise IntegrityError("not base64") from None
    if encode_base64(data) != text:
        raise IntegrityError("base64 is not in canonical form")
    return data


def decode_hash(text: str) -> bytes:
    """Return the 32 bytes of a base64 SHA-256 hash; raise IntegrityError otherwise."""
    data = decode_base64(text)
    if len(data) != HASH_SIZE:
        raise IntegrityError(f"a hash is {HASH_SIZE} bytes, this one is {len(data)}")
    return data


def decode_decimal(text: str) -> int:
    """Return a number of 0 to 2^63-1 in ASCII digits without leading zeros, or raise."""
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        raise IntegrityError("not a decimal number below 2^63")
    if text[0] == "0" and text != "0":
        raise IntegrityError("a decimal number has leading zeros")
    value = int(text)
    if value > MAX_SIZE:
        raise IntegrityError("not a decimal number below 2^63")
    return value


def is_line(text: str) -> bool:
    """Return whether text is one line: not empty, valid Unicode, without control characters."""
    return text != "" and _UNFIT.search(text) is None


def decode_text(data: bytes, limit: int) -> str:
    """Return UTF-8 text of at most limit bytes, without control characters except LF, or raise."""
    if len(data) > limit:
        raise IntegrityError(f"text is longer than {limit} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise IntegrityError("text is not UTF-8") from None
    if _CONTROL.search(text) is not None:
        raise IntegrityError("text contains a control character other than LF")
    return text
