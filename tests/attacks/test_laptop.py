"""What a keylogger, an infostealer and a live shell on an enrolled laptop get: attacker.py tries.

The estate is a real server over TLS. Each secret holds a word of its own, looked for in everything
that the attacker was answered. The device key is in a file, the weakest kind there is.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from ironkeep.testing.server import ServerProcess
from ironkeep.testing.tls import make_tls
from tests.support.devices.device_estate import PASSWORD
from tests.support.devices.device_server import DeviceServer
from tests.support.devices.soft_device import SoftDevice

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 900
"""A bound against hanging; an idle machine takes ten."""
BUDGET: Final = 6
STEPS: Final = ("K12", "K13", "K14")
OPEN: Final = 40
READS: Final = """
path "secret/*" { capabilities = ["create", "read", "update", "list"] }
path "device/*" { capabilities = ["create", "read", "update", "list"] }
"""
MAKES: Final = """
path "auth/token/create*" { capabilities = ["create", "update", "sudo"] }
path "auth/token/roles/*" { capabilities = ["create", "read", "update", "list"] }
path "auth/approle/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/budgets/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
path "sys/classes/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
path "sys/break-glass/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
"""
"""What an administrator may do beside reading: make tokens, roles, limits and rules."""
CLASSES: Final = {"open": OPEN, "guarded": 4, "two-person": 4}


class Estate:
    """A server, ann's laptop with its files, and the secrets that she may read."""

    def __init__(self, process: ServerProcess, folder: Path) -> None:
        self.server: Final = DeviceServer(process, folder)
        self.folder: Final = folder
        self.laptop: SoftDevice
        self.token = ""

    def prepare(self) -> None:
        """Enrol the laptop, log in on it, and put secrets of every class into the vault."""
        server, root = self.server, self.server.server.token
        server.prepare({"reader": READS}, {})
        server.plain.post("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, root)
        for secret_class, count in CLASSES.items():
            for number in range(count):
                value = {"data": {"word": word(secret_class, number)}}
                server.plain.post(f"secret/data/{secret_class}/{number}", value, root)
            if secret_class != "open":
                server.plain.post(
                    f"sys/classes/secret/{secret_class}", {"class": secret_class}, root
                )
        limits = {"hour": BUDGET, "day": BUDGET, "month": BUDGET}
        server.plain.post("sys/budgets/defaults/entity", limits, root)
        ann = server.person("ann", ["reader"])
        self.laptop = server.enrol("ann", server.touch(ann))
        required = {"options": {"token_device": "required"}}
        for method in ("passkey", "userpass"):
            server.plain.post(f"sys/auth/{method}/tune", required, root)
        with server.client(self.laptop) as client:
            self.token = server.touch(ann, client)

    def allow_a_password(self) -> None:
        """Let ann log in with a password too, on a device of her own."""
        server, root = self.server, self.server.server.token
        server.plain.post("sys/auth/userpass/tune", {"options": {"token_device": "no"}}, root)
        user = {"password": PASSWORD, "token_policies": ["reader"]}
        server.plain.post("auth/userpass/users/ann", user, root)
        self.laptop = server.enrol("ann")
        required = {"options": {"token_device": "required"}}
        server.plain.post("sys/auth/userpass/tune", required, root)

    def loot(self, *kinds: str) -> Path:
        """Return a folder with what a theft of these kinds brings in."""
        loot = self.folder / "-".join(kinds)
        home, agent = loot / "home", loot / "agent"
        for folder in (loot, home, agent, loot / "typed"):
            folder.mkdir()
        (loot / "target.json").write_text(json.dumps(self.target()))
        if "keylogger" in kinds:
            typed = ["ann", PASSWORD, "ironkeep login -method=userpass username=ann", "246813"]
            (loot / "typed" / "typed.txt").write_text("\n".join(typed))
        if "infostealer" in kinds or "shell" in kinds:
            (home / ".vault-token").write_text(self.token)
            (home / "device.key").write_bytes(self.laptop.key_pem())
            (home / "Cookies").write_text(f"vault_token={self.token}; path=/")
            certificate, _ = self.server.certify(self.laptop)
            (home / "certificate.pem").write_bytes(certificate.read_bytes())
        if "shell" in kinds:
            # What the agent does for whoever is the user: its connections, while it runs.
            certificate, key = self.server.certify(self.laptop)
            (agent / "now.pem").write_bytes(certificate.read_bytes())
            (agent / "now.key").write_bytes(key.read_bytes())
        return loot

    def target(self) -> dict[str, Any]:
        """Return what anybody can know: where the server is, and what is mounted."""
        mounts = []
        for table, before in (("sys/mounts", ""), ("sys/auth", "auth/")):
            _, body = self.server.plain.send("GET", table, token=self.server.server.token)
            mounts += [
                (before + path, each["type"], each["options"])
                for path, each in body["data"].items()
            ]
        return {
            "address": self.server.server.address, "ca": str(self.server.ca), "mounts": mounts,
            "logins": ["auth/passkey/", "auth/userpass/"], "secrets": ["secret/"],
            "devices": [self.laptop.id], "name": "open/1", "classes": list(CLASSES),
            "policies": ["reader"],
        }  # fmt: skip

    def entries(self, since_ns: int, **wanted: str) -> list[dict[str, Any]]:
        """Return the journal's entries since an instant, the oldest first."""
        query = "&".join(f"{name}={value}" for name, value in wanted.items())
        path = f"sys/audit/log/search?since_ns={since_ns}&limit=1000&{query}"
        _, body = self.server.plain.send("GET", path, token=self.server.server.token)
        found: list[dict[str, Any]] = body["data"]["entries"]
        return found

    def alerts(self) -> list[dict[str, str]]:
        """Return all alerts."""
        root = self.server.server.token
        _, body = self.server.plain.send("LIST", "sys/alerts", token=root)
        return list(body["data"]["key_info"].values()) if "data" in body else []


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    with ServerProcess.configured(tmp_path, tls=make_tls(tmp_path)) as process:
        process.initialise()
        made = Estate(process, tmp_path)
        with made.server:
            made.prepare()
            yield made


def word(secret_class: str, number: int) -> str:
    return f"canary-{secret_class}-{number:03}-lighthouse"


def attack(loot: Path) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Run the attacker; return its table, and how many secrets of each class it got."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.attacks.positions.attacker", str(loot)],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (loot / "report.json").write_text(done.stdout)
    report = json.loads(done.stdout)
    everything = "\n".join(report["answers"])
    got = {
        secret_class: sum(word(secret_class, number) in everything for number in range(count))
        for secret_class, count in CLASSES.items()
    }
    return report["rows"], got


NOTHING: Final = dict.fromkeys(CLASSES, 0)


def tried(rows: list[dict[str, Any]], step: str) -> int:
    return sum(row["tried"] for row in rows if row["step"] == step)


@pytest.mark.timeout(SECONDS)
def test_a_keylogger_gets_nothing(estate: Estate) -> None:
    rows, got = attack(estate.loot("keylogger"))
    assert got == NOTHING, rows
    assert tried(rows, "K7") > 100
    assert tried(rows, "K8") > 10
    assert sum(row["let_in"] for row in rows if row["step"] == "K8") == 0


@pytest.mark.timeout(SECONDS)
def test_an_infostealer_gets_nothing_and_is_reported(estate: Estate) -> None:
    began_ns = time.time_ns()
    rows, got = attack(estate.loot("infostealer"))
    assert got == NOTHING, rows
    assert tried(rows, "K9") > 100
    assert [row for row in rows if row["step"] == "K11" and row["let_in"]] == []
    refused = estate.entries(began_ns, outcome="device_refused")
    before = until_alert(estate, refused[0]["time_ns"], "bound-token")
    assert [each["outcome"] for each in before].count("device_refused") <= 1


@pytest.mark.timeout(SECONDS)
def test_a_live_shell_gets_its_budget_and_is_reported_at_once(estate: Estate) -> None:
    began_ns = time.time_ns()
    rows, got = attack(estate.loot("shell"))
    assert 0 < got["open"] <= BUDGET, rows
    assert (got["guarded"], got["two-person"]) == (0, 0), rows
    reads = [each for each in estate.entries(began_ns, outcome="ok") if each.get("released")]
    before = until_alert(estate, reads[0]["time_ns"], "budget", "guard")
    assert len({each["path"] for each in before if each.get("released")}) <= BUDGET


@pytest.mark.timeout(SECONDS)
def test_an_administrator_s_shell_gets_no_more_than_one_budget(estate: Estate) -> None:
    """Whatever is made, loosened or spelt otherwise is charged and refused as its maker is."""
    root = estate.server.server.token
    estate.server.plain.post("sys/auth/approle", {"type": "approle"}, root)
    estate.server.plain.send("PUT", "sys/policies/acl/reader", {"policy": READS + MAKES}, root)
    rows, got = attack(estate.loot("shell"))
    assert 0 < got["open"] <= BUDGET, rows
    assert (got["guarded"], got["two-person"]) == (0, 0), rows
    let_in = {step: sum(row["let_in"] for row in rows if row["step"] == step) for step in STEPS}
    assert all(let_in[step] for step in ("K12", "K14")), "the attacker made tokens and spelt paths"


@pytest.mark.timeout(SECONDS)
def test_all_that_was_typed_and_every_file_together_get_nothing(estate: Estate) -> None:
    rows, got = attack(estate.loot("keylogger", "infostealer"))
    assert got == NOTHING, rows
    certified = [row["let_in"] for row in rows if row["what"].startswith("stolen device keys")]
    assert certified[0] > 0, "a key in a file can be copied: the certificate is not the wall"


@pytest.mark.timeout(SECONDS)
def test_where_a_password_is_enough_a_copied_key_file_gets_what_the_shell_gets(
    estate: Estate,
) -> None:
    """What a login without a passkey costs: the same theft opens as much as the live shell."""
    estate.allow_a_password()
    rows, got = attack(estate.loot("keylogger", "infostealer"))
    assert 0 < got["open"] <= BUDGET, rows
    assert (got["guarded"], got["two-person"]) == (0, 0), rows


@pytest.mark.timeout(SECONDS)
def test_the_attacker_takes_everything_where_nothing_is_bound(estate: Estate) -> None:
    """Without the defences the same program works: what it does not get, it was kept from."""
    estate.allow_a_password()
    root = estate.server.server.token
    loose = {"options": {"token_device": "no"}}
    estate.server.plain.post("sys/auth/userpass/tune", loose, root)
    unlimited = {"hour": 0, "day": 0, "month": 0}
    estate.server.plain.post("sys/budgets/defaults/entity", unlimited, root)
    assert estate.server.plain.send("DELETE", "sys/classes/secret/guarded", token=root)[0] == 204
    rows, got = attack(estate.loot("keylogger"))
    assert got == {**CLASSES, "two-person": 0}, rows


def until_alert(estate: Estate, time_ns: int, *kinds: str) -> list[dict[str, Any]]:
    """Return the entries from an instant to the first alert of these kinds, without it.

    How much was done by then is the server's doing; how long it took would be the machine's.
    """
    entries = estate.entries(time_ns)
    found = [
        number
        for number, each in enumerate(entries)
        if each.get("op") == "alert" and each["audited"]["alert"] in kinds
    ]
    assert found, [each for each in entries if each.get("op") == "alert"]
    return entries[: found[0]]
