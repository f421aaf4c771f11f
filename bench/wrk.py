"""The load generator: one run of `wrk` with one of the scripts, and the server's CPU time in it."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass

from processes import HERE, Process

RUN_IN = 2
"""Seconds of the same load before each measurement, so that caches are warm."""


@dataclass
class Figures:
    """One closed-loop run; `failed` counts requests that were refused or not answered.

    Rate and CPU are those of answered requests, 0 without any; times are of refused ones, too.
    `cpu_us` is that of the server process, `beside_us` that of the processes that it started.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    beside_us: float
    failed: int

    @property
    def all_us(self) -> float:
        """The CPU of all the server's processes for each request."""
        return self.cpu_us + self.beside_us


def drive(
    server: Process, url: str, work: str, arguments: list[str], connections: int, seconds: int
) -> Figures:
    """Load a server with one kind of request; the first RUN_IN seconds are not counted."""
    load = ["-s", str(HERE / f"{work}.lua"), f"{url}/", "--", *arguments]
    command = ["wrk", "-t1", f"-c{connections}", "--timeout=10s"]
    if work != "logins":  # logins of a run-in would still be queued before the counted ones
        subprocess.run([*command, f"-d{RUN_IN}s", *load], check=True, capture_output=True)
    own, beside = server.own_cpu_seconds, server.beside_cpu_seconds
    command += [f"-d{seconds}s", *load]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    own, beside = server.own_cpu_seconds - own, server.beside_cpu_seconds - beside
    found = json.loads(done.stdout.strip().splitlines()[-1])
    count = found["requests"] - found["refused"]
    return Figures(
        per_second=round(count / found["us"] * 1e6, 1),
        p50_ms=found["p50_us"] / 1e3,
        p99_ms=found["p99_us"] / 1e3,
        cpu_us=round(own / count * 1e6, 1) if count else 0.0,
        beside_us=round(beside / count * 1e6, 1) if count else 0.0,
        failed=found["refused"] + found["broken"],
    )


def require() -> None:
    """Install the load generator if root may, or end with the name of its package."""
    if shutil.which("wrk"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-qq", "-y", "wrk"], check=True)
    else:
        raise SystemExit("bench needs wrk: apt-get install wrk (or your system's package)")
