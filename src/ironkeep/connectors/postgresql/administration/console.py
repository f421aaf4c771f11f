"""The clients of a pooler, listed at its console.

A pooler checks a password when a client arrives, and logs in to PostgreSQL by itself: a client that
it let in with the old password stays, however often its sessions at the server are ended. PgBouncer
lists its clients in the database `pgbouncer` to the accounts in `stats_users`. Which it should
disconnect is left to a person (`KILL` there ends the clients of every account).

Source: "PgBouncer command-line usage", admin console.
"""

import re
from math import ceil
from typing import Final, LiteralString

from ironkeep.connectors.postgresql.link import Value, connect
from ironkeep.core.credential.connector import Logins, Target, Unreachable
from ironkeep.core.credential.inventory import InventoryItem, Kind, item
from ironkeep.core.ports import Entropy

DATABASE: Final = "pgbouncer"

LOGIN_SECONDS: Final = "client_login_timeout"
"""The setting that limits a client's login there; clients that are logging in are not listed."""

_CLIENTS: Final[LiteralString] = "SHOW CLIENTS"
_CONFIG: Final[LiteralString] = "SHOW CONFIG"
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_NEEDED: Final = frozenset({"user", "database", "addr", "port", "connect_time"})


def clients(target: Target, username: str, entropy: Entropy) -> tuple[InventoryItem, ...]:
    """Return the clients of username at the pooler; raise Unreachable."""
    found = [row for row in _shown(target, _CLIENTS, entropy) if row.get("user") == username]
    return tuple(
        sorted(
            item(
                Kind.SESSION,
                "pooler_client",
                f"{row['addr']}:{row['port']} since {row['connect_time']}",
                {"database": row["database"]},
            )
            for row in found
        )
    )


def logins(target: Target, entropy: Entropy) -> Logins:
    """Return how long a login may take at the pooler, which does not list those under way."""
    for row in _shown(target, _CONFIG, entropy):
        if row.get("key") == LOGIN_SECONDS and _SECONDS.fullmatch(row.get("value", "")):
            limit = ceil(float(row["value"]))
            return Logins(-1, limit or -1, pooled=True)  # 0 means that there is no limit
    return Logins(-1, -1, pooled=True)


def _shown(target: Target, command: LiteralString, entropy: Entropy) -> list[dict[str, str]]:
    """Return the rows of a command at the console, by column."""
    with connect(
        target,
        target.admin_username,
        target.admin_password,
        entropy,
        database=DATABASE,
        plain=True,
    ) as link:
        rows = [
            dict(zip(link.columns, map(_text, row.values), strict=False))
            for row in link.stream(command)
        ]
    if command == _CLIENTS and any(not row.keys() >= _NEEDED for row in rows):
        raise Unreachable("the pooler listed its clients in a way that is not known")
    return rows


def _text(value: Value) -> str:
    return "" if value is None else str(value)
