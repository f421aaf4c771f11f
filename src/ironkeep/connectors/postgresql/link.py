"""One administrative connection to PostgreSQL, bounded in time and bytes, whose errors are ours.

It speaks the protocol itself. libpq, which stands behind every driver, takes from the environment
and from files of the user's what is not said to it (PGHOSTADDR, PGSERVICE, PGOPTIONS, ~/.pgpass,
~/.postgresql), reports a refused login without its SQLSTATE, and keeps whole whatever a server
sends it.

Nothing of the server's errors is passed on but the SQLSTATE: their text can quote the statement,
which holds a password verifier.
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
"""For everything done over one connection. The server bounds its statements itself; this is for a
server that has stopped answering, or answers a byte at a time."""

LINK_BYTES: Final = 16 * 1024 * 1024
"""For everything that is received over one connection; a list of 10,000 sessions takes 3 MB."""

MAX_ROWS: Final = 50_000
"""In one answer to an ordinary question; a server has no more sessions than that."""

_UNCERTAIN: Final = ("08", "53", "57P", "58", "XX")
"""SQLSTATE classes after which a statement may have been carried out all the same."""

_NEVER: Final = ("42501", "42704", "22023")
"""A statement that was refused so is refused again: no such role, no privilege, bad password."""

_HINTS: Final = {
    "22021": "something in it is not valid in its encoding",
    "22023": "the server's password policy refused the new password",
    "25006": "the server, or the session, is read only",
    "42501": "the account lacks a privilege: see the required privileges in the documentation",
    "42704": "there is no such role",
    "55P03": "another session holds a lock on it",
    "57014": "the server did not finish in time, and undid it",
}

# Without pg_catalog alone to look in, an intruder's functions and tables would answer for the real.
_SETTINGS: Final = (
    f"SET statement_timeout = {STATEMENT_SECONDS * 1000}",
    f"SET lock_timeout = {LOCK_SECONDS * 1000}",
    "SET search_path = pg_catalog",
    "SET default_transaction_read_only = off",
)

_BOOL: Final = 16
_NUMBERS: Final = frozenset({20, 21, 23, 26})
"""Types by number: int8, int2, int4, oid."""

_PLACE: Final = re.compile("%s")

Result = TypeVar("Result")
Value = str | int | bool | None


class Row(msgspec.Struct, frozen=True):
    """One row: its values, and what is odd about it, if anything.

    Of a row that was too long only the first values are there; `digest` is the SHA-256 of it all.
    """

    values: tuple[Value, ...]
    flaw: str = ""
    digest: bytes = b""


class _Refused(Exception):
    """The server answered a statement with an error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Link:
    """An open connection in autocommit mode; each statement is its own transaction."""

    def __init__(self, way: Channel, release: str) -> None:
        self._way = way
        self._columns: list[str] = []
        self.release = release
        """The server's version as it says it, such as "16.2"."""

    def rows(self, query: LiteralString, *values: str, width: int) -> list[tuple[Value, ...]]:
        """Return the rows of query, with values bound to its %s; it must change nothing.

        Each row has `width` values, here and below, or the server is not believed.
        """
        return self.table(query, *values, width=width)[1]

    def value(self, query: LiteralString, *values: str) -> Value:
        """Return the one value that query asks for; it must change nothing."""
        rows = self.rows(query, *values, width=1)
        if len(rows) != 1:
            raise Unreachable("PostgreSQL answered one question with several rows, or with none")
        return rows[0][0]

    def table(
        self, query: LiteralString, *values: str, width: int
    ) -> tuple[list[str], list[tuple[Value, ...]]]:
        """Return the column names and the rows of query; it must change nothing."""
        rows = _guarded(lambda: self._fetch(query, values, width), Unreachable)
        return self._columns, rows

    def effects(self, query: LiteralString, *values: str, width: int) -> list[tuple[Value, ...]]:
        """Return the rows of a query that changes something."""
        return _guarded(lambda: self._fetch(query, values, width), Ambiguous)

    def stream(self, query: LiteralString) -> Iterator[Row]:
        """Yield the rows of query one by one, odd ones included; read it to its end."""
        rows = self._run(query, ())
        while True:
            row = _guarded(lambda: next(rows, None), Unreachable)
            if row is None:
                return
            yield row

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns of what is read now."""
        return self._columns

    def alter_role(self, username: str, change: LiteralString, literal: str | None = None) -> None:
        """Run ALTER ROLE username change, with literal quoted after it when there is one."""
        words = ["ALTER ROLE", quoted(username), change]
        if literal is not None:
            words.append("'" + literal.replace("'", "''") + "'")
        statement = " ".join(words)
        _guarded(lambda: self._do(statement), Ambiguous)

    def prepare(self) -> None:
        """Bound the session's statements, and have it look in pg_catalog alone."""
        for setting in _SETTINGS:
            _guarded(partial(self._do, setting), Unreachable)

    def _do(self, statement: str) -> None:
        for _ in self._run(statement, ()):
            """Nothing that is run so returns rows; what a server sends all the same is dropped."""

    def _fetch(self, query: str, values: tuple[str, ...], width: int) -> list[tuple[Value, ...]]:
        found: list[tuple[Value, ...]] = []
        for row in self._run(query, values):
            if len(found) >= MAX_ROWS:
                raise channel.Flooded(f"the server sent more than {MAX_ROWS} rows")
            if row.digest:
                raise channel.Flooded("the server sent a row that is too long")
            if len(row.values) != width:
                raise IntegrityError("the server sent a row of another shape than was asked for")
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
                    pass  # notices, parameters, tags: nothing that is used
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
) -> Iterator[Link]:
    """Open a link to target's database, or another one; raise Unreachable when it cannot be.

    The server must ask for SCRAM: the password is sent to none that asks for it in the clear.
    """
    _check(password)
    budget = budget or Budget(LINK_SECONDS, LINK_BYTES)
    nonce = scram.nonce(entropy.token(scram.NONCE_BYTES))
    login = Login(
        username, password, database or target.database, nonce, action="", program="ironkeep"
    )
    with ExitStack() as open_ones:
        way = _entered(open_ones, target, login, budget)
        link = Link(way, login.release)
        link.prepare()
        yield link
        with suppress(OSError):
            way.send(wire.TERMINATE)


def quoted(name: str) -> str:
    """Return name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _entered(open_ones: ExitStack, target: Target, login: Login, budget: Budget) -> Channel:
    """Connect and log in; raise Unreachable with what the server said."""
    try:
        way = open_ones.enter_context(channel.opened(target, budget, long_rows=True))
        outcome = converse(way, login)
        if outcome.state is Probe.ALIVE and not outcome.blocked:
            return way
    except (OSError, IntegrityError) as failure:
        outcome = login.broken_off(words_for(failure))
    # Raised out here: no error of the way in may be our context.
    raise Unreachable(
        f"PostgreSQL did not let the account in: {outcome.reason}",
        outcome.code,
        full=outcome.code == FULL,
    )


def _row(message: wire.Message, types: list[int]) -> Row:
    cells = wire.cells(message.body, cut=message.size > 0)
    if len(cells) > len(types) or (len(cells) < len(types) and not message.size):
        raise IntegrityError("the server sent a row of another shape than it described")
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
    """Return a value in text format as Python's."""
    if cell is None:
        return None
    if number == _BOOL:
        return cell == b"t"
    text = cell.decode()
    return int(text) if number in _NUMBERS and _NUMBER.fullmatch(text) else text


_NUMBER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)


def _guarded(action: Callable[[], Result], uncertain: type[ConnectorError]) -> Result:
    """Return what action returns; raise Rejected for the server's no, else an uncertain."""
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
    """Raise InvalidRequest when a password is not UTF-8, which no login by SCRAM takes."""
    try:
        password.reveal().decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the password of a login must be UTF-8") from None
