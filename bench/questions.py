"""The latency of reads while searches of a long journal run.

    python bench/questions.py [--entries 500000] [--seconds 10] [--connections 16] [--rounds 3]

A real server on disk. Reads by `wrk` fill the journal; then rounds of reads alone and of reads with
two clients that search without a pause alternate. One client looks for what no entry has, which
opens every entry; the other looks for a token's entries, which the index finds.
"""

import argparse
import json
import subprocess
import threading
import time
from typing import Any

import httpx
from house import KEYS, House, running
from processes import HERE, Process

FILL_SECONDS = 20
FILL_CONNECTIONS = 64
PATIENCE = 120.0
SEARCH = "/v1/sys/audit/log/search"


def reads(house: House, seconds: int, connections: int) -> dict[str, Any]:
    """Read by wrk; return its figures."""
    load = ["-s", str(HERE / "reads.lua"), f"{house.urls['plain']}/", "--"]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *load, str(house.tokens)]
    done = subprocess.run([*command, str(KEYS)], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


class Searches:
    """Clients that search without a pause, as long as the block lasts."""

    def __init__(self, house: House, token: str, queries: list[dict[str, Any]]) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(house, token, query)) for query in queries
        ]

    def _run(self, house: House, token: str, query: dict[str, Any]) -> None:
        headers = {"X-Vault-Token": token}
        with httpx.Client(headers=headers, timeout=PATIENCE) as client:
            while not self._over.is_set():
                began = time.perf_counter()
                answer = client.get(house.urls["plain"] + SEARCH, params=query)
                answer.raise_for_status()
                took = time.perf_counter() - began
                self.seconds.setdefault(next(iter(query)), []).append(took)

    def __enter__(self) -> "Searches":
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_rest: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


def fill(house: House, token: str, entries: int) -> int:
    """Read until the journal has so many leaves; return their number."""
    headers = {"X-Vault-Token": token}
    while True:
        answer = httpx.get(house.urls["plain"] + SEARCH, params={"limit": 1}, headers=headers)
        size: int = answer.raise_for_status().json()["data"]["size"]
        print(f"{size:,} leaves", flush=True)
        if size >= entries:
            return size
        reads(house, FILL_SECONDS, FILL_CONNECTIONS)


def measure(house: House, server: Process, token: str, options: argparse.Namespace) -> None:
    """Print the figures of each round."""
    fill(house, token, options.entries)
    accessor = httpx.get(
        f"{house.urls['plain']}/v1/auth/token/lookup-self",
        headers={"X-Vault-Token": house.tokens.read_text().split()[0]},
    ).json()["data"]["accessor"]
    queries = [{"op": "none"}, {"accessor": accessor, "limit": 100, "newest": "true"}]
    for _ in range(options.rounds):
        for name in ("alone", "searched"):
            running = Searches(house, token, queries if name == "searched" else [])
            before = server.cpu_seconds
            with running:
                found = reads(house, options.seconds, options.connections)
                cpu = server.cpu_seconds - before
            count = found["requests"]
            took = ", ".join(
                f"{what} {len(each)} times, median {sorted(each)[len(each) // 2]:.2f} s"
                for what, each in running.seconds.items()
            )
            print(
                f"{name:9}{count / found['us'] * 1e6:9,.0f}/s  p50 {found['p50_us'] / 1e3:7.2f} ms"
                f"  p99 {found['p99_us'] / 1e3:7.2f} ms  {cpu / count * 1e6:6.1f} us  {took}",
                flush=True,
            )


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with running() as (house, server):
        measure(house, server, house.fill(), options)


if __name__ == "__main__":
    main()
