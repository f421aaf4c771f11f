"""The stored form of a JSON object: its encoded bytes, and its field names for the journal.

    record = version 0x01 ‖ u16 length ‖ JSON list of names ‖ JSON object

The object is encoded once, at the write, so that a read parses nothing. Numbers keep their
spelling.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.text.number_hook import encoded
from ironkeep.plugin.response import SecretJson

VERSION: Final = b"\x01"
MAX_NAMES: Final = 64
"""Field names recorded for one object; of more, the first ones and an ellipsis are recorded."""
MAX_NAME: Final = 128

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=encoded)
_NAMES: Final = msgspec.json.Decoder(tuple[str, ...])


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the record for document; raise InvalidRequest when it is not JSON."""
    names = tuple(name[:MAX_NAME] for name in list(document)[:MAX_NAMES])
    if len(document) > MAX_NAMES:
        names = (*names, "…")
    try:
        body = _ENCODER.encode(document)
    except (TypeError, NotImplementedError, UnicodeEncodeError, RecursionError):
        raise InvalidRequest("the data is not a JSON object") from None
    head = _ENCODER.encode(names)
    return b"%b%b%b%b" % (VERSION, len(head).to_bytes(2, "big"), head, body)


def split(record: bytes) -> tuple[tuple[str, ...], SecretJson]:
    """Return (field names, object) of a record; raise IntegrityError for an unknown version."""
    if record[:1] != VERSION:
        raise IntegrityError("a stored object is of an unknown version")
    end = 3 + int.from_bytes(record[1:3], "big")
    return _NAMES.decode(record[3:end]), SecretJson(record[end:])


def merge(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return document with patch applied: nulls remove, objects merge (RFC 7396)."""
    merged = dict(document)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            below = merged.get(name)
            merged[name] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def subkeys(value: Any, depth: int) -> Any:
    """Return the nested names of value with null leaves; depth 0 means unlimited."""
    if not isinstance(value, Mapping) or not value:
        return None
    return {
        name: None if depth == 1 else subkeys(item, depth - 1 if depth else 0)
        for name, item in value.items()
    }
