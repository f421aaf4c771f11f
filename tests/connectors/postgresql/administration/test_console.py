"""A pooler's console: its clients are counted, and a list that is not understood is no count."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.core.credential.connector import Ambiguous, Target, Unreachable
from tests.connectors.postgresql.hostile import DONE, Server, message

CLIENTS = ("type", "user", "database", "state", "addr", "port", "connect_time", "ptr")
APP = ("C", "app", "orders", "active", "192.0.2.7", "40238", "2026-01-01 10:00:00 UTC", "0x1")
OTHER = ("C", "other", "orders", "active", "192.0.2.8", "1", "2026-01-01 10:00:00 UTC", "0x2")


def _columns(names: tuple[str, ...]) -> bytes:
    described = b"".join(
        name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0) for name in names
    )
    return message(b"T", struct.pack("!h", len(names)) + described)


def _row(values: tuple[str, ...]) -> bytes:
    cells = b"".join(struct.pack("!i", len(each)) + each.encode() for each in values)
    return message(b"D", struct.pack("!h", len(values)) + cells)


@contextmanager
def console(
    *clients: tuple[str, ...], columns: tuple[str, ...] = CLIENTS, seconds: str = "60"
) -> Iterator[Target]:
    """Have a pooler whose console lists these clients."""

    def answer(connection: socket.socket, query: str) -> None:
        if query.startswith("SHOW CLIENTS"):
            rows = b"".join(map(_row, clients))
            connection.sendall(_columns(columns) + rows + DONE)
        else:
            row = _row(("client_login_timeout", seconds))
            connection.sendall(_columns(("key", "value")) + row + DONE)

    server = Server(answer)
    try:
        yield replace(server.target, pooler=True)
    finally:
        assert any(b"pgbouncer" in each for each in server.received)
        server.close()


def test_the_clients_of_one_account_are_listed(connector: PostgreSQL) -> None:
    with console(APP, OTHER) as target:
        (found,) = connector.sessions(target, "app")
        assert (found.source, found.name) == (
            "pooler_client",
            "192.0.2.7:40238 since 2026-01-01 10:00:00 UTC",
        )
        with pytest.raises(Ambiguous, match="disconnect them there"):
            connector.kill_sessions(target, "app")


def test_without_clients_nothing_remains(connector: PostgreSQL) -> None:
    with console(OTHER) as target:
        assert connector.sessions(target, "app") == ()
        assert connector.kill_sessions(target, "app") == 0


@pytest.mark.parametrize(("said", "seconds"), [("60", 60), ("0.5", 1), ("0", -1), ("never", -1)])
def test_the_longest_login_there_is_its_setting(
    connector: PostgreSQL, said: str, seconds: int
) -> None:
    with console(seconds=said) as target:
        found = connector.logins(target)
    assert (found.under_way, found.longest_seconds, found.pooled) == (-1, seconds, True)


def test_a_list_without_the_columns_is_no_count(connector: PostgreSQL) -> None:
    with (
        console(("app",), columns=("user",)) as target,
        pytest.raises(Unreachable, match="not known"),
    ):
        connector.sessions(target, "app")
