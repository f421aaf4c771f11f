"""Throughput, latency and CPU of the whole server: see docs/performance.md.

    python bench/run.py [--seconds 5] [--connections 1 16 64 256] [--only reads] [--json FILE]
                        [--page docs/performance.md]

A real server on disk runs the whole pipeline with no feature off. The client is `wrk`, closed-loop,
on the same machine. Every figure is compared with that of a bare ASGI handler on the same HTTP
server in the same run.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import page
import wrk
from house import KEYS, TOKENS, USERS, House
from processes import HERE, Process, free_ports, make_certificate, start

from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.journal.verify import verify_log
from ironkeep.tlog.note import VerifierKey

CONNECTIONS = (1, 16, 64, 256)
WORK = ("reads", "writes", "logins")
TRANSPORTS = ("plain", "tls")


@dataclass
class Result:
    """One closed-loop run; see wrk.Figures."""

    work: str
    transport: str
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    beside_us: float
    failed: int
    of_hello: float = 0.0


@dataclass
class Bench:
    """The servers and their results."""

    house: House
    server: Process
    hellos: dict[str, Process]
    seconds: int
    results: list[Result] = field(default_factory=list)

    def compare(self, works: list[str], transport: str, connections: int) -> None:
        """Measure the bare handler, and then each kind of work."""
        hello = self.drive(self.hellos[transport], "hello", transport, connections)
        self.keep(hello)
        for work in works:
            result = self.drive(self.server, work, transport, connections)
            result.of_hello = round(result.per_second / hello.per_second, 2)
            self.keep(result)
            if work == "logins":
                self.house.login()

    def drive(self, server: Process, work: str, transport: str, connections: int) -> Result:
        """Load one server with one kind of request."""
        url = server.urls[transport]
        found = wrk.drive(server, url, work, self.arguments_of(work), connections, self.seconds)
        return Result(work, transport, connections, **asdict(found))

    def arguments_of(self, work: str) -> list[str]:
        """Return the arguments of a load script."""
        if work == "hello":
            return []
        if work == "logins":
            return [str(USERS)]
        return [str(self.house.tokens), str(KEYS)]

    def keep(self, result: Result) -> None:
        """Store a result and print its line."""
        self.results.append(result)
        ratio = f"{result.of_hello:5.2f}" if result.of_hello else "     "
        failed = f"  {result.failed} failed" if result.failed else ""
        print(
            f"{result.work:8}{result.transport:6} c={result.connections:<4}"
            f"{result.per_second:10,.0f}/s  p50 {result.p50_ms:8.2f} ms"
            f"  p99 {result.p99_ms:8.2f} ms  {result.cpu_us:8.1f} us"
            f" + {result.beside_us:5.1f}  {ratio}{failed}",
            flush=True,
        )


def measure(house: House, cert: Path, key: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run everything; return the figures."""
    first = house.start()
    house.fill()
    first.stop()
    server = house.start()
    house.unseal()
    hellos = {
        "plain": _hello("plain", "http"),
        "tls": _hello("tls", "https", str(cert), str(key)),
    }
    bench = Bench(house, server, hellos, options.seconds)
    # Logins last: abandoned ones still keep the processors busy.
    quick = [work for work in options.only if work != "logins"]
    try:
        for works in (quick, [work for work in options.only if work == "logins"]):
            for transport in options.transports if works else ():
                for count in options.connections:
                    bench.compare(works, transport, count)
    finally:
        for process in (server, *hellos.values()):
            process.stop()
    return {
        "machine": machine(),
        "boot_seconds": {
            "first": round(first.boot_seconds, 3),
            "next": round(server.boot_seconds, 3),
        },
        "keys": KEYS,
        "tokens": TOKENS,
        "seconds": options.seconds,
        "results": [asdict(result) for result in bench.results],
        "verify": verify(house),
    }


def _hello(name: str, scheme: str, *tls: str) -> Process:
    (port,) = free_ports(1)
    url = f"{scheme}://127.0.0.1:{port}"
    return start([str(HERE / "hello.py"), str(port), *tls], {name: url}, f"{url}/")


def verify(house: House) -> dict[str, float]:
    """Verify the run's journal offline; return its entries, and entries per second of CPU time."""
    (folder,) = (path.parent for path in house.audit.rglob("vkey"))
    files = DirectoryLogFiles(folder, readonly=True)
    key = VerifierKey.parse((folder / "vkey").read_text().strip())
    began = time.process_time()
    size = verify_log(files, key).size
    took = time.process_time() - began
    return {"entries": size, "per_second": round(size / took)}


def machine() -> dict[str, Any]:
    """Return the machine's properties and its load."""
    return {
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load": [round(value, 1) for value in os.getloadavg()],
    }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=list(CONNECTIONS))
    parser.add_argument("--transports", nargs="+", choices=TRANSPORTS, default=list(TRANSPORTS))
    parser.add_argument("--only", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--page", type=Path, help="write the table into this page")
    options = parser.parse_args()
    wrk.require()
    print("requests/s, latency, CPU per request, ratio to hello; load", os.getloadavg())
    with tempfile.TemporaryDirectory(prefix="ironkeep-bench-") as name:
        root = Path(name)
        cert, key = make_certificate(root)
        found = measure(House(root, cert, key), cert, key, options)
    boot, checked = found["boot_seconds"], found["verify"]
    print(f"start to first answer: {boot['first']:.2f} s empty, {boot['next']:.2f} s filled")
    print(f"verified {checked['entries']:,} entries, {checked['per_second']:,}/s of CPU time")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.page:
        page.fill(options.page, found)


if __name__ == "__main__":
    main()
