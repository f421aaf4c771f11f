"""The texts in a version of a secret, and which of them may be secret themselves."""

import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error
from typing import Final

from ironkeep.core.errors import NotFound
from ironkeep.core.secret import Secret
from ironkeep.credentials.listing import Kept
from ironkeep.incident.case.fingerprints import unquoted

Fields = tuple[tuple[str, Secret], ...]
"""Every text inside a version, with the name of its field."""

_PLAIN: Final = frozenset({
    "database", "dbname", "email", "endpoint", "engine", "host", "hostname", "port", "region",
    "role", "scheme", "type", "url", "user", "username",
})  # fmt: skip
"""Names of fields that say where a secret is used and by whom. A replaced secret may keep them.

Fields of free text, such as `note`, are not among them: people keep secrets there.
"""

_URL: Final = b"://"
_TELLING: Final = re.compile(rb"[@?#]|/[^/]{16}")
"""What may be secret in a URL, behind its scheme: a user, a query, a part as long as a key."""

_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_BASE64: Final = re.compile(rb"([A-Za-z0-9+/_-]{11,})={0,2}")
_INSIDE: Final = re.compile(
    rb"://[^/\s:@]*:([^/\s@]+)@"
    rb"|\A[^\s:/]+:(?!//)(\S+)\Z"
    rb"|(?:pass|pwd|secret|token|key)\w*[\"']?\s*[:=]\s*[\"']?([^\s\"'&;,]+)",
    re.IGNORECASE,
)
"""A password in a URL or behind a user's name, and the value behind a name such as `password=`."""


def fields_of(kept: Kept, number: int) -> Fields:
    """Return the texts in a version with their fields; empty if it is not kept any more."""
    try:
        return kept.fields(number)
    except NotFound:
        return ()


def secret_texts(fields: Fields) -> list[bytes]:
    """Return the texts that may be secret, without white space around them.

    A version without any text that may be secret is known by all that it has.
    """
    found = [value.reveal().strip() for name, value in fields if not _is_plain(name, value)]
    if not any(found):
        found = [value.reveal().strip() for _, value in fields]
    return [each for each in found if each]


def forms_of(text: bytes) -> set[bytes]:
    """Return a text, what it is decoded, and the secrets that these have inside.

    A text is decoded if all of it is hexadecimal, base64 of either alphabet, or percent-encoded.
    """
    found = {text, unquoted(text)}
    if _HEX.fullmatch(text):
        found.add(bytes.fromhex(text.decode()))
    encoded = _BASE64.fullmatch(text)
    if encoded:
        found |= _from_base64(encoded[1].replace(b"-", b"+").replace(b"_", b"/"))
    inside = {b"".join(groups) for each in found for groups in _INSIDE.findall(each)}
    return found | inside | {unquoted(each) for each in inside}


def _from_base64(text: bytes) -> set[bytes]:
    """Return what a text encodes; nothing if no encoder would write it so."""
    try:
        plain = b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except Error:
        return set()
    return {plain} if b64encode(plain).rstrip(b"=") == text else set()


def is_among(exposed: Fields, current: Fields) -> bool:
    """Return whether a secret text of an exposed version stands in the current one, anywhere."""
    new = [value.reveal().strip() for _, value in current]
    return any(hmac.compare_digest(old, each) for old in secret_texts(exposed) for each in new)


def _is_plain(name: str, value: Secret) -> bool:
    """Return whether a field only describes a secret. A URL can be one, or have one in it."""
    _, scheme, rest = value.reveal().partition(_URL)
    return name.casefold() in _PLAIN and not (scheme and _TELLING.search(rest))
