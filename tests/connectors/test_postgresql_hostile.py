"""What a server that was taken over may cost: bytes, time, memory, and one odd thing at a time."""

import base64
import hashlib
import hmac
import os
import socket
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ironkeep.connectors.postgresql import PostgreSQL, channel, link, stock
from ironkeep.core.connector import Ambiguous, ConnectorError, Probe, Target, Tls, Unreachable
from ironkeep.core.inventory import MAX_ENCODED_BYTES, encode
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer

PASSWORD = b"the administrator's"
READY = b"Z\0\0\0\x05I"


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


DONE = message(b"C", b"SELECT 1\0") + READY
COLUMN = message(
    b"T", struct.pack("!h", 1) + b"name\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
)


def row(value: bytes) -> bytes:
    return message(b"D", struct.pack("!hi", 1, len(value)) + value)


class Server:
    """A server that holds the administrator's verifier, and answers statements as it likes."""

    def __init__(self, answer: Callable[[socket.socket, str], None]) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.target = Target(
            "127.0.0.1", self._listening.getsockname()[1], "db", "admin", Secret(PASSWORD),
            Tls.DISABLE,
        )  # fmt: skip

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, suppress(OSError, EOFError):
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        (size,) = struct.unpack("!i", _exactly(connection, 4))
        _exactly(connection, size - 4)
        connection.sendall(message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
        bare = _message(connection)[1].partition(b"n,,")[2]
        first = b"r=" + bare.partition(b"r=")[2] + b"x,s=AAAA,i=1"
        connection.sendall(message(b"R", struct.pack("!i", 11) + first))
        final = _message(connection)[1]
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD, base64.b64decode("AAAA"), 1)
        key = hmac.digest(salted, b"Server Key", "sha256")
        text = b",".join((bare, first, final[: final.rindex(b",p=")]))
        proof = base64.b64encode(hmac.digest(key, text, "sha256"))
        connection.sendall(message(b"R", struct.pack("!i", 12) + b"v=" + proof))
        connection.sendall(message(b"R", struct.pack("!i", 0)) + READY)
        while True:
            kind, body = _message(connection)
            if kind == b"Q" and body.startswith(b"SET"):
                connection.sendall(DONE)
            elif kind in {b"Q", b"P"}:
                self._answer(connection, body.decode())


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def _message(connection: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(connection, 1)
    return kind, _exactly(connection, struct.unpack("!i", _exactly(connection, 4))[0] - 4)


@contextmanager
def serving(answer: Callable[[socket.socket, str], None]) -> Iterator[Target]:
    server = Server(answer)
    try:
        yield server.target
    finally:
        server.close()


def endless(part: bytes) -> Callable[[socket.socket, str], None]:
    def answer(connection: socket.socket, _query: str) -> None:
        connection.sendall(COLUMN)
        while True:
            connection.sendall(part * 100)

    return answer


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
        rows = b"" if "datallowconn FROM pg_database ORDER" in query else row(b"plain")
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
