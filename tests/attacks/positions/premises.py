"""What attackers stand before: a real server over TLS, with people, devices, rules and secrets.

One is enough for all positions: each test of a position has people and secrets of its own.
"""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.devices.device_estate import PASSWORD
from tests.support.devices.device_server import DeviceServer
from tests.support.devices.tls_client import TlsClient

ROOT: Final = Path(__file__).parents[3]
SECONDS: Final = 900
"""A bound against hanging; an idle machine takes two or three a position."""
CLASSES: Final = {"open": 8, "guarded": 2, "two-person": 3}
HERS: Final = """
path "secret/data/hers" { capabilities = ["read"] }
path "device/*" { capabilities = ["create", "read", "update"] }
"""
METHODS: Final = ("approle", "cert", "jwt", "passkey")


def word(secret_class: str, number: int) -> str:
    """Return what a secret holds, found nowhere else."""
    return f"canary-{secret_class}-{number:03}-lighthouse"


@dataclass(frozen=True)
class Report:
    """What the attacker program printed."""

    rows: list[dict[str, Any]]
    everything: str

    def step(self, step: str, what: str = "") -> list[dict[str, Any]]:
        """Return the rows of a step; there have to be some, and all were tried."""
        found = [row for row in self.rows if row["step"] == step and what in row["what"]]
        assert found, (step, what)
        assert all(row["tried"] for row in found), found
        return found

    def let_in(self, step: str, what: str = "") -> int:
        """Return how often a step was let in."""
        return sum(row["let_in"] for row in self.step(step, what))

    def statuses(self, step: str, what: str = "") -> Counter[int]:
        """Return how often each status came in a step; 0 is no answer."""
        found: Counter[int] = Counter()
        for row in self.step(step, what):
            found.update({int(status): count for status, count in row["statuses"].items()})
        return found

    @property
    def defects(self) -> list[dict[str, Any]]:
        """Rows with an answer that says that the server failed, not that it refused."""
        return [row for row in self.rows if {"500", "501", "502", "504"} & set(row["statuses"])]

    @property
    def secrets(self) -> dict[str, int]:
        """How many secrets of each class were in what the attacker was answered."""
        return {
            secret_class: sum(
                word(secret_class, number) in self.everything for number in range(count)
            )
            for secret_class, count in CLASSES.items()
        }


READ_SECONDS: Final = 0.3
"""Between two reads of somebody honest; the first is made at once."""
NOTHING: Final = dict.fromkeys(CLASSES, 0)


class Premises:
    """The server, and what everybody knows of it."""

    def __init__(self, server: DeviceServer, folder: Path, keys: list[str]) -> None:
        self.server: Final = server
        self.folder: Final = folder
        self.keys: Final = keys
        self.root: Final = server.server.token
        self.plain: Final = self.server.plain
        self.honest: str

    def prepare(self) -> None:
        """Mount every method, and put secrets of every class into the vault."""
        self.server.prepare({}, {"hanna": ["hers"]})
        for method in METHODS:
            if method != "passkey":
                self.post(f"sys/auth/{method}", {"type": method})
        self.server.person("pia", [])
        self.post("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        self.post("sys/mounts/database", {"type": "database"})
        self.policy("hers", HERS)
        self.post("secret/data/hers", {"data": {"word": "an honest word"}})
        for secret_class, count in CLASSES.items():
            for number in range(count):
                self.post(
                    f"secret/data/{secret_class}/{number}",
                    {"data": {"word": word(secret_class, number)}},
                )
            if secret_class != "open":
                self.post(f"sys/classes/secret/{secret_class}", {"class": secret_class})
        self.honest = self.server.login("hanna")

    def post(self, path: str, data: Any = None, token: str = "") -> Any:
        """Send as root what must succeed; return the whole answer."""
        return self.plain.post(path, data, token or self.root)

    def get(self, path: str, method: str = "GET") -> Any:
        """Read as root what must be there; return the answer's data."""
        status, body = self.plain.send(method, path, token=self.root)
        assert status == 200, (path, status, body)
        return body["data"]

    def policy(self, name: str, text: str) -> str:
        """Write a policy; return its name."""
        self.post(f"sys/policies/acl/{name}", {"policy": text})
        return name

    def user(self, name: str, policies: list[str], hour: int) -> tuple[str, str]:
        """Make somebody who logs in by password, with a budget; return a token and their entity."""
        user = {"password": PASSWORD, "token_policies": policies}
        self.post(f"auth/userpass/users/{name}", user)
        token = self.server.login(name)
        entity = self.entity(token)
        limits = {"hour": hour, "day": hour, "month": hour}
        self.post(f"sys/budgets/entity/{entity}", limits)
        return token, entity

    def entity(self, token: str) -> str:
        """Return the entity of a token."""
        status, body = self.plain.send("GET", "auth/token/lookup-self", token=token)
        assert status == 200, body
        found: str = body["data"]["entity_id"]
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """Return all alerts."""
        status, body = self.plain.send("LIST", "sys/alerts", token=self.root)
        return list(body["data"]["key_info"].values()) if status == 200 else []

    def attack(self, position: str, name: str = "", **known: Any) -> Report:
        """Run the attacker from a position, while somebody honest reads; return what it printed."""
        loot = self.loot(name or position, self.mounts(), **known)
        with self.reading():
            return self.run(position, loot)

    def run(self, position: str, loot: Path) -> Report:
        """Run the attacker from a position; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.attacks.positions.attacker", str(loot), position],
            cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (loot / "report.json").write_text(done.stdout)
        report = json.loads(done.stdout)
        return Report(report["rows"], "\n".join(report["answers"]))

    def mounts(self) -> list[tuple[str, str, Any]]:
        """Return path, type and options of every mount."""
        return [
            (before + path, each["type"], each["options"])
            for table, before in (("sys/mounts", ""), ("sys/auth", "auth/"))
            for path, each in self.get(table).items()
        ]

    def loot(self, name: str, mounts: list[tuple[str, str, Any]], **known: Any) -> Path:
        """Return a folder with what anybody can know, and what this attacker has beside."""
        loot = self.folder / f"loot-{name}"
        loot.mkdir()
        target = {
            "address": self.server.server.address, "ca": str(self.server.ca), "mounts": mounts,
            "secrets": ["secret/"], "devices": ["00000000-0000-4000-8000-000000000000"],
            "name": "open/1", "classes": list(CLASSES),
            "honest": {"name": "hanna", "password": PASSWORD},
        }  # fmt: skip
        (loot / "target.json").write_text(json.dumps({**target, **known}))
        return loot

    def read(self, client: TlsClient) -> bool:
        """Read as somebody honest; return whether that went well."""
        status, body = client.send("GET", "secret/data/hers", token=self.honest)
        return status == 200 and body["data"]["data"]["word"] == "an honest word"

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Have somebody honest read again and again, and once in the end: all has to go well."""
        over, went = threading.Event(), []

        def work() -> None:
            with TlsClient(self.server.server.address, self.server.ca) as client:
                went.append(self.read(client))
                while not over.wait(READ_SECONDS):
                    went.append(self.read(client))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert went
        assert all(went)
        assert self.read(self.plain)
