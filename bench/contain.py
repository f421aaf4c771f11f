"""Containment of a person with many entries while others read.

    python bench/contain.py [--entries 10000] [--seconds 15] [--rounds 3]

A real server on disk. In each round a new person reads until the journal has so many entries of
them; then others read at some 5,000 a second (`wrk`, 64 pausing connections), alone and while the
person's case is opened and contained. The person's token is refused once the end of their access
is durable; the containment is over when its answer is there, and then the record is durable, too.
"""

import argparse
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from house import KEYS, PASSWORD, House, running
from processes import HERE

CONNECTIONS = 64
PAUSE_MS = 12
BEFORE = 3.0
"""Seconds of reads before the containment begins."""


def reading(house: House, tokens: Path, seconds: int, pause: int) -> subprocess.Popen[str]:
    """Start reads by wrk."""
    script = [str(HERE / "paced.lua"), f"{house.urls['plain']}/", "--", str(tokens), str(KEYS)]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", *script, str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def figures(running: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for reads to end; return their figures."""
    out, _ = running.communicate()
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


class Round:
    """One person, from the first login to the containment."""

    def __init__(self, house: House, client: httpx.Client, name: str) -> None:
        self.house = house
        self.client = client
        user = {"password": PASSWORD, "token_policies": "bench"}
        client.put(f"auth/userpass/users/{name}", json=user).raise_for_status()
        self.subject = f"person:{name}"
        self.login = f"auth/userpass/login/{name}"
        self.token = ""

    def act(self, entries: int) -> int:
        """Read as the person; return how many entries there are of them."""
        auth = self.client.put(self.login, json={"password": PASSWORD}).json()["auth"]
        self.token = auth["client_token"]
        tokens = self.house.root / "token"
        tokens.write_text(self.token + "\n")
        count = 0
        while count < entries:
            count += figures(reading(self.house, tokens, 1, 0))["requests"]
        return count

    def contain(self) -> tuple[float, float, float, str]:
        """Open a case on the person and contain them; return three times, and what was contained.

        The second time is that from the request until the person's token is refused.
        """
        began = time.perf_counter()
        asked = {"title": "bench", "subjects": [self.subject], "start": "1h", "basis": "bench"}
        answer = self.client.post("incident/cases", json=asked).raise_for_status()
        opened = time.perf_counter()
        case = answer.json()["data"]["id"]
        opened_after, asking = opened - began, time.perf_counter()
        with ThreadPoolExecutor(1) as pool:
            refused = pool.submit(self.refused)
            done = self.client.post(f"incident/cases/{case}/contain", json={}).raise_for_status()
            ended = time.perf_counter()
            cut = refused.result() - asking
        return opened_after, cut, ended - asking, json.dumps(done.json()["data"])[:150]

    def refused(self) -> float:
        """Return the moment at which the person's token is refused; asks every millisecond."""
        with httpx.Client(base_url=self.client.base_url, timeout=120) as client:
            client.headers["X-Vault-Token"] = self.token
            while client.get("auth/token/lookup-self").is_success:
                time.sleep(0.001)
            return time.perf_counter()


def measure(house: House, root: str, options: argparse.Namespace) -> None:
    """Print the figures of each round."""
    base = f"{house.urls['plain']}/v1/"
    with httpx.Client(base_url=base, headers={"X-Vault-Token": root}, timeout=120) as client:
        for number in range(options.rounds):
            one = Round(house, client, f"eve{number}")
            count = one.act(options.entries)
            alone = figures(reading(house, house.tokens, options.seconds, PAUSE_MS))
            running = reading(house, house.tokens, options.seconds, PAUSE_MS)
            time.sleep(BEFORE)
            opened, cut, contained, what = one.contain()
            beside = figures(running)
            print(
                f"{count:,} entries: opened in {opened:.2f} s, refused after {cut:.2f} s, "
                f"contained in {contained:.2f} s; "
                f"reads alone {alone['requests'] / options.seconds:,.0f}/s p99 "
                f"{alone['p99_us'] / 1e3:.2f} ms, beside it "
                f"{beside['requests'] / options.seconds:,.0f}/s p99 "
                f"{beside['p99_us'] / 1e3:.2f} ms\n  {what}",
                flush=True,
            )


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with running() as (house, _):
        measure(house, house.fill(), options)


if __name__ == "__main__":
    main()
