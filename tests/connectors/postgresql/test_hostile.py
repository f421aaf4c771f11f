"""What a server that was taken over may cost: bytes, time, memory, and one odd thing at a time."""

import os
import socket
import struct
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ironkeep.connectors.postgresql import PostgreSQL, channel, link, refusal, stock
from ironkeep.core.credential.connector import (
    Ambiguous,
    ConnectorError,
    Probe,
    Target,
    Tls,
    Unreachable,
)
from ironkeep.core.credential.inventory import MAX_ENCODED_BYTES, encode
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer
from tests.connectors.postgresql.hostile import (
    COLUMN,
    DONE,
    PASSWORD,
    READY,
    endless,
    message,
    row,
    serving,
)

ENDLESS = {
    "rows": endless(row(b"x y " * 1500)),
    "small rows": endless(row(b"x")),
    "notices": endless(message(b"N", b"SNOTICE\0C00000\0Mhello\0\0")),
    "one row without end": endless(b"D" + struct.pack("!i", 2**31 - 1) + b"x" * 1000),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_is_sent_without_end_is_cut_off_and_little_of_it_is_kept(
    connector: PostgreSQL, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "STOCK_BYTES", 2 << 20)
    monkeypatch.setattr(stock, "MAX_ITEMS", 1000)
    monkeypatch.setattr(link, "LINK_BYTES", 1 << 20)
    monkeypatch.setattr(link, "MAX_ROWS", 1000)
    with serving(ENDLESS[kind]) as target:
        assert connector.probe(target, "admin", Secret(PASSWORD)).state is Probe.ALIVE
        tracemalloc.start()
        try:
            with suppress(ConnectorError):
                assert connector.inventory(target).gaps
            with pytest.raises(Unreachable):
                connector.sessions(target, "app")
            with pytest.raises(Ambiguous):
                connector.kill_sessions(target, "app")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 << 20


def test_a_byte_now_and_then_does_not_hold_a_worker(
    connector: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "LINK_SECONDS", 1)
    stop = threading.Event()

    def drip(connection: socket.socket, _query: str) -> None:
        notice = message(b"N", b"x" * 4000)
        for at in range(len(notice)):
            if stop.wait(0.05):
                return
            connection.sendall(notice[at : at + 1])

    with serving(drip) as target, pytest.raises(Unreachable, match="in time"):
        connector.sessions(target, "app")
    stop.set()


def test_a_server_that_falls_silent_is_let_go(
    connector: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "SILENCE_SECONDS", 0.5)
    with serving(lambda _connection, _query: None) as target, pytest.raises(Unreachable):
        connector.sessions(target, "app")


def test_the_text_of_an_error_is_not_passed_on(connector: PostgreSQL) -> None:
    error = message(b"E", b"SERROR\0C42501\0Mcanary " + b"x" * 30_000 + b"\0\0") + READY

    with (
        serving(lambda connection, _query: connection.sendall(error)) as target,
        pytest.raises(ConnectorError) as refused,
    ):
        connector.lock(target, "app")
    assert "canary" not in str(refused.value)
    assert refused.value.upstream_code == "42501"


ODD = {
    "a role that is not valid in its encoding": row(b"\xff\xfe"),
    "a role that is too long": row(b"x" * (3 << 20)),
    "two that are called alike": row(b"twin") + row(b"twin"),
}


@pytest.mark.parametrize("name", ODD)
def test_one_odd_item_is_a_gap_and_the_others_are_there(connector: PostgreSQL, name: str) -> None:
    def answer(connection: socket.socket, query: str) -> None:
        odd = ODD[name] if "FROM pg_roles" in query else b""
        rows = b"" if "FROM pg_database ORDER" in query else row(b"plain")
        connection.sendall(COLUMN + rows + odd + DONE)

    with serving(answer) as target:
        found = connector.inventory(replace(target, digest_key=Secret(b"key")))
        again = connector.inventory(replace(target, digest_key=Secret(b"key")))
    assert any(gap.startswith("role") for gap in found.gaps)
    assert {each.source for each in found.items if each.name == "plain"} >= {"role", "database"}
    assert encode(found) == encode(again)
    assert len(encode(found)) < MAX_ENCODED_BYTES


def test_what_is_past_the_limit_is_a_gap_and_the_rest_is_kept(
    connector: PostgreSQL, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = connector.inventory(postgres.target())
    for limit in (1, 40, len(whole.items) - 1):
        monkeypatch.setattr(stock, "MAX_ITEMS", limit)
        found = connector.inventory(postgres.target())
        assert len(found.items) == limit
        assert len(found.gaps) == 1
        assert "more than can be kept" in found.gaps[0]
    monkeypatch.setattr(stock, "MAX_ITEMS", len(whole.items))
    assert connector.inventory(postgres.target()) == whole


def test_objects_that_are_spelt_alike_are_told_apart(
    connector: PostgreSQL, postgres: PostgresServer, database: str
) -> None:
    postgres.execute(
        "CREATE SCHEMA a", 'CREATE SCHEMA "a.b"',
        'CREATE FUNCTION a."b.c"() RETURNS int LANGUAGE sql AS \'SELECT 1\'',
        'CREATE FUNCTION "a.b".c() RETURNS int LANGUAGE sql AS \'SELECT 1\'',
        'CREATE TABLE a."b.c" (n int)', 'CREATE TABLE "a.b".c (n int)',
        'CREATE ROLE "every role"', "CREATE ROLE x", 'CREATE ROLE "x in x"',
        'GRANT "x in x" TO x', 'GRANT x TO "every role"',
        'ALTER ROLE "every role" SET work_mem = 64', "ALTER ROLE ALL SET work_mem = 65",
        database=database,
    )  # fmt: skip
    try:
        found = connector.inventory(postgres.target())
    finally:
        postgres.execute(
            'DROP ROLE "every role"', "DROP ROLE x", 'DROP ROLE "x in x"',
            "ALTER ROLE ALL RESET work_mem",
        )  # fmt: skip
    assert found.gaps == ()
    names = {each.name for each in found.items}
    assert {f'{database}: a."b.c"()', f'{database}: "a.b".c()'} <= names
    assert {'"every role" in every database', "every role in every database"} <= names


FILES: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a directory": lambda path: path.mkdir(),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "nothing": lambda _path: None,
    "no certificate": lambda path: path.write_text("no certificate"),
    "too long": lambda path: path.write_bytes(b"-----BEGIN CERTIFICATE-----\n" + b"x" * (2 << 20)),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_authorities_is_a_small_regular_one(
    connector: PostgreSQL, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "ca"
    FILES[kind](path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        target = Target("127.0.0.1", port, "db", "admin", Secret(b"x"), Tls.VERIFY_FULL, str(path))
        found = connector.probe(target, "admin", Secret(b"x"))
        assert found.state is Probe.UNKNOWN
        assert "in time" not in found.reason
        with pytest.raises(Unreachable):
            connector.lock(target, "app")


def test_a_budget_counts_messages_too() -> None:
    budget = channel.Budget(60, 4 * channel.SMALL_BYTES)
    for _ in range(4):
        budget.count()
    with pytest.raises(channel.Flooded):
        budget.count()
    budget.spend(4 * channel.SMALL_BYTES)
    with pytest.raises(channel.Flooded):
        budget.spend(1)


def described(width: int, number: int) -> bytes:
    column = b"name\0" + struct.pack("!ihihih", 0, 0, number, -1, -1, 0)
    return message(b"T", struct.pack("!h", width) + column * width)


def cells(*values: bytes | None) -> bytes:
    parts = [
        struct.pack("!i", -1) if each is None else struct.pack("!i", len(each)) + each
        for each in values
    ]
    return message(b"D", struct.pack("!h", len(values)) + b"".join(parts))


SHAPES = {
    f"{count} rows of {width} values {value!r} as type {number}": (
        (described(width, number) if number else b"") + cells(*[value] * width) * count
    )
    for width, number in [
        (0, 0),
        (0, 25),
        *((width, 25) for width in range(1, 12)),
        (2, 16),
        (5, 20),
    ]
    for value in (b"{", None)
    for count in (0, 2)
}
"""What a server may answer whatever it was asked; 0 is a row that was never described."""


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_another_shape_than_was_asked_for_are_refused(
    connector: PostgreSQL, shape: str
) -> None:
    def doubt() -> None:
        entropy = connector._entropy
        with link.connect(target, "admin", Secret(PASSWORD), entropy) as way:
            refusal.doubt(way, "app")

    with serving(lambda way, _query: way.sendall(SHAPES[shape] + DONE)) as target:
        for method in (
            lambda: connector.set_password(target, "app", Secret(b"x"), None),
            lambda: connector.probe(target, "admin", Secret(PASSWORD)),
            lambda: connector.lock(target, "app"),
            lambda: connector.unlock(target, "app"),
            lambda: connector.kill_sessions(target, "app"),
            lambda: connector.sessions(target, "app"),
            lambda: connector.inventory(target),
            doubt,
        ):
            with suppress(ConnectorError):
                method()
