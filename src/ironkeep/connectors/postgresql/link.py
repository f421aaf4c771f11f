"""One administrative connection to PostgreSQL, bounded in time, whose errors are ours.

The driver, psycopg 3, is imported inside the functions that use it: loading libpq takes about as
long as the rest of the server's start, and a server without PostgreSQL targets never needs it.

Nothing of the driver's errors is passed on but the SQLSTATE: their text can quote the statement,
which holds a password verifier.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString, TypeVar

from ironkeep.core.connector import Ambiguous, ConnectorError, Rejected, Target, Tls, Unreachable
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret

CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 10
LOCK_SECONDS: Final = 5

LINK_SECONDS: Final = 60
"""For everything done over one connection. The server bounds its statements itself; this is for a
server that has stopped answering, where only closing our own socket ends the wait."""

_UNCERTAIN: Final = ("08", "53", "57P", "58", "XX")
"""SQLSTATE classes after which a statement may have been carried out all the same."""

_UNREADABLE: Final = "22021"
"""character_not_in_repertoire: a name or text that is not in the encoding its database says."""

_HINTS: Final = {
    _UNREADABLE: "something in it is not valid in its encoding",
    "22023": "the server's password policy refused the new password",
    "42501": "the account lacks a privilege: see the required privileges in the documentation",
    "42704": "there is no such role",
    "55P03": "another session holds a lock on it",
    "57014": "the server did not finish in time, and undid it",
}

# Without pg_catalog alone to look in, an intruder's functions and tables would answer for the real.
_SETTINGS: Final = (
    f"SET statement_timeout = {STATEMENT_SECONDS * 1000};"
    f"SET lock_timeout = {LOCK_SECONDS * 1000};"
    "SET search_path = pg_catalog"
)

Result = TypeVar("Result")


class Link:
    """An open connection in autocommit mode; each statement is its own transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def release(self) -> str:
        """Return the server's version as it says it, such as "16.2"."""
        return str(self._connection.info.parameter_status("server_version") or "")

    def rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of query, with values bound to its %s; it must change nothing."""
        return self.table(query, *values)[1]

    def table(
        self, query: LiteralString, *values: object
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return the column names and the rows of query; it must change nothing."""
        return _guarded(lambda: self._fetch(query, values), Unreachable)

    def effects(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query that changes something."""
        return _guarded(lambda: self._fetch(query, values)[1], Ambiguous)

    def alter_role(self, username: str, change: LiteralString, literal: str | None = None) -> None:
        """Run ALTER ROLE username change, with literal quoted after it when there is one."""
        from psycopg import sql  # noqa: PLC0415 - the driver is loaded at first use

        statement: sql.Composable = sql.SQL("ALTER ROLE {} " + change).format(
            sql.Identifier(username)
        )
        if literal is not None:
            statement = sql.SQL(" ").join((statement, sql.Literal(literal)))
        _guarded(lambda: self._connection.execute(statement), Ambiguous)

    def _fetch(
        self, query: LiteralString, values: Sequence[object]
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        cursor = self._connection.execute(query, values or None)
        return [column.name for column in cursor.description], cursor.fetchall()


@contextmanager
def connect(
    target: Target,
    username: str,
    password: Secret,
    database: str = "",
    seconds: float = LINK_SECONDS,
) -> Iterator[Link]:
    """Open a link to target's database, or another one; raise Unreachable when it cannot be.

    The server must ask for SCRAM: the password is sent to none that asks for it in the clear.
    """
    import psycopg  # noqa: PLC0415 - the driver is loaded at first use

    parameters: dict[str, Any] = {
        "host": target.host,
        "port": str(target.port),
        "dbname": database or target.database,
        "user": username,
        "password": _text(password),
        "connect_timeout": str(CONNECT_SECONDS),
        "application_name": "ironkeep",
        "require_auth": "scram-sha-256",
        "gssencmode": "disable",
        "sslmode": target.tls.value,
        "client_encoding": "UTF8",
    }
    if target.tls is Tls.VERIFY_FULL:
        parameters["sslrootcert"] = target.ca_file or "system"
    connection = _guarded(
        lambda: psycopg.connect("", autocommit=True, prepare_threshold=None, **parameters),
        Unreachable,
    )
    try:
        with _deadline(connection.fileno(), seconds):
            _guarded(lambda: connection.execute(_SETTINGS), Unreachable)
            yield Link(connection)
    finally:
        connection.close()


def _guarded(action: Callable[[], Result], uncertain: type[ConnectorError]) -> Result:
    """Return what action returns; raise Rejected for the server's no, else an uncertain."""
    import psycopg  # noqa: PLC0415 - the driver is loaded at first use

    try:
        return action()
    except psycopg.Error as failure:
        code = failure.sqlstate or ""
    except UnicodeError:
        code = _UNREADABLE
    # Raised out here: the driver's error may quote the statement, and must not be our context.
    if not code or code.startswith(_UNCERTAIN):
        raise uncertain(f"PostgreSQL did not answer {code}".rstrip(), code)
    raise Rejected(f"PostgreSQL refused: {_HINTS.get(code, 'see its SQLSTATE')} ({code})", code)


@contextmanager
def _deadline(descriptor: int, seconds: float) -> Iterator[None]:
    """Shut the connection's socket when the time is over, which ends whatever waits on it."""
    # A duplicate: the number of a closed descriptor may by then belong to something else.
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        timer = threading.Timer(seconds, _shut, (duplicate,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _text(password: Secret) -> str:
    """Return password as the driver wants it; raise InvalidRequest when it is not UTF-8."""
    try:
        return password.reveal().decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the password of a login must be UTF-8") from None
