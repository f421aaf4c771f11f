"""The CPU time of the longest stretch of the loop, for each operation whose work grows with data.

    python bench/stretches.py [--count 20000] [--only NAME ...]

A vault over SQLite in this process is filled with many of each thing. Every operation is executed
step by step, as the server's loop does: the request, each of its turns, each due turn, and the
closing and settling of each batch. Each step is timed by this thread's CPU time, so other processes
do not matter. A step past LIMIT_MS is marked.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.app import COLLECTIONS, PLUGINS, YOUNG_OBJECTS
from ironkeep.core.operation import Operation
from ironkeep.kernel.tick import TURN_NS, due_turn, tick
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.testing.vault import Vault

LIMIT_MS = 5.0
A_BATCH = 64


@dataclass
class Meter:
    """The steps of one operation."""

    vault: Vault
    steps: dict[str, list[float]] = field(default_factory=dict)

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        """Do one step and note its CPU time in milliseconds."""
        start = time.thread_time_ns()
        result = work()
        self.steps.setdefault(name, []).append((time.thread_time_ns() - start) / 1e6)
        return result

    def flush(self) -> None:
        """Make the open batch durable; the writer thread's part is not timed."""
        ledger = self.vault.house.ledger
        batch = self.time("close", ledger.close)
        if batch is not None:
            ledger.persist(batch)
            self.time("settle", lambda: ledger.settle(batch))

    def request(self, op: Operation, path: str, data: dict[str, Any] | None, token: str) -> Answer:
        """Execute a request with all its turns."""
        asked = self.vault.asked(op, path, data, token)
        outcome = self.time("request", lambda: self.vault.pipeline.handle(asked))
        while isinstance(outcome, Waiting):
            self.flush()
            waiting, result = outcome, outcome.work()
            outcome = self.time("turn", lambda: waiting.finish(result))  # noqa: B023
        self.flush()
        answer: Answer = outcome
        return answer

    def due(self) -> None:
        """Work off all that is due."""
        house, more = self.vault.house, True
        self.vault.clock.advance(seconds=1)
        self.time("tick", lambda: tick(house, self.vault.clock.now_ns()))
        while more:
            self.vault.clock.advance(ns=1_000)
            now, start = self.vault.clock.now_ns(), time.perf_counter_ns()
            turn = self.time(
                "due",
                lambda: due_turn(house, now, lambda: _over(start)),  # noqa: B023
            )
            more = turn.more
            self.flush()


def _over(start: int) -> bool:
    return time.perf_counter_ns() - start >= TURN_NS


class Bench:
    """A vault filled with many of each thing."""

    def __init__(self, root: Path, count: int) -> None:
        self.count = count
        self.vault = Vault(PLUGINS, storage=SqliteStorage(root / "vault.db"))  # type: ignore[arg-type]
        self.vault.initialise()
        self.vault.unseal()
        for path, kind in (("kv", "kv"), ("old", "kv"), ("gone", "kv")):
            self.vault.write(f"sys/mounts/{path}", {"type": kind})
        self.vault.write("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})

    def many(self, work: Callable[[int], Any]) -> None:
        """Execute count requests, a batch at a time."""
        for number in range(self.count):
            work(number)
            if number % A_BATCH == A_BATCH - 1:
                self.vault.flush()
        self.vault.flush()

    def ask(self, op: Operation, path: str, data: dict[str, Any] | None, token: str) -> Answer:
        """Execute one request that needs no turns."""
        outcome = self.vault.pipeline.handle(self.vault.asked(op, path, data, token))
        assert isinstance(outcome, Answer)
        assert outcome.error is None, outcome.body
        return outcome

    def token(self, **spec: Any) -> str:
        """Make a token."""
        return self.vault.write("auth/token/create", {"policies": ["root"], **spec}).token

    def tokens(self, parent: str, **spec: Any) -> None:
        """Make many tokens below one."""
        given = {"policies": ["default"], **spec}
        self.many(lambda _: self.ask(Operation.UPDATE, "auth/token/create", given, parent))

    def secrets(self, path: str) -> None:
        """Write many secrets."""
        self.many(lambda n: self.ask(Operation.UPDATE, f"{path}/k{n}", {"a": "b"}, "root"))


def list_keys(bench: Bench, meter: Meter) -> None:
    """List a folder of many keys."""
    bench.secrets("kv")
    assert meter.request(Operation.LIST, "kv/", None, "root").error is None


def disable(bench: Bench, meter: Meter) -> None:
    """Disable a mount with many secrets."""
    bench.secrets("gone")
    assert meter.request(Operation.DELETE, "sys/mounts/gone", None, "root").error is None
    meter.due()


def revoke_parent(bench: Bench, meter: Meter) -> None:
    """Revoke a token with many children."""
    parent = bench.token(ttl="1h")
    bench.tokens(parent, ttl="1h")
    given = {"token": parent}
    assert meter.request(Operation.UPDATE, "auth/token/revoke", given, "root").error is None
    meter.due()


def orphan(bench: Bench, meter: Meter) -> None:
    """Revoke a token with many children, which live on."""
    parent = bench.token(ttl="1h")
    bench.tokens(parent, ttl="1h")
    given = {"token": parent}
    assert meter.request(Operation.UPDATE, "auth/token/revoke-orphan", given, "root").error is None
    meter.due()


def expire(bench: Bench, meter: Meter) -> None:
    """Many tokens come due in one second."""
    bench.tokens("root", ttl="100s")
    bench.vault.clock.advance(seconds=101)
    meter.due()


def accessors(bench: Bench, meter: Meter) -> None:
    """List the accessors of many tokens."""
    bench.tokens("root")
    assert meter.request(Operation.LIST, "auth/token/accessors/", None, "root").error is None


def tidy(bench: Bench, meter: Meter) -> None:
    """Look for dead tokens among many."""
    bench.tokens("root")
    assert meter.request(Operation.UPDATE, "auth/token/tidy", None, "root").error is None
    meter.due()


def revoke_prefix(bench: Bench, meter: Meter) -> None:
    """Revoke all leases below a prefix."""
    bench.tokens("root", ttl="1h")
    path = "sys/leases/revoke-prefix/auth/token/create"
    assert meter.request(Operation.UPDATE, path, None, "root").error is None
    meter.due()


def list_leases(bench: Bench, meter: Meter) -> None:
    """List many leases."""
    bench.tokens("root", ttl="1h")
    path = "sys/leases/lookup/auth/token/create/"
    assert meter.request(Operation.LIST, path, None, "root").error is None


def policies(bench: Bench, meter: Meter) -> None:
    """List policies, and ask for capabilities by a token that has many of them."""
    text = 'path "secret/data/x" { capabilities = ["read"] }'
    few = min(bench.count, 2_000)
    for number in range(few):
        bench.ask(Operation.UPDATE, f"sys/policies/acl/p{number}", {"policy": text}, "root")
        bench.vault.flush()
    token = bench.token(policies=[f"p{number}" for number in range(60)])
    meter.request(Operation.LIST, "sys/policies/acl/", None, "root")
    asked = {"paths": [f"secret/data/{n}" for n in range(100)]}
    meter.request(Operation.UPDATE, "sys/capabilities-self", asked, token)


def internal(bench: Bench, meter: Meter) -> None:
    """Ask for the mounts and one mount, as clients do, with many mounts."""
    for number in range(min(bench.count, 500)):
        bench.vault.write(f"sys/mounts/m{number}", {"type": "kv"})
    meter.request(Operation.READ, "sys/internal/ui/mounts", None, "root")
    meter.request(Operation.READ, "sys/internal/ui/mounts/secret/x", None, "root")
    meter.request(Operation.READ, "sys/mounts", None, "root")


def identity_report(bench: Bench, meter: Meter) -> None:
    """Report the copyable logins among many tokens."""
    bench.tokens("root")
    meter.request(Operation.READ, "sys/identity-report", None, "root")


OPERATIONS = (
    list_keys, disable, revoke_parent, orphan, expire, accessors, tidy, revoke_prefix,
    list_leases, policies, internal, identity_report,
)  # fmt: skip


def main() -> None:
    """Measure each operation in a vault of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    gc.set_threshold(YOUNG_OBJECTS, *COLLECTIONS)
    for operation in OPERATIONS:
        if options.only and operation.__name__ not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), options.count)
            meter = Meter(bench.vault)
            operation(bench, meter)
            steps = "  ".join(
                f"{name} {len(each)}x max {max(each):.1f}{'!' if max(each) > LIMIT_MS else ''}"
                for name, each in meter.steps.items()
            )
            print(f"{operation.__name__:16} {steps}", flush=True)


if __name__ == "__main__":
    main()
