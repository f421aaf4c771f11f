"""How long everybody else waits while one client does something large, on a real server.

    python bench/steady.py [--scale 1.0] [--only NAME ...]

For each row, a server is filled, the operation runs on one connection, and a second connection
reads a small secret without a pause until the server has worked off what the operation left behind.
Reported are the longest wait and the 99th percentile of the second connection, the same while
nothing else runs, and the operation's own time. The client shares the machine, and other processes
lengthen every wait: bench/stretches.py gives the CPU time of the longest stretch without them.
"""

import argparse
import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from house import running

IDLE_SECONDS = 3.0
AFTER_SECONDS = 3.0
FILLERS = 8
LIMIT_MS = 50.0


class Client:
    """One keep-alive connection with a token."""

    def __init__(self, url: str, token: str = "") -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=600)
        self._headers = {"X-Vault-Token": token} if token else {}

    def ask(self, method: str, path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request; return the parsed answer, and stop at an error."""
        body = None if data is None else json.dumps(data)
        self._connection.request(method, f"/v1/{path}", body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise SystemExit(f"{method} {path}: {answer.status} {content[:300]!r}")
        found: dict[str, Any] = json.loads(content) if content else {}
        return found


class Other:
    """The second connection: reads a small secret again and again, and times each read."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stop = threading.Event()
        self.waits: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Other":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            start = time.perf_counter()
            self._client.ask("GET", "small/x")
            self.waits.append((time.perf_counter() - start) * 1e3)
            time.sleep(0.001)

    def figures(self) -> str:
        """Return the longest wait and the 99th percentile in milliseconds."""
        p99 = statistics.quantiles(self.waits, n=100)[98]
        return f"longest {max(self.waits):7.1f} ms  p99 {p99:6.1f} ms"


class Bench:
    """A running server and its clients."""

    def __init__(self, url: str, root: str, scale: float) -> None:
        self.url, self.root, self.scale = url, root, scale
        self.client = Client(url, root)
        self.client.ask("PUT", "sys/mounts/small", {"type": "kv"})
        self.client.ask("PUT", "small/x", {"a": "b"})

    def many(self, count: int, work: Callable[[Client, int], object]) -> None:
        """Do work count times over several connections."""
        total = int(count * self.scale)

        def part(number: int) -> None:
            client = Client(self.url, self.root)
            for each in range(number, total, FILLERS):
                work(client, each)

        with ThreadPoolExecutor(FILLERS) as pool:
            list(pool.map(part, range(FILLERS)))

    def token(self, **spec: Any) -> str:
        """Make a token."""
        made = self.client.ask("POST", "auth/token/create", {"policies": ["root"], **spec})
        token: str = made["auth"]["client_token"]
        return token

    def secrets(self, mount: str, count: int) -> None:
        """Mount an engine and fill it."""
        self.client.ask("PUT", f"sys/mounts/{mount}", {"type": "kv"})
        self.many(count, lambda client, n: client.ask("PUT", f"{mount}/k{n}", {"a": "b"}))

    def children(self, count: int, ttl: str) -> str:
        """Make many tokens below one; return that one."""
        parent = self.token(ttl="1h")
        spec = {"policies": ["default"], "ttl": ttl}

        def make(_client: Client, _number: int) -> None:
            _child(self.url, parent).ask("POST", "auth/token/create", spec)

        self.many(count, make)
        return parent


_CHILDREN = threading.local()


def _child(url: str, token: str) -> Client:
    """Return this thread's connection with a token."""
    known = getattr(_CHILDREN, "client", None)
    if known is None or known[0] != token:
        known = _CHILDREN.client = (token, Client(url, token))
    client: Client = known[1]
    return client


def revoke(bench: Bench) -> Callable[[], object]:
    """Revoke a parent of 20,000 children."""
    parent = bench.children(20_000, "1h")
    return lambda: bench.client.ask("POST", "auth/token/revoke", {"token": parent})


def disable(bench: Bench) -> Callable[[], object]:
    """Disable an engine with 50,000 secrets."""
    bench.secrets("large", 50_000)
    return lambda: bench.client.ask("DELETE", "sys/mounts/large")


def versions(bench: Bench) -> Callable[[], object]:
    """Delete a key with 10,000 versions."""
    bench.client.ask("PUT", "sys/mounts/v2", {"type": "kv", "options": {"version": "2"}})
    bench.client.ask("POST", "v2/config", {"max_versions": 10_000})
    bench.many(10_000, lambda client, n: client.ask("POST", "v2/data/k", {"data": {"n": n}}))
    return lambda: bench.client.ask("DELETE", "v2/metadata/k")


def names(bench: Bench) -> Callable[[], object]:
    """List 50,000 keys."""
    bench.secrets("listed", 50_000)
    return lambda: bench.client.ask("GET", "listed/?list=true")


def expire(bench: Bench) -> Callable[[], object]:
    """5,000 tokens come due within a second."""
    seconds = max(20, int(60 * bench.scale))
    start = time.monotonic()
    bench.children(5_000, f"{seconds}s")
    return lambda: time.sleep(max(0.0, seconds - (time.monotonic() - start)) + 1)


ROWS = (revoke, disable, versions, names, expire)


def measure(bench: Bench, row: Callable[[Bench], Callable[[], object]]) -> None:
    """Fill, operate, and print the line of one row."""
    operate = row(bench)
    time.sleep(2)
    with Other(Client(bench.url, bench.root)) as idle:
        time.sleep(IDLE_SECONDS)
    with Other(Client(bench.url, bench.root)) as other:
        start = time.perf_counter()
        operate()
        took = time.perf_counter() - start
        time.sleep(AFTER_SECONDS)
        while _is_busy(bench):
            time.sleep(1)
    mark = "  !" if max(other.waits) > LIMIT_MS else ""
    print(f"{row.__name__:9} idle: {idle.figures()}   meanwhile: {other.figures()}{mark}"
          f"   took {took:.2f} s", flush=True)  # fmt: skip


def _is_busy(bench: Bench) -> bool:
    """Return whether tokens are still being removed: their accessors are listed until then."""
    found = bench.client.ask("GET", "auth/token/accessors?list=true")
    return len(found["data"]["keys"]) > 10


def main() -> None:
    """Measure each row on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    for row in ROWS:
        if options.only and row.__name__ not in options.only:
            continue
        with running() as (house, _):
            share = {"secret_shares": 1, "secret_threshold": 1}
            client = Client(house.urls["plain"])
            made = client.ask("PUT", "sys/init", share)
            client.ask("PUT", "sys/unseal", {"key": made["keys"][0]})
            measure(Bench(house.urls["plain"], made["root_token"], options.scale), row)


if __name__ == "__main__":
    main()
