"""The wait of an honest login during a flood of wrong passwords from other addresses.

    python bench/flood.py [--connections 60] [--seconds 60]

The server is a real one on disk. The flood comes from its own process, over connections from other
loopback addresses, for new names and for the honest user's name. Meanwhile honest logins are
repeated from an address that has logged in before, and from addresses that have not.
"""

import argparse
import http.client
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ironkeep.testing.server import ServerProcess

PATIENCE = 60
BEGUN = 30
NEW = 100
"""Users who have never logged in; each logs in once."""
PASSWORD = "correct horse battery staple"


def login(port: int, source: str, name: str, password: str) -> tuple[int, float]:
    """Log in once over a new connection; return status and seconds."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=PATIENCE, source_address=(source, 0)
    )
    began = time.monotonic()
    try:
        connection.request(
            "POST", f"/v1/auth/userpass/login/{name}", json.dumps({"password": password})
        )
        return connection.getresponse().status, time.monotonic() - began
    finally:
        connection.close()


def flood(port: int, connections: int, seconds: float) -> None:
    """Send wrong passwords until the time is over; print the count of each status."""
    until = time.monotonic() + seconds
    codes: dict[int, int] = {}

    def knock(number: int) -> None:
        source = f"127.0.{1 + number // 250}.{1 + number % 250}"
        for count in itertools.count():
            if time.monotonic() > until:
                return
            name = "ann" if count % 2 else f"u{number}-{count}"
            status, _ = login(port, source, name, "wrong")
            codes[status] = codes.get(status, 0) + 1

    threads = [threading.Thread(target=knock, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(codes))


def shown(name: str, waits: list[tuple[int, float]]) -> None:
    """Print one line of the report."""
    times = sorted(seconds for _, seconds in waits)
    statuses = sorted({status for status, _ in waits})
    print(
        f"{name:34} {len(times):3} logins {statuses}, median {statistics.median(times):.2f} s, "
        f"longest {times[-1]:.2f} s"
    )


def measure(port: int, connections: int, seconds: float) -> None:
    """Measure quiet logins, then logins during the flood."""
    quiet = [login(port, "127.0.0.1", "ann", PASSWORD) for _ in range(5)]
    command = [sys.executable, __file__, "--flood", str(port)]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        time.sleep(BEGUN)  # until the server has answered the flood's first guesses
        until = time.monotonic() + seconds - BEGUN
        known, fresh = [], []
        for number in itertools.count(1):
            if time.monotonic() > until:
                break
            known.append(login(port, "127.0.0.1", "ann", PASSWORD))
            if number < NEW:
                fresh.append(login(port, f"127.9.0.{number}", f"new-{number}", PASSWORD))
        print("the flood was answered", other.communicate(timeout=PATIENCE * 2)[0].strip())
    shown("without the flood", quiet)
    shown("during it, known address and name", known)
    shown("during it, new address and name", fresh)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--flood", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.flood:
        flood(given.flood, given.connections, given.seconds)
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess.configured(Path(folder)) as server,
    ):
        server.initialise()
        server.api("POST", "sys/auth/userpass", {"type": "userpass"})
        for name in ("ann", *(f"new-{number}" for number in range(1, NEW))):
            server.api("POST", f"auth/userpass/users/{name}", {"password": PASSWORD})
        measure(int(server.address.rpartition(":")[2]), given.connections, given.seconds)


if __name__ == "__main__":
    main()
