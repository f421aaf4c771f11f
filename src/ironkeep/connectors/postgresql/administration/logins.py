"""Logins that are under way: a server that has read the old verifier can still accept them.

A login is a transaction from before it reads the verifier until after its session is listed in
pg_stat_activity. Its lock on its own transaction is in pg_locks, so a process that has such a lock
and no session is a login, at whatever step it waits (authentication_timeout limits the exchange,
and post_auth_delay, which a client may set, can hide a session for another half hour). PostgreSQL
18 lists the process as "starting", without an account. The account is known to no other process
before the login ends, so the logins of all accounts count.
"""

from contextlib import suppress
from typing import Final, LiteralString

import msgspec

from ironkeep.connectors.postgresql.link import Link
from ironkeep.core.credential.connector import Logins, Rejected

TRIES: Final = 20
"""Times that it is looked, 0.1 s apart: a login takes some hundredths of a second."""

LISTS_STARTING: Final = 18
"""The first release whose pg_stat_activity lists logins that are under way."""

_PAUSE: Final[LiteralString] = "SELECT pg_sleep(0.1) IS NULL"

_BEFORE_18: Final[LiteralString] = """
    SELECT DISTINCT l.pid FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'virtualxid' AND l.pid <> pg_backend_pid() AND a.pid IS NULL"""

# Without pg_read_all_stats the type of a process is null: then it counts, whatever it is.
_SINCE_18: Final[LiteralString] = """
    SELECT DISTINCT l.pid FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'virtualxid' AND l.pid <> pg_backend_pid() AND a.usesysid IS NULL
        AND coalesce(a.backend_type, 'client backend') IN ('client backend', 'walsender')"""

_END: Final[LiteralString] = "SELECT pg_terminate_backend(%s::int)"

# A replica reports how far it has replayed; a program that archives the log does not. Subscriptions
# replay too, but have a slot of their own kind, and receive no accounts. Without pg_read_all_stats
# the columns are null: then each counts.
_FOLLOWERS: Final[LiteralString] = """
    SELECT count(*) FROM pg_stat_replication r
    WHERE (r.replay_lsn IS NOT NULL OR r.state IS NULL) AND NOT EXISTS (
        SELECT FROM pg_replication_slots s
        WHERE s.active_pid = r.pid AND s.slot_type = 'logical')"""

_FOLLOWS: Final[LiteralString] = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver)"

_LONGEST: Final[LiteralString] = """
    SELECT setting::int FROM pg_settings WHERE name = 'authentication_timeout'"""


def settled(link: Link) -> Logins:
    """Wait for the logins that are under way now, and end those that take longer than a login does.

    Ending them takes a superuser; otherwise they are counted.
    """
    longest = link.number(_LONGEST) or -1
    found = Logins(
        -1,
        longest,
        pooled=link.pooled(),
        followers=link.number(_FOLLOWERS) or 0,
        follows=bool(link.value(_FOLLOWS)),
    )
    try:
        waiting = _under_way(link)
        for _ in range(TRIES):
            if not waiting:
                break
            link.value(_PAUSE)
            waiting &= _under_way(link)
        if waiting:
            _end(link, waiting)
            waiting &= _under_way(link)
    except Rejected:
        return found  # somebody took pg_locks away from everybody
    return msgspec.structs.replace(found, under_way=len(waiting))


def _under_way(link: Link) -> set[str]:
    """Return the process numbers of the logins that are under way."""
    major = link.release.partition(".")[0]
    lists = major.isdigit() and int(major) >= LISTS_STARTING
    rows = link.rows(_SINCE_18 if lists else _BEFORE_18, width=1)
    return {str(number) for (number,) in rows if number is not None}


def _end(link: Link, waiting: set[str]) -> None:
    for pid in sorted(waiting):
        with suppress(Rejected):
            link.effects(_END, pid, width=1)
    link.value(_PAUSE)
