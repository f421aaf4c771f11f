"""The cost of device binding, classes and budgets for a read: guarded and plain reads in pairs.

    python bench/guarded.py [--pairs 5] [--seconds 3]

Both sides use the same server, the same keys and TLS. A plain read uses a token that is not bound
to a device and has no entity. A guarded read uses a device's certificate, and a token bound to the
device, of a person with a budget. The two sides of a pair run one after the other, in alternating
order. The client is our own (wrk has no client certificates), closed-loop and single-threaded, on
the same machine, so both rates are lower than in run.py.
"""

import argparse
import asyncio
import random
import ssl
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop
from house import KEYS, PASSWORD, POLICY, House
from processes import Process, make_certificate

from tests.support.devices.soft_device import SoftDevice

CONNECTIONS = 64
SECRETS = 500
"""Distinct secrets that the person reads; all but the first read of each are re-reads."""
DEVICE_POLICY = POLICY + 'path "device/*" { capabilities = ["create", "read", "update"] }\n'
ADMIN = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'


@dataclass
class Side:
    """One of the two kinds of reads: its name, token and TLS context."""

    name: str
    token: str
    tls: ssl.SSLContext


class Reader(asyncio.Protocol):
    """One connection that sends the next request as soon as it has an answer."""

    def __init__(self, requests: list[bytes], until: float, done: asyncio.Future[None]) -> None:
        self.requests = requests
        self.until = until
        self.done = done
        self.count = self.refused = 0
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport: Any = transport
        self.ask()

    def ask(self) -> None:
        """Request a random secret, or stop when the time is over."""
        if time.monotonic() < self.until:
            self.transport.write(random.choice(self.requests))
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is complete."""
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self.buffer.find(b"content-length: ") + 16
        length = int(self.buffer[at : self.buffer.index(b"\r", at)])
        if len(self.buffer) >= end + 4 + length:
            self.count += 1
            self.refused += not self.buffer.startswith(b"HTTP/1.1 200")
            self.buffer = b""
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Finish this reader."""
        del exc
        if not self.done.done():
            self.done.set_result(None)


async def drive(url: str, side: Side, seconds: float) -> tuple[int, int]:
    """Read for `seconds`; return the number of answers, and of refusals among them."""
    host, port = url.removeprefix("https://").split(":")
    requests = [
        f"GET /v1/secret/data/bench/{number} HTTP/1.1\r\nHost: bench\r\n"
        f"X-Vault-Token: {side.token}\r\n\r\n".encode()
        for number in range(1, SECRETS + 1)
    ]
    loop = asyncio.get_running_loop()
    until = time.monotonic() + seconds
    readers: list[Reader] = []
    ends = []
    for _ in range(CONNECTIONS):
        end: asyncio.Future[None] = loop.create_future()
        reader = Reader(requests, until, end)
        await loop.create_connection(
            lambda reader=reader: reader,  # type: ignore[misc]
            host,
            int(port),
            ssl=side.tls,
            server_hostname=host,
        )
        readers.append(reader)
        ends.append(end)
    await asyncio.gather(*ends)
    return sum(r.count for r in readers), sum(r.refused for r in readers)


def bound(house: House, root: str, folder: Path, cert: Path) -> Side:
    """Enrol and approve a device, and log a person in over it; return that side."""
    base = f"{house.urls['tls']}/v1/"
    trust = ssl.create_default_context(cafile=str(cert))
    with httpx.Client(base_url=base, verify=trust, timeout=30) as client:

        def put(path: str, body: Any, token: str = root) -> Any:
            answer = client.put(path, json=body, headers={"X-Vault-Token": token})
            answer.raise_for_status()
            return answer.json() if answer.content else {}

        put("sys/policies/acl/person", {"policy": DEVICE_POLICY})
        put("sys/policies/acl/admin", {"policy": ADMIN})
        for name, policy in (("ann", "person"), ("zoe", "admin")):
            user = {"password": PASSWORD, "token_policies": [policy]}
            put(f"auth/userpass/users/{name}", user)
        put("sys/budgets/defaults", {"soft": 100})
        limits = {"hour": 2 * SECRETS, "day": 2 * SECRETS, "month": 2 * SECRETS}
        for kind in ("entity", "device", "house"):
            put(f"sys/budgets/defaults/{kind}", limits)

        def login(name: str) -> Any:
            return put(f"auth/userpass/login/{name}", {"password": PASSWORD}, "")["auth"]

        ann, zoe = login("ann"), login("zoe")["client_token"]
        device = SoftDevice()

        def send(path: str, body: Any) -> Any:
            return put(path, dict(body), ann["client_token"]).get("data")

        device.enrol(send, "bench")
        put(f"device/approve/{device.id}", {"reason": "bench", "until": "24h"}, zoe)
        certificate, key = device.certificate(send)
    files = folder / "device.pem", folder / "device.key"
    files[0].write_bytes(certificate)
    files[1].write_bytes(key)
    mine = ssl.create_default_context(cafile=str(cert))
    mine.load_cert_chain(*map(str, files))
    with httpx.Client(base_url=base, verify=mine, timeout=30) as client:
        auth = client.put("auth/userpass/login/ann", json={"password": PASSWORD})
        token = auth.raise_for_status().json()["auth"]["client_token"]
    return Side("guarded", token, mine)


def pair(server: Process, sides: list[Side], seconds: float) -> dict[str, tuple[float, float]]:
    """Measure both sides once; return (reads per second, CPU microseconds per read) by name."""
    found = {}
    for side in sides:
        before, began = server.cpu_seconds, time.monotonic()
        count, refused = uvloop.run(drive(server.urls["tls"], side, seconds))
        took = time.monotonic() - began
        if refused:
            raise SystemExit(f"{refused} of {count} {side.name} reads were refused")
        cpu = (server.cpu_seconds - before) / count * 1e6
        found[side.name] = count / took, cpu
    return found


def main() -> None:
    """Measure, print the pairs and their median."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ironkeep-bench-") as name:
        folder = Path(name)
        cert, key = make_certificate(folder)
        house = House(folder, cert, key)
        server = house.start()
        try:
            root = house.fill()
            plain = house.tokens.read_text().split()[0]
            guarded = bound(house, root, folder, cert)
            trust = ssl.create_default_context(cafile=str(cert))
            sides = [Side("plain", plain, trust), guarded]
            pair(server, sides, options.seconds)  # warms caches; includes each secret's first read
            ratios, costs = [], []
            for number in range(options.pairs):
                found = pair(server, sides[:: -1 if number % 2 else 1], options.seconds)
                (rate, cpu), (bare, bare_cpu) = found["guarded"], found["plain"]
                ratios.append(rate / bare)
                costs.append(cpu / bare_cpu)
                print(
                    f"plain {bare:8,.0f}/s {bare_cpu:6.1f} us   "
                    f"guarded {rate:8,.0f}/s {cpu:6.1f} us   {rate / bare:.2f}"
                )
        finally:
            server.stop()
    print(
        f"median of {options.pairs} pairs: {statistics.median(ratios):.2f} of the plain rate, "
        f"{statistics.median(costs):.2f} times its CPU; all counted reads are re-reads within the "
        f"hour, of {SECRETS} secrets of {KEYS:,}"
    )


if __name__ == "__main__":
    main()
