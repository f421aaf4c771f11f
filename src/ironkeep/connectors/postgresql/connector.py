"""The operations on PostgreSQL roles: set, probe, lock, end sessions, and take an inventory.

The server gets SCRAM verifiers, never passwords, so no statement and no server log contains a
password. Role names are quoted in link.py and limited in length here, because PostgreSQL truncates
a long name and would then change another role.
"""
# ruff: noqa: S608 - every part of every query is a literal of this file, as its type says

import socket
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final, LiteralString

import msgspec

from ironkeep.connectors.postgresql import probe, refusal, scram, stock
from ironkeep.connectors.postgresql.administration import console, entrance, logins
from ironkeep.connectors.postgresql.link import Link, Value, connect
from ironkeep.connectors.postgresql.redaction import Redaction
from ironkeep.core.credential.connector import (
    Ambiguous,
    ConnectorError,
    Logins,
    Probe,
    ProbeResult,
    Target,
)
from ironkeep.core.credential.inventory import Inventory, InventoryItem, Kind, item
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ports import Clock, Entropy
from ironkeep.core.secret import Secret

MAX_NAME_BYTES: Final = 63
"""PostgreSQL's NAMEDATALEN less one; PostgreSQL silently truncates longer names."""

KILL_TRIES: Final = 10
"""Tries, each of which ends all open sessions: a client that returns ten times can still log in."""

# By role number, because the sessions of a dropped role no longer have a name. Sessions of several
# dropped roles cannot be told apart: for a role that does not exist, all of them count.
_THEIRS: Final[LiteralString] = """
    FROM pg_stat_activity s LEFT JOIN pg_stat_ssl t USING (pid)
    WHERE s.pid <> pg_backend_pid() AND CASE
        WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = %s)
        THEN s.usesysid = (SELECT oid FROM pg_roles WHERE rolname = %s)
        ELSE s.usesysid IS NOT NULL
            AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = s.usesysid)
    END"""

_SESSIONS: Final[LiteralString] = (
    """
    SELECT s.pid::text || coalesce(' since ' || s.backend_start::text, ''),
        s.usesysid::text AS role_number,
        s.backend_type, s.datname AS database, host(s.client_addr) AS client_address,
        s.application_name, s.state, t.client_serial::text AS client_certificate,
        (extract(epoch FROM clock_timestamp() - s.backend_start) * 1000000)::bigint::text AS open_us
    """
    + _THEIRS
)

_PREPARED: Final[LiteralString] = """
    SELECT gid, database, prepared::text AS since FROM pg_prepared_xacts
    WHERE owner IS NOT DISTINCT FROM (SELECT rolname FROM pg_roles WHERE rolname = %s)"""

_SLOTS: Final[LiteralString] = (
    "SELECT slot_name, slot_type, plugin, database FROM pg_replication_slots"
    " WHERE active_pid IN (SELECT s.pid" + _THEIRS + ")"
)


_TERMINATE: Final[LiteralString] = (
    "SELECT s.pid || coalesce(' ' || s.backend_start, ''), pg_terminate_backend(s.pid)" + _THEIRS
)

_AWAIT: Final[LiteralString] = "SELECT pg_terminate_backend(s.pid, 200)" + _THEIRS + " LIMIT 20"
"""Waits up to 200 ms for each session to end; twenty of them stay within the statement timeout."""

_SHOWN: Final = Redaction(None)


class PostgreSQL:
    """The connector; core.credential.connector.Connector defines the contract of each method."""

    refusals_per_minute: Final = 10
    """PostgreSQL itself locks no account; a tool in front of it (fail2ban) may ban addresses."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy

    def set_password(
        self, target: Target, username: str, new: Secret, current: Secret | None
    ) -> None:
        """Set username's password to new, logged in with current, or as admin when that is None.

        The verifier reaches the server's log when statements are logged. It cannot be used to log
        in, but a weak password can be guessed from it.
        """
        _check_name(username)
        verifier = scram.verifier(new, self._entropy.token(scram.SALT_BYTES))
        way = (
            self._admin(target)
            if current is None
            else connect(target, username, current, self._entropy)
        )
        with way as link:
            link.alter_role(username, "PASSWORD", verifier)

    def probe(self, target: Target, username: str, password: Secret) -> ProbeResult:
        """Log in as username with password and run SELECT now(); see outcome.py for the outcomes.

        A refusal is DEAD only when an administrative connection finds no other explanation for it.
        """
        _check_name(username)
        scram.saslprep(password.reveal())
        shown = probe.present(target, username, password, self._clock, self._entropy)
        if shown.state is not Probe.DEAD or target.pooler:
            return shown  # the servers behind a pooler are asked for other explanations themselves
        try:
            with self._admin(target) as link:
                doubt: str | None = refusal.doubt(link, username)
        except ConnectorError as failure:
            if username == target.admin_username:
                return shown  # the administrator's own password: no other account can be asked
            doubt = f"other explanations could not be checked: {failure}"
        if doubt is None:
            return shown
        reason = f"the server refused the password ({shown.code}), but {doubt}"
        return msgspec.structs.replace(shown, state=Probe.UNKNOWN, reason=reason)

    def lock(self, target: Target, username: str) -> None:
        """Revoke username's right to log in."""
        _check_name(username)
        with self._admin(target) as link:
            link.alter_role(username, "NOLOGIN")

    def unlock(self, target: Target, username: str) -> None:
        """Restore username's right to log in."""
        _check_name(username)
        with self._admin(target) as link:
            link.alter_role(username, "LOGIN")

    def kill_sessions(self, target: Target, username: str) -> int:
        """End the sessions of username until no session is left; return how many were ended.

        Prepared transactions and replication slots outlive them: `sessions` lists those.
        """
        _check_name(username)
        if target.pooler:
            if console.clients(target, username, self._entropy):
                raise Ambiguous(
                    f"clients of {username} are connected to the pooler {target.endpoint}: "
                    "disconnect them there, then count again"
                )
            return 0
        ended: set[Value] = set()
        with self._admin(target) as link:
            for _ in range(KILL_TRIES):
                seen = link.effects(_TERMINATE, username, username, width=2)
                if not seen:
                    return len(ended)
                ended.update(name for name, _ in seen)
                link.effects(_AWAIT, username, username, width=1)
        raise Ambiguous(
            f"sessions of {username} remain or come back: lock the role, then end them again"
        )

    def sessions(self, target: Target, username: str) -> tuple[InventoryItem, ...]:
        """Return username's sessions, prepared transactions, and the replication slots in use.

        At a pooler, return its clients.
        """
        _check_name(username)
        if target.pooler:
            return console.clients(target, username, self._entropy)
        with self._admin(target) as link:
            found = [
                *_items(link, "session", _SESSIONS, username, username, width=9),
                *_items(link, "prepared_transaction", _PREPARED, username, width=3),
                *_items(link, "replication_slot", _SLOTS, username, username, width=4),
            ]
        return tuple(sorted(found))

    def logins(self, target: Target) -> Logins:
        """Wait two seconds for the logins under way, end the others; see logins.py."""
        if target.pooler:
            return console.logins(target, self._entropy)
        with self._admin(target) as link:
            return logins.settled(link)

    def addresses(self, target: Target) -> tuple[Target, ...]:
        """Return target once for each address that its host name has now."""
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return (target,)  # the connection fails for the same reason, and says so
        each = dict.fromkeys(str(one[4][0]) for one in found)
        if len(each) < 2:  # noqa: PLR2004 - a single address needs no name of its own
            return (target,)
        return tuple(replace(target, address=one) for one in each)

    def cautions(self, target: Target) -> tuple[str, ...]:
        """Return what a person who configures this system should know, one sentence each."""
        with self._admin(target) as link:
            return entrance.cautions(link)

    def inventory(self, target: Target) -> Inventory:
        """Return all ways into every database of the cluster; see catalogue.py for the list."""
        return stock.take(target, self._entropy)

    def _admin(self, target: Target) -> AbstractContextManager[Link]:
        return entrance.administer(target, self._entropy)


def _items(
    link: Link, source: str, query: LiteralString, *values: str, width: int
) -> list[InventoryItem]:
    """Return the rows of query as items: the first column is the name."""
    columns, rows = link.table(query, *values, width=width)
    return [
        item(Kind.SESSION, source, str(row[0]), stock.attributes(columns[1:], row[1:], _SHOWN))
        for row in rows
    ]


def _check_name(username: str) -> None:
    """Raise InvalidRequest for a name that PostgreSQL would refuse or truncate."""
    try:
        size = len(username.encode())
    except UnicodeEncodeError:
        size = 0
    if not 1 <= size <= MAX_NAME_BYTES or "\0" in username:
        raise InvalidRequest(f"a PostgreSQL role name must be 1 to {MAX_NAME_BYTES} bytes of UTF-8")
