"""An administrative connection to PostgreSQL, limited in time and bytes, with errors of our own.

It speaks the protocol itself. libpq, on which the usual drivers are built, takes missing parameters
from the environment and from the user's files (PGHOSTADDR, PGSERVICE, PGOPTIONS, ~/.pgpass,
~/.postgresql), reports a refused login without its SQLSTATE, and buffers whatever a server sends.

Of the server's errors only the SQLSTATE is passed on: their text can quote the statement, which
holds a password verifier.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Final, LiteralString, TypeVar

import msgspec

from ironkeep.connectors.postgresql import channel, scram, wire
from ironkeep.connectors.postgresql.channel import Budget, Channel
from ironkeep.connectors.postgresql.login import Login
from ironkeep.connectors.postgresql.outcome import FULL
from ironkeep.connectors.postgresql.probe import converse, words_for
from ironkeep.core.credential.connector import (
    Ambiguous,
    ConnectorError,
    Probe,
    Rejected,
    Target,
    Unreachable,
)
from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret

STATEMENT_SECONDS: Final = 10
LOCK_SECONDS: Final = 5

LINK_SECONDS: Final = 60
"""Time for everything done over one connection. The server limits its statements itself; this limit
is for a server that stopped answering or answers a byte at a time."""

LINK_BYTES: Final = 16 * 1024 * 1024
"""Bytes received over one connection; a list of 10,000 sessions takes 3 MB."""

MAX_ROWS: Final = 50_000
"""Rows in the result of one query, except for inventories; a server has fewer sessions."""

_UNCERTAIN: Final = ("08", "53", "57P", "58", "XX")
"""SQLSTATE prefixes after which a statement may have taken effect nevertheless."""

_NEVER: Final = ("42501", "42704", "22023")
"""SQLSTATEs that a repeated statement would get again: no privilege, no such role, bad password."""

_NO_OPTIONS: Final = frozenset({"08P01", "0A000", "42704"})
"""SQLSTATEs with which poolers refuse the options of a start-up message."""

_NOT_HERE: Final = frozenset({"28000", "3D000", "55000"})
"""SQLSTATEs about one database: not by pg_hba.conf, there is none, or it takes no connections."""

_HINTS: Final = {
    "22021": "something in it is not valid in its encoding",
    "22023": "the server's password policy refused the new password",
    "25006": "the server, or the session, is read only",
    "42501": "the account lacks a privilege: see the required privileges in the documentation",
    "42704": "there is no such role",
    "55P03": "another session holds a lock on it",
    "57014": "the server did not finish in time, and rolled it back",
}

# The owner of a database can attach any of these settings to it, and then they hold for sessions of
# the administering account, too. In the start-up message they take precedence. `role` would make it
# look, and act, as another account; a missing library would end the session.
_OPTIONS: Final = " ".join(
    f"-c {setting}"
    for setting in (
        "local_preload_libraries=",
        "role=none",
        "default_transaction_read_only=off",
        "search_path=pg_catalog",
        f"statement_timeout={STATEMENT_SECONDS * 1000}",
        f"lock_timeout={LOCK_SECONDS * 1000}",
        "idle_session_timeout=0",
        "idle_in_transaction_session_timeout=0",
        "standard_conforming_strings=on",
    )
)

_SINCE_14: Final = " -c idle_session_timeout=0"
_UNKNOWN_SETTING: Final = "42704"

# The same for a pooler, which passes no options on. The search path is pg_catalog alone, so that no
# intruder's functions and tables can replace the system's.
_SETTINGS: Final = (
    f"SET statement_timeout = {STATEMENT_SECONDS * 1000}",
    f"SET lock_timeout = {LOCK_SECONDS * 1000}",
    "SET ROLE NONE",
    "SET standard_conforming_strings = on",
    "SET search_path = pg_catalog",
    "SET default_transaction_read_only = off",
)

_BOOL: Final = 16
_NUMBERS: Final = frozenset({20, 21, 23, 26})
"""Type numbers of int8, int2, int4 and oid."""

_PLACE: Final = re.compile("%s")

Result = TypeVar("Result")
Value = str | int | bool | None


class Row(msgspec.Struct, frozen=True):
    """One row: its values, and in `flaw` a description of a defect, "" for none.

    A row that was too long has only its first values; `digest` is the SHA-256 of the whole row.
    """

    values: tuple[Value, ...]
    flaw: str = ""
    digest: bytes = b""


class _Refused(Exception):
    """The server answered a statement with an error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TurnedAway(Unreachable):
    """The server did not let the account into this database; it may let it into another one."""


class Link:
    """An open connection in autocommit mode; each statement is its own transaction."""

    def __init__(self, way: Channel, login: Login) -> None:
        self._way = way
        self._columns: list[str] = []
        self.release = login.release
        """The version that the server reports, such as "16.2"."""
        self._process: Final = login.process

    def rows(self, query: LiteralString, *values: str, width: int) -> list[tuple[Value, ...]]:
        """Return the rows of a read-only query, with values bound to its %s.

        Here and below, a row with other than `width` values raises IntegrityError.
        """
        return self.table(query, *values, width=width)[1]

    def value(self, query: LiteralString, *values: str) -> Value:
        """Return the value of a read-only query with one row and one column."""
        rows = self.rows(query, *values, width=1)
        if len(rows) != 1:
            raise Unreachable("PostgreSQL answered a query for one row with several rows or none")
        return rows[0][0]

    def number(self, query: LiteralString, *values: str) -> int | None:
        """Return the number of a read-only query with one row and one column, None for null."""
        found = self.value(query, *values)
        if found is not None and not isinstance(found, int):
            raise Unreachable("PostgreSQL answered a query for a number with something else")
        return found

    def table(
        self, query: LiteralString, *values: str, width: int
    ) -> tuple[list[str], list[tuple[Value, ...]]]:
        """Return the column names and the rows of a read-only query."""
        rows = _guarded(lambda: self._fetch(query, values, width), Unreachable)
        return self._columns, rows

    def effects(self, query: LiteralString, *values: str, width: int) -> list[tuple[Value, ...]]:
        """Return the rows of a query that changes something."""
        return _guarded(lambda: self._fetch(query, values, width), Ambiguous)

    def stream(self, query: LiteralString) -> Iterator[Row]:
        """Yield the rows of query one by one, flawed ones included; read it to its end."""
        rows = self._run(query, ())
        while True:
            row = _guarded(lambda: next(rows, None), Unreachable)
            if row is None:
                return
            yield row

    @property
    def columns(self) -> list[str]:
        """Return the column names of the latest result."""
        return self._columns

    def leave(self) -> None:
        """Say goodbye to the server."""
        with suppress(OSError):
            self._way.send(wire.TERMINATE)

    def alter_role(self, username: str, change: LiteralString, literal: str | None = None) -> None:
        """Run ALTER ROLE username change, followed by literal, quoted, if it is given."""
        words = ["ALTER ROLE", quoted(username), change]
        if literal is not None:
            words.append("'" + literal.replace("'", "''") + "'")
        statement = " ".join(words)
        _guarded(lambda: self._do(statement), Ambiguous)

    def prepare(self) -> None:
        """Set the session's time limits, its role, and its search path, pg_catalog alone."""
        for setting in _SETTINGS:
            _guarded(partial(self._do, setting), Unreachable)

    def pooled(self) -> bool:
        """Return whether a pooler answers: the process is another than the login was told."""
        return self.value("SELECT pg_backend_pid()") != self._process

    def _do(self, statement: str) -> None:
        for _ in self._run(statement, ()):
            """These statements return no rows; rows that a server sends anyway are dropped."""

    def _fetch(self, query: str, values: tuple[str, ...], width: int) -> list[tuple[Value, ...]]:
        found: list[tuple[Value, ...]] = []
        for row in self._run(query, values):
            if len(found) >= MAX_ROWS:
                raise channel.Flooded(f"the server sent more than {MAX_ROWS} rows")
            if row.digest:
                raise channel.Flooded("the server sent a row that is too long")
            if len(row.values) != width:
                raise IntegrityError("the server sent a row of another width than was asked for")
            found.append(row.values)
        return found

    def _run(self, query: str, values: tuple[str, ...]) -> Iterator[Row]:
        """Run one statement and yield its rows; raise _Refused once the server is ready again."""
        numbers = iter(range(1, len(values) + 1))
        text = _PLACE.sub(lambda _: f"${next(numbers)}", query) if values else query
        self._way.send(wire.statement(text, values) if values else wire.query(text))
        refusal = ""
        types: list[int] = []
        while True:
            message = self._way.next()
            match message.kind:
                case b"T":
                    described = wire.columns(message.body)
                    self._columns = [name for name, _ in described]
                    types = [number for _, number in described]
                case wire.ROW:
                    yield _row(message, types)
                case b"E":
                    refusal = wire.sqlstate(message.body) or "?"
                case b"Z":
                    break
                case _:
                    pass  # notices, parameters and tags are not used
        if refusal:
            raise _Refused(refusal)


@contextmanager
def connect(
    target: Target,
    username: str,
    password: Secret,
    entropy: Entropy,
    *,
    database: str = "",
    budget: Budget | None = None,
    plain: bool = False,
) -> Iterator[Link]:
    """Open a link to target's database, or to another one; raise Unreachable on failure.

    The server must ask for SCRAM: the password is never sent in the clear. `plain` is for a
    pooler's console, which knows no settings.
    """
    _check(password)
    budget = budget or Budget(LINK_SECONDS, LINK_BYTES)
    with ExitStack() as stack:
        link = None
        for options in ("",) if plain else (_OPTIONS, _OPTIONS.replace(_SINCE_14, ""), ""):
            nonce = scram.nonce(entropy.token(scram.NONCE_BYTES))
            login = Login(
                username,
                password,
                database or target.database,
                nonce,
                action="",
                program="ironkeep",
                options=options,
            )
            link = _logged_in(stack, target, login, budget, final=not options)
            if link is not None:
                break
        assert link is not None, "the last attempt raises when it fails"
        if not plain:
            _prepared(link)
        yield link
        link.leave()


def _prepared(link: Link) -> None:
    try:
        link.prepare()
    except ConnectorError as failure:
        raise TurnedAway(str(failure), failure.upstream_code) from None


def quoted(name: str) -> str:
    """Return name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _logged_in(
    stack: ExitStack, target: Target, login: Login, budget: Budget, *, final: bool
) -> Link | None:
    """Connect and log in; raise Unreachable with the reason.

    Unless `final`, return None when start-up options were refused before a password was asked for,
    or when one of them is a setting that the server does not know.
    """
    try:
        way = stack.enter_context(channel.opened(target, budget, long_rows=True))
        outcome = converse(way, login)
        if outcome.state is Probe.ALIVE and not outcome.blocked:
            return Link(way, login)
    except (OSError, IntegrityError) as failure:
        outcome = login.broken_off(words_for(failure))
    # Raised outside of the except block, so that the connection's error is not chained to it.
    if (
        not final
        and outcome.code in _NO_OPTIONS
        and (not login.presented or outcome.code == _UNKNOWN_SETTING)
    ):
        return None
    kind = TurnedAway if outcome.blocked or outcome.code in _NOT_HERE else Unreachable
    raise kind(
        f"PostgreSQL did not let the account in: {outcome.reason}",
        outcome.code,
        full=outcome.code == FULL,
    )


def _row(message: wire.Message, types: list[int]) -> Row:
    cells = wire.cells(message.body, cut=message.size > 0)
    if len(cells) > len(types) or (len(cells) < len(types) and not message.size):
        raise IntegrityError("the server sent a row of another width than it described")
    flaw = f"{message.size} bytes are too many to be looked at" if message.size else ""
    values: list[Value] = []
    for cell, number in zip(cells, types, strict=False):
        try:
            values.append(_value(cell, number))
        except UnicodeDecodeError:
            values.append((cell or b"").decode(errors="backslashreplace"))
            flaw = flaw or "it is not valid in its encoding"
    return Row(tuple(values), flaw, message.digest)


def _value(cell: bytes | None, number: int) -> Value:
    """Return a value in PostgreSQL's text format as a Python value."""
    if cell is None:
        return None
    if number == _BOOL:
        return cell == b"t"
    text = cell.decode()
    return int(text) if number in _NUMBERS and _NUMBER.fullmatch(text) else text


_NUMBER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)


def _guarded(action: Callable[[], Result], uncertain: type[ConnectorError]) -> Result:
    """Return the result of action; raise Rejected for a definite refusal, else `uncertain`."""
    code, words = "", ""
    try:
        return action()
    except _Refused as refusal:
        code = refusal.code
    except (OSError, IntegrityError) as failure:
        words = words_for(failure)
    if not code:
        raise uncertain(f"PostgreSQL did not answer: {words}")
    if code.startswith(_UNCERTAIN):
        raise uncertain(f"PostgreSQL could not do it now ({code})", code, full=code == FULL)
    hint = _HINTS.get(code, "see its SQLSTATE")
    raise Rejected(f"PostgreSQL refused: {hint} ({code})", code, final=code in _NEVER)


def _check(password: Secret) -> None:
    """Raise InvalidRequest for a password that is not UTF-8, which no SCRAM login accepts."""
    try:
        password.reveal().decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the password of a login must be UTF-8") from None
