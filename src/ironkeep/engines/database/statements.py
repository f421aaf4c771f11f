"""Statements that Vault's clients send along: taken where they say what the connector does anyway.

Source: the Vault HTTP API, secret/databases: `rotation_statements` and `root_rotation_statements`
name `{{name}}` or `{{username}}`, and `{{password}}`. The connector sets a password without sending
it in a statement, so any other statement would not be run, and is refused rather than ignored.
"""

import re
from typing import Final

from ironkeep.core.errors import InvalidRequest

MAX_STATEMENTS: Final = 16
MAX_STATEMENT: Final = 1_024
"""Characters; what is longer is not the one statement that is known."""

_SET_PASSWORD: Final = re.compile(
    r'ALTER (?:ROLE|USER) "?\{\{(?:name|username)\}\}"? (?:WITH )?(?:ENCRYPTED )?'
    r"PASSWORD '\{\{password\}\}' ?;?",
    re.IGNORECASE,
)


def check_statements(field: str, statements: tuple[str, ...]) -> None:
    """Raise InvalidRequest unless each statement does no more than set the account's password."""
    given = [text for text in statements if text.strip()]
    known = len(given) <= MAX_STATEMENTS and all(_is_known(text) for text in given)
    if not known:
        raise InvalidRequest(
            f"{field} can only set the password, which the connector does by itself: leave it out, "
            "or write ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}';"
        )


def _is_known(text: str) -> bool:
    return len(text) <= MAX_STATEMENT and bool(_SET_PASSWORD.fullmatch(" ".join(text.split())))
