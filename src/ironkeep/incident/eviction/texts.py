"""The texts in a version of a secret, and which of them may be secret themselves."""

import hmac
from typing import Final

from ironkeep.core.errors import NotFound
from ironkeep.core.secret import Secret
from ironkeep.credentials.listing import Kept

Fields = tuple[tuple[str, Secret], ...]
"""Every text inside a version, with the name of its field."""

_PLAIN: Final = frozenset({
    "database", "dbname", "email", "endpoint", "engine", "host", "hostname", "port", "region",
    "role", "scheme", "type", "url", "user", "username",
})  # fmt: skip
"""Names of fields that say where a secret is used and by whom. A replaced secret may keep them.

Fields of free text, such as `note`, are not among them: people keep secrets there.
"""

_USERINFO: Final = b"@"
_URL: Final = b"://"


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


def is_among(exposed: Fields, current: Fields) -> bool:
    """Return whether a secret text of an exposed version stands in the current one, anywhere."""
    new = [value.reveal().strip() for _, value in current]
    return any(hmac.compare_digest(old, each) for old in secret_texts(exposed) for each in new)


def _is_plain(name: str, value: Secret) -> bool:
    """Return whether a field only describes a secret. A URL can have a password in it."""
    text = value.reveal()
    return name.casefold() in _PLAIN and not (_URL in text and _USERINFO in text)
