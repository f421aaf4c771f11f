"""Rotation statements in requests: accepted only if they just set the account's password.

Source: the Vault HTTP API, secret/databases: `rotation_statements` and `root_rotation_statements`
contain `{{name}}` or `{{username}}`, and `{{password}}`. The connector sets the password itself,
without sending it in a statement, and runs no statements. So it refuses any statement that asks for
more, instead of ignoring it.
"""

import re
from typing import Final

from ironkeep.core.errors import InvalidRequest

MAX_STATEMENTS: Final = 16
MAX_STATEMENT: Final = 1_024
"""Characters; the one accepted statement is shorter."""

_SET_PASSWORD: Final = re.compile(
    r'ALTER (?:ROLE|USER) "?\{\{(?:name|username)\}\}"? (?:WITH )?(?:ENCRYPTED )?'
    r"PASSWORD '\{\{password\}\}' ?;?",
    re.IGNORECASE,
)


def check_statements(field: str, statements: tuple[str, ...]) -> None:
    """Raise InvalidRequest unless every statement only sets the account's password."""
    given = [text for text in statements if text.strip()]
    known = len(given) <= MAX_STATEMENTS and all(_is_known(text) for text in given)
    if not known:
        raise InvalidRequest(
            f"{field} can only set the password, which the connector does itself: omit it, "
            "or write ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}';"
        )


def _is_known(text: str) -> bool:
    return len(text) <= MAX_STATEMENT and bool(_SET_PASSWORD.fullmatch(" ".join(text.split())))
