"""What a person could have read: time of a case in a large vault, size of its pack, and recall.

    python bench/exposure.py [--secrets 100000] [--people 10000] [--entries 1000000] [--home DIR]

A real server is initialised. Its directory is then filled through the ledger and the journal that
the server uses: secrets in folders of 1,000, one folder to a team, each with two versions; people
with a user, an entity and the policy of their team; and reads by all of them. After a restart, over
HTTP, secrets of one team are removed and a mount is disabled; then a case is opened on a person of
that team, and one on an administrator who may read everything. The lists are compared with what
was filled in. The journal is written in one go: its entries do not spread over the 90 days, but a
case that begins 90 days ago has all of them in its window.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx

from ironkeep.app import Server
from ironkeep.auth.userpass.hashing import HASHER
from ironkeep.auth.userpass.users import USER, User
from ironkeep.config.file import load
from ironkeep.core.event import Entry, Released
from ironkeep.engines.kv import document, metadata as meta, versions
from ironkeep.engines.kv.metadata import KeyMetadata, Version
from ironkeep.identity.entities import Alias
from ironkeep.identity.token_params import LOGIN, LOGINS, TokenParams, login_name
from ironkeep.kernel.house import House
from ironkeep.kernel.opening import open_house
from ironkeep.store.state import Tx
from ironkeep.testing.server import ServerProcess

BATCH: Final = 1_000
FOLDER: Final = 1_000
"""Secrets of one team."""
DAYS: Final = 90
DAY_NS: Final = 86_400 * 10**9
PASSWORD: Final = "correct horse battery"
REMOVED: Final = 25
QUICK_SECONDS: Final = 3
PAUSE_SECONDS: Final = 20
EXTRA: Final = 500
"""Secrets in the mount that is disabled."""


def policy_of(person: int, teams: int) -> str:
    """Return the policy of a person; the first one is an administrator."""
    return f"team{person % teams}" if person else "everything"


class Filler:
    """Fills the directory of a server that does not run."""

    def __init__(self, home: Path, key: str) -> None:
        self._server: Final = Server(load(home / "ironkeep.hcl"))
        self._house: Final[House] = self._server.house
        self._house.seal.unseal(self._house.state.begin(), key)
        tx = self._house.state.begin()
        open_house(self._house, tx)
        tx.merge()
        self._then: Final = self._house.clock.now_ns()
        self._rows = 0
        self.sessions: Final[list[tuple[str, str, str]]] = []

    def secrets(self, path: str, count: int) -> None:
        """Write secrets with two versions each, the second written in the window."""
        body = document.encode({"value": "x" * 40})
        for first in range(0, count, BATCH):
            tx = self._house.state.begin()
            store = self._house.mount_store(tx, self._mounts(tx)[path])
            for number in range(first, min(first + BATCH, count)):
                name = f"team{number // FOLDER}/app{number}"
                made = self._then - (DAYS - 1 - number % 60) * DAY_NS
                kept = {1: Version(made - 60 * DAY_NS), 2: Version(made)}
                key = KeyMetadata(made - 60 * DAY_NS, made, 2, kept)
                for each in kept:
                    store.put(versions.data_path(name, key, each), body, fresh=True)
                meta.save(store, name, key)
            self._keep(tx)

    def people(self, count: int, teams: int) -> None:
        """Write a policy for each team, and people with users and entities."""
        tx = self._house.state.begin()
        for team in range(teams):
            text = f'path "secret/data/team{team}/*" {{ capabilities = ["read"] }}'
            more = f'path "extra/data/team{team}/*" {{ capabilities = ["read"] }}'
            self._house.policies.put(tx, f"team{team}", f"{text}\n{more}", self._then)
        everything = 'path "secret/*" { capabilities = ["read"] }'
        self._house.policies.put(tx, "everything", everything, self._then)
        self._keep(tx)
        hashed = HASHER.hash(PASSWORD.encode())
        for first in range(0, count, BATCH):
            tx = self._house.state.begin()
            mount = self._mounts(tx)["auth/userpass/"]
            store = self._house.mount_store(tx, mount)
            for number in range(first, min(first + BATCH, count)):
                name = "admin" if number == 0 else f"person{number}"
                params = TokenParams(token_policies=(policy_of(number, teams),))
                store.put(f"user/{name}", USER.encode(User(hashed, params)))
                login = login_name(mount, name)
                self._house.history.record(tx, LOGIN, login, LOGINS.encode(params), self._then)
                alias = Alias(f"alias-{number}", mount.accessor, name, self._then, self._then)
                entity = self._house.identity.create(
                    tx, self._then, self._house.entropy, name=name, aliases=(alias,)
                )
                self.sessions.append((entity.id, f"accessor{number}", name))
            self._keep(tx)

    def entries(self, count: int, secrets: int, teams: int) -> None:
        """Append a login of each person, and reads, to the journal."""
        journal, mount = self._house.journal, self._mounts(self._house.state.begin())["secret/"]
        people = self.sessions
        for number in range(count):
            entity, accessor, name = people[number % len(people)]
            now = self._house.clock.now_ns()
            if number < len(people):
                entry = Entry(
                    "request", now, op="update", path=f"auth/userpass/login/{name}", entity=entity,
                    name=name, rule="login", issued=accessor,
                    audited={"token_policies": [policy_of(number, teams)]},
                )  # fmt: skip
            else:
                at = (number * 7919) % FOLDER + (number % len(people) % teams) * FOLDER
                path = f"team{at // FOLDER}/app{at % secrets}"
                entry = Entry(
                    "request", now, op="read", path=f"secret/data/{path}", mount=mount.uuid,
                    entity=entity, name=name, accessor=accessor, rule="team:1",
                    released=(Released(mount.uuid, path, 2, ("value",)),),
                )  # fmt: skip
            journal.append(entry)
            if number % 256 == 255:
                self._flush()
            if number % 50_000 == 49_999:
                journal.checkpoint()
                journal.rotate_wal()
        # An unsealing reads what follows the last commit; a server's tick commits in between.
        tx = self._house.state.begin()
        rules = 'path "secret/*" { capabilities = ["read"] }'
        self._house.policies.put(tx, "filled", rules, self._then)
        self._keep(tx)

    def close(self) -> None:
        """Sign what was written, and close the directory."""
        self._house.journal.checkpoint()
        self._server.close()

    def _mounts(self, tx: Tx) -> Any:
        return self._house.mounts.table(self._house.store(tx, "sys/mounts")).by_path

    def _keep(self, tx: Tx) -> None:
        tx.merge()
        self._flush()
        self._rows += 1
        if self._rows % 50 == 0:
            self._house.journal.rotate_wal()
            self._server.storage.checkpoint()

    def _flush(self) -> None:
        batch = self._house.ledger.close()
        if batch is not None:
            self._house.ledger.persist(batch)
            self._house.ledger.settle(batch)


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU of a process and of the ones that it has started."""
    children = (each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children"))
    ticks = 0
    for one in (pid, *(int(each) for text in children for each in text.split())):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Client:
    """A client that prints how long each request takes."""

    def __init__(self, server: ServerProcess) -> None:
        self._pid: Final = server.pid
        headers = {"X-Vault-Token": server.token}
        self._http: Final = httpx.Client(base_url=f"{server.address}/v1/", headers=headers,
                                         timeout=600)  # fmt: skip

    def ask(self, method: str, path: str, data: Any = None, what: str = "") -> Any:
        """Make a request; print its time if it has a name."""
        began, before = time.monotonic(), cpu_of(self._pid)
        answer = self._http.request(method, path, json=data)
        if what:
            took, cpu = time.monotonic() - began, cpu_of(self._pid) - before
            size = len(answer.content) / 1e6
            print(f"{what}: {took:.2f} s, {cpu:.2f} s of CPU, {size:.1f} MB", flush=True)
        answer.raise_for_status()
        if answer.headers.get("content-type", "") == "application/json" and answer.content:
            return answer.json()
        return answer.content

    def await_index(self) -> None:
        """Wait until the index of the journal is built: a look-up of a token is quick then."""
        began = time.monotonic()
        while True:
            asked = time.monotonic()
            answer = self._http.get("sys/audit/log/search", params={"accessor": "none"})
            if answer.status_code < 500 and time.monotonic() - asked < QUICK_SECONDS:
                break
            # The index grows faster while nobody asks.
            time.sleep(PAUSE_SECONDS)
        print(f"indexed {time.monotonic() - began:.0f} s after the start", flush=True)


def case_of(client: Client, person: str, expected: int, home: Path) -> None:
    """Open a case on a person, and take its pack; print times, sizes and recall."""
    given = {"title": "bench", "subjects": [f"person:{person}"], "start": f"{DAYS * 24}h",
             "basis": "bench"}  # fmt: skip
    case = client.ask("POST", "incident/cases", given, f"{person}: open the case")["data"]["id"]
    path = f"incident/cases/{case}"
    found = client.ask("GET", f"{path}/exposure", None, f"{person}: exposure")["data"]["counts"]
    print(f"{person}: {found}; {expected} versions could be read", flush=True)
    assert found["could_read"] == expected, "recall"
    client.ask("POST", f"{path}/contain", {}, f"{person}: contain, and survey again")
    client.ask("GET", f"{path}/verdict", None, f"{person}: verdict")
    time.sleep(3)
    pack, keys = home / "case.pack", home / "trust"
    pack.write_bytes(client.ask("GET", f"{path}/pack", None, f"{person}: pack"))
    keys.write_text(client.ask("GET", "incident/trust")["data"]["trust"])
    began = time.monotonic()
    words = [sys.executable, "-m", "ironkeep", "verify", str(pack), f"--trust={keys}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print(f"{person}: verified in {time.monotonic() - began:.2f} s: {done.stdout.splitlines()[:1]}")


def main() -> None:
    """Parse the command line, fill, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--secrets", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="ironkeep-exposure-"))
    home.mkdir(exist_ok=True)
    teams = max(1, options.secrets // FOLDER)
    with ServerProcess.configured(home) as server:
        (key,) = server.initialise()
        for mount in ("secret", "extra"):
            server.api("POST", f"sys/mounts/{mount}", {"type": "kv-v2"})
        server.api("POST", "sys/auth/userpass", {"type": "userpass"})
        root = server.token
    began = time.monotonic()
    filler = Filler(home, key)
    filler.secrets("secret/", options.secrets)
    filler.secrets("extra/", EXTRA)
    filler.people(options.people, teams)
    filler.entries(options.entries, options.secrets, teams)
    filler.close()
    print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
    with ServerProcess.configured(home) as server:
        server.api("PUT", "sys/unseal", {"key": key})
        server.token = root
        client = Client(server)
        for number in range(REMOVED):
            client.ask("DELETE", f"secret/metadata/team0/app{number}")
        client.ask("DELETE", "sys/mounts/extra", None, "disable a mount")
        client.await_index()
        folder = min(FOLDER, options.secrets)
        case_of(client, f"person{teams}", 2 * (folder + EXTRA), home)
        case_of(client, "admin", 2 * options.secrets, home)
    if options.home is None:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
