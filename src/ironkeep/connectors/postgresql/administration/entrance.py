"""The administrative connection: to a database that no account can close against it.

The account to be evicted may own the configured database. Its owner can revoke CONNECT, limit the
connections, forbid logins, rename it, or attach settings to it under which no session starts. So
the session states its own settings in the start-up message, where they take precedence over those
of databases and roles, and a database that turns the administrator away is passed over for one of
those that initdb makes.

A replica that lags asks for the administrator's earlier password until it has followed.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Final, LiteralString

from ironkeep.connectors.postgresql.channel import Budget
from ironkeep.connectors.postgresql.link import Link, TurnedAway, connect
from ironkeep.core.credential.connector import ConnectorError, Target, Unreachable
from ironkeep.core.ports import Entropy

FALLBACKS: Final = ("postgres", "template1")
"""Databases that initdb makes; they belong to the superuser unless somebody gave them away."""

_REFUSED: Final = "28P01"
"""The SQLSTATE of a wrong password."""

_OWNER: Final[LiteralString] = """
    SELECT r.rolname, d.datname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
    WHERE d.datname = current_database() AND NOT r.rolsuper AND r.rolname <> session_user"""

_SEES_SESSIONS: Final[LiteralString] = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"

_STANDBY: Final[LiteralString] = "SELECT pg_is_in_recovery()"


@contextmanager
def administer(target: Target, entropy: Entropy, budget: Budget | None = None) -> Iterator[Link]:
    """Open a link as the administering account to the first database that lets it in.

    Raise the failure at the configured database if none does.
    """
    if target.earlier_passwords:
        target = with_accepted_password(target, entropy)
    with ExitStack() as stack:
        yield _entered(stack, target, entropy, budget)


def with_accepted_password(target: Target, entropy: Entropy) -> Target:
    """Return target with the one password that it accepts, the present one if it accepts none.

    An earlier password is presented only where the one before it was refused as a password.
    """
    present = replace(target, earlier_passwords=())
    for password in (target.admin_password, *target.earlier_passwords):
        tried = replace(present, admin_password=password)
        try:
            with administer(tried, entropy):
                return tried
        except Unreachable as failure:
            if failure.upstream_code != _REFUSED:
                break
    return present


def _entered(stack: ExitStack, target: Target, entropy: Entropy, budget: Budget | None) -> Link:
    first: ConnectorError | None = None
    for database in dict.fromkeys((target.database, *FALLBACKS)):
        attempt = connect(
            target,
            target.admin_username,
            target.admin_password,
            entropy,
            database=database,
            budget=budget,
        )
        try:
            return stack.enter_context(attempt)
        except TurnedAway as failure:
            first = first or failure
    assert first is not None, "there is at least one database to try"
    raise first


def cautions(link: Link) -> tuple[str, ...]:
    """Return warnings about a host at which passwords will be set, one sentence each."""
    found = [
        f"the database {database} belongs to {owner}, who can close it: name one in the "
        "connection that belongs to no managed account, such as postgres"
        for owner, database in link.rows(_OWNER, width=2)
    ]
    if not link.value(_SEES_SESSIONS):
        found.append(
            "the administering account does not see when sessions began: grant it pg_read_all_stats"
        )
    if link.value(_STANDBY):
        found.append("the first host is a standby, which takes no new password")
    if link.pooled():
        found.append(
            "a pooler answers at this address: give the server itself as the host, and the "
            "pooler in poolers"
        )
    return tuple(found)
