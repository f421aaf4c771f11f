"""Statements of Vault's clients: the one that says what is done anyway is taken, no other."""

import pytest

from ironkeep.core.errors import InvalidRequest
from ironkeep.engines.database.statements import MAX_STATEMENTS, check_statements

GOOD = (
    "ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}';",
    "ALTER USER \"{{username}}\" WITH PASSWORD '{{password}}'",
    "alter user {{name}} with encrypted password '{{password}}' ;",
    "  ALTER ROLE \"{{name}}\"\n  PASSWORD '{{password}}';\n",
)
BAD = (
    "ALTER",
    "ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}'; DROP TABLE x;",
    "ALTER ROLE \"{{name}}\" WITH SUPERUSER PASSWORD '{{password}}';",
    "ALTER ROLE \"other\" WITH PASSWORD '{{password}}';",
    "ALTER ROLE \"{{name}}\" WITH PASSWORD 'fixed';",
    "ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}'" + " " * 9 + "x" * 2_000,
)


@pytest.mark.parametrize("statements", [(), ("",), ("  ", "\n"), GOOD, *((each,) for each in GOOD)])
def test_what_is_empty_or_known_is_taken(statements: tuple[str, ...]) -> None:
    check_statements("rotation_statements", statements)


@pytest.mark.parametrize("statement", BAD)
@pytest.mark.parametrize("field", ["rotation_statements", "root_rotation_statements"])
def test_what_would_not_be_done_is_refused_by_name(field: str, statement: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field} "):
        check_statements(field, (GOOD[0], statement))
    with pytest.raises(InvalidRequest):
        check_statements(field, (GOOD[0],) * (MAX_STATEMENTS + 1))
