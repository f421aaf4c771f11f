"""Start with many rows: time until the first answer, memory, and the check of all rows, with reads.

    python bench/many_rows.py [ROWS]

A real server is initialised. Its directory is then filled through the same ledger that the server
uses, and the server is started on it again. Nothing is asserted: the figures are for people.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from ironkeep.app import Server
from ironkeep.config.file import load
from ironkeep.kernel.opening import open_house
from ironkeep.testing.server import ServerProcess

BATCH: Final = 2_000
RUNS: Final = 4
RUN_SECONDS: Final = 5
VALUE: Final = b'{"v":"' + b"x" * 180 + b'"}'


def fill(home: Path, key: str, rows: int) -> None:
    """Write rows into the mount secret/, a few thousand a commit."""
    server = Server(load(home / "ironkeep.hcl"))
    house = server.house
    house.seal.unseal(house.state.begin(), key)
    tx = house.state.begin()
    open_house(house, tx)
    tx.merge()
    mount = house.mounts.table(house.store(house.state.begin(), "sys/mounts")).by_path["secret/"]
    for first in range(0, rows, BATCH):
        tx = house.state.begin()
        store = house.mount_store(tx, mount)
        for number in range(first, min(first + BATCH, rows)):
            store.put(f"app/{number % 100}/{number}", VALUE)
        tx.merge()
        batch = house.ledger.close()
        assert batch is not None
        house.ledger.persist(batch)
        house.ledger.settle(batch)
        if first % (50 * BATCH) == 0:
            house.journal.rotate_wal()
            server.storage.checkpoint()
    house.journal.checkpoint()
    server.close()


def resident(pid: int) -> int:
    """Return the resident megabytes of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) >> 10


def measure(home: Path, key: str, root: str, rows: int) -> None:
    """Start the server and print how long everything takes."""
    began = time.monotonic()
    with ServerProcess.configured(home) as server:
        listening = time.monotonic()
        server.api("PUT", "sys/unseal", {"key": key})
        unsealed = time.monotonic()
        server.token = root
        server.api("GET", "secret/known")
        first = time.monotonic()
        print(
            f"{rows} rows: listening after {listening - began:.2f} s, unsealed in "
            f"{unsealed - listening:.2f} s, first read in {(first - unsealed) * 1000:.1f} ms, "
            f"{resident(server.pid)} MB"
        )
        during = rates(server) if not passes(server) else []
        while not passes(server):
            time.sleep(1)
        print(f"all rows checked after {time.monotonic() - unsealed:.0f} s")
        print(f"then {resident(server.pid)} MB")
        after = rates(server)
        print(f"reads/s during the check: {during}, after it: {after}")


def passes(server: ServerProcess) -> int:
    """Return how often all rows were checked."""
    return int(server.api("GET", "sys/seal-status")["row_check"]["passes"])


def rates(server: ServerProcess) -> list[int]:
    """Return the reads a second of a secret in each of some short runs of wrk."""
    found = []
    header, url = f"X-Vault-Token: {server.token}", f"{server.address}/v1/secret/known"
    command = ["wrk", "-t1", "-c16", f"-d{RUN_SECONDS}s", "-H", header, url]
    for _ in range(RUNS):
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append(int(float(out.partition("Requests/sec:")[2].split()[0])))
    return found


def main(rows: int) -> None:
    """Make the directory, and measure."""
    with tempfile.TemporaryDirectory(prefix="ironkeep-rows-") as made:
        home = Path(made)
        with ServerProcess.configured(home) as server:
            (key,) = server.initialise()
            server.api("POST", "sys/mounts/secret", {"type": "kv"})
            server.api("POST", "secret/known", {"v": "value"})
            root = server.token
        began = time.monotonic()
        fill(home, key, rows)
        size = (home / "data" / "ironkeep.db").stat().st_size >> 20
        print(f"filled in {time.monotonic() - began:.0f} s, database of {size} MB")
        measure(home, key, root, rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
