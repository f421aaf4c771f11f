"""The files of a running server are changed by somebody with root on its machine.

Gains: a revoked token works again, an old secret is served, a removed rule is in force again; or
answers leave for changes that no file holds.
"""

import re
import shutil
import sqlite3
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from ironkeep.testing.server import ServerProcess

Rows = dict[bytes, tuple[bytes, bytes, int | None, int]]
PATIENCE_SECONDS = 60.0
READ = 'path "secret/*" { capabilities = ["read"] }'
PUT = (
    "INSERT INTO row (key, value, due, seq) VALUES (?, ?, ?, ?) ON CONFLICT (key)"
    " DO UPDATE SET value = excluded.value, due = excluded.due"
)


class Estate:
    """A server with a secret and a token, and the rows from before both changed."""

    def __init__(self, home: Path, server: ServerProcess) -> None:
        self.home, self.data, self.server = home, home / "data", server
        (self.key,) = server.initialise()
        server.api("POST", "sys/mounts/secret", {"type": "kv"})
        for number in range(20):
            server.api("POST", f"secret/k{number}", {"v": f"old {number}"})
        server.api(
            "PUT", "sys/policies/acl/p", {"policy": 'path "secret/*" { capabilities = ["read"] }'}
        )
        auth = server.api("POST", "auth/token/create", {"policies": ["p"]})["auth"]
        self.stolen, self.root = str(auth["client_token"]), server.token
        self.before = self.rows()
        server.api("POST", "auth/token/revoke", {"token": self.stolen})
        for number in range(20):
            server.api("POST", f"secret/k{number}", {"v": f"new {number}"})

    def rows(self) -> Rows:
        with closing(sqlite3.connect(self.data / "ironkeep.db", timeout=10)) as other:
            return {row[0]: row for row in other.execute("SELECT key, value, due, seq FROM row")}

    def sql(self, statement: str, values: Sequence[tuple[object, ...]] | None = None) -> None:
        with closing(sqlite3.connect(self.data / "ironkeep.db", timeout=10)) as other:
            other.executemany(statement, values if values is not None else [()])
            other.commit()

    def outcome(
        self, method: str, path: str, token: str, data: dict[str, str] | None = None
    ) -> str:
        """Return the value that a request is answered with, "ok", or its status."""
        self.server.token = token
        try:
            answer = self.server.api(method, path, data)
        except urllib.error.HTTPError as error:
            return str(error.code)
        return str(answer["data"]["v"]) if answer else "ok"

    def said(self, pattern: str) -> str:
        """Wait until the server has written a line like this on standard error; return it all."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, text := (self.home / "server.err").read_text()):
            assert time.monotonic() < end, text
            time.sleep(0.1)
        return text


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    with ServerProcess.configured(tmp_path) as server:
        yield Estate(tmp_path, server)


def put_back(estate: Estate) -> None:
    estate.sql(PUT, list(estate.before.values()))


def swap(estate: Estate) -> None:
    rows = sorted(estate.rows().values())
    pairs = [(b[1], a[0]) for a, b in zip(rows, [*rows[1:], rows[0]], strict=True)]
    estate.sql("UPDATE row SET value = ? WHERE key = ?", pairs)


def change(estate: Estate) -> None:
    estate.sql("UPDATE row SET value = CAST(substr(value, 1, length(value) - 1) || x'00' AS BLOB)")


def remove(estate: Estate) -> None:
    estate.sql("DELETE FROM row")


ATTACKS = [put_back, swap, change, remove]


@pytest.mark.parametrize("attack", ATTACKS)
def test_changed_rows_seal_a_server_that_reads_them(
    estate: Estate, attack: Callable[[Estate], None]
) -> None:
    estate.server.api("POST", "sys/seal")
    estate.server.api("POST", "sys/unseal", {"key": estate.key})
    attack(estate)
    for number in range(20):
        got = estate.outcome("GET", f"secret/k{number}", estate.root)
        assert got in {f"new {number}", "500", "503", "403"}
    assert estate.outcome("GET", "secret/k1", estate.stolen) in {"403", "500", "503"}
    text = estate.said(r"row [0-9a-f]{20,} .*(put back|was changed)|was removed")
    assert "sealed: a stored row does not verify" in text
    assert estate.outcome("POST", "secret/k1", estate.root, {"v": "later"}) == "503"


@pytest.mark.parametrize("attack", ATTACKS)
def test_changed_rows_that_are_in_memory_are_served_as_they_were_committed(
    estate: Estate, attack: Callable[[Estate], None]
) -> None:
    attack(estate)
    for number in range(20):
        got = estate.outcome("GET", f"secret/k{number}", estate.root)
        assert got in {f"new {number}", "500", "503", "403"}
    assert estate.outcome("GET", "secret/k1", estate.stolen) in {"403", "500", "503"}


def cut(estate: Estate) -> None:
    for file in estate.data.glob("audit/*/wal/0*.wal"):
        with file.open("r+b") as stream:
            stream.truncate(1_000)


def cut_by_a_byte(estate: Estate) -> None:
    file = max(estate.data.glob("audit/*/wal/0*.wal"))
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size - 1)


def move_away(estate: Estate) -> None:
    (estate.data / "audit").rename(estate.home / "moved")


def exchange(estate: Estate) -> None:
    """Put a copy in the place of the file: the server would write into one that nobody finds."""
    file = max(estate.data.glob("audit/*/wal/0*.wal"))
    shutil.copy(file, file.with_suffix(".copy"))
    file.with_suffix(".copy").rename(file)


@pytest.mark.parametrize("attack", [cut, cut_by_a_byte, move_away, exchange])
def test_a_journal_that_is_cut_or_moved_away_fails_the_next_answer(
    estate: Estate, attack: Callable[[Estate], None]
) -> None:
    attack(estate)
    assert estate.outcome("POST", "secret/k1", estate.root, {"v": "later"}) == "503"
    assert estate.outcome("GET", "secret/k1", estate.root) == "503"
    estate.said(r"sealed: .*(cut|moved or deleted|No such file)")
