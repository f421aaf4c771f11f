"""Segments on a real server: what is in its memory, and how soon a cut is felt."""

import re
import sqlite3
import threading
import time
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from ironkeep.adapters.process.system import SystemEntropy
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.seal import config as seal_config
from ironkeep.seal.seal import Seal
from ironkeep.store.keyring import HOUSE, SegmentId
from ironkeep.store.state import State
from ironkeep.testing.server import ServerProcess

PROGRAM: Final = (str(Path(__file__).with_name("readable_server.py")),)
SECRETS: Final = 200
MAX_REGION: Final = 1 << 30

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/mem").exists(), reason="reads /proc/PID/mem, which is Linux's"
)


def memory_of(pid: int) -> Iterator[bytes]:
    """Yield every readable region of a process, as a core image would hold them."""
    regions = re.finditer(
        r"^([0-9a-f]+)-([0-9a-f]+) r\S+ .*$", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE
    )
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for region in regions:
            start, end = (int(text, 16) for text in region.groups())
            if "[vvar" in region[0] or "[vsyscall" in region[0] or end - start > MAX_REGION:
                continue
            memory.seek(start)
            yield memory.read(end - start)


def found_in(pid: int, needles: dict[str, bytes]) -> set[str]:
    """Return the names of the needles that are anywhere in the memory of a process."""
    found: set[str] = set()
    for region in memory_of(pid):
        found |= {name for name, needle in needles.items() if needle in region}
    return found


def keys_of_segments(database: Path, share: str) -> dict[str, bytes]:
    """Return every key of the one segment in a database, opened by its one share."""
    storage = SqliteStorage(database)
    try:
        tx = State(storage).begin()
        for _, row in tx.scan(seal_config.PLAIN_SPACE):
            try:
                segment = SegmentId(seal_config.decode(row.value).segment)
            except Exception:  # noqa: BLE001 - the other rows of this space: keyrings
                continue
            if segment == HOUSE:
                continue
            seal = Seal(segment, SystemEntropy())
            seal.load(tx)
            seal.unseal(tx, share)
            ring = seal.opened.keyring
            return {
                "root key": seal.opened.root_key.reveal(),
                "name key": ring.name_key.reveal(),
                "data key": ring.current.key.reveal(),
            }
    finally:
        storage.close()
    raise AssertionError("no segment is stored")


def build(server: ServerProcess) -> tuple[list[str], str, str]:
    """Make a house with an open segment `prod`; return the house's keys, a share, and a marker."""
    keys = server.initialise()
    sizes = {"secret_shares": 1, "secret_threshold": 1}
    made = server.api("PUT", "segment/segments/prod", sizes)
    share: str = made["data"]["keys"][0]
    server.api("PUT", "segment/segments/prod/unseal", {"key": share})
    mount = {"type": "kv", "options": {"version": "2", "segment": "prod"}}
    server.api("PUT", "sys/mounts/prod", mount)
    server.api("PUT", "segment/flows/house/prod", {"reason": "test"})
    return keys, share, "plant-" + SystemEntropy().token(12).hex()


def refused(server: ServerProcess, path: str) -> str:
    """Return the error that a read gives; fail when it gives none."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.api("GET", path)
    assert caught.value.code == 503
    return caught.value.read().decode()


@pytest.mark.parametrize("more", ["segments = []", ""], ids=["not served", "not unsealed"])
def test_a_server_without_a_segment_s_key_holds_neither_its_secrets_nor_its_keys(
    tmp_path: Path, more: str
) -> None:
    with ServerProcess.configured(tmp_path, program=PROGRAM) as first:
        keys, share, marker = build(first)
        for number in range(SECRETS):
            first.api("PUT", f"prod/data/s{number}", {"data": {"v": f"{marker}-{number}"}})
            first.api("GET", f"prod/data/s{number}")
        token, with_it = first.token, found_in(first.pid, {"value": marker.encode()})
        # The control: on a server that has read them, the search finds them.
        assert with_it == {"value"}
    needles = keys_of_segments(tmp_path / "data" / "ironkeep.db", share)
    needles |= {"value": marker.encode(), "share": bytes.fromhex(share), "hex": share.encode()}
    with ServerProcess.configured(tmp_path, program=PROGRAM, more=more) as second:
        for key in keys:
            second.api("PUT", "sys/unseal", {"key": key})
        second.token = token
        assert "segment 'prod' is sealed" in refused(second, "prod/data/s1")
        second.api("GET", "segment/segments/prod")
        assert found_in(second.pid, needles) == set()
        if more:
            with pytest.raises(urllib.error.HTTPError) as caught:
                second.api("PUT", "segment/segments/prod/unseal", {"key": share})
            assert "does not serve segment 'prod'" in caught.value.read().decode()
        else:
            second.api("PUT", "segment/segments/prod/unseal", {"key": share})
            assert second.api("GET", "prod/data/s1")["data"]["data"] == {"v": f"{marker}-1"}
            # The second control: with the key here, its parts are found too.
            assert {"value", "data key"} <= found_in(second.pid, needles)


@pytest.mark.parametrize("deed", ["cut", "seal"])
def test_a_segment_refuses_its_next_request(tmp_path: Path, deed: str) -> None:
    with ServerProcess.configured(tmp_path) as server:
        build(server)
        server.api("PUT", "prod/data/x", {"data": {"v": "1"}})
        answered: list[float] = []
        codes: set[int] = set()
        stop = threading.Event()

        def read_on() -> None:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    server.api("GET", "prod/data/x")
                except urllib.error.HTTPError as error:
                    codes.add(error.code)
                else:
                    answered.append(began)

        readers = [threading.Thread(target=read_on) for _ in range(4)]
        for reader in readers:
            reader.start()
        while len(answered) < 20:
            stop.wait(0.01)
        server.api("PUT", f"segment/segments/prod/{deed}")
        done = time.monotonic()
        refused(server, "prod/data/x")
        stop.set()
        for reader in readers:
            reader.join()
        # What is sent after the answer is refused, every time.
        assert [began for began in answered if began > done] == []
        assert codes <= {503}
        assert server.api("GET", "segment/segments/prod")["data"]["state"] == "sealed"


def plain_rows(database: Path) -> set[bytes]:
    """Return the values of all rows that can be read while sealed: seals and keyrings."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        found = reader.execute("SELECT value FROM row WHERE substr(key, 1, 1) = x'00'")
        return {bytes(value) for (value,) in found}


def test_the_wraps_of_a_destroyed_segment_are_in_no_file_of_the_server(tmp_path: Path) -> None:
    database = tmp_path / "data" / "ironkeep.db"
    with ServerProcess.configured(tmp_path) as server:
        keys, _, _ = build(server)
        token, before = server.token, plain_rows(database)
    stored = database.read_bytes()
    assert all(value[-32:] in stored for value in before)
    with ServerProcess.configured(tmp_path) as server:
        server.api("PUT", "sys/unseal", {"key": keys[0]})
        server.token = token
        server.api("PUT", "segment/segments/prod/destroy", {"confirm": "prod"})
        gone = before - plain_rows(database)
        assert len(gone) == 2
    for path in tmp_path.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(value[-32:] in content for value in gone), path
