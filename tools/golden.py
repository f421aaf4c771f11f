"""Makes a golden data directory: what a release leaves on the disk, for later ones to open.

    git worktree add /tmp/release COMMIT
    PYTHONPATH=/tmp/release/src python tools/golden.py tests/golden/COMMIT.tar.xz

The server of the named source tree runs, is used like a small house, and is stopped. The archive
holds its data directory, and `golden.json` with the unseal key, the root token and what must be
found. All of it is test data: nothing in it protects anything. Space that a log only allocates in
advance is left out. Run it once for each release, on the commit that is released.
"""  # noqa: INP001 - a program, not a package

import json
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Any, Final

import ironkeep
from ironkeep.testing.server import ServerProcess

SECRETS: Final = 12
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - test data
READ: Final = 'path "secret/*" { capabilities = ["read", "list"] }'
_LEFT_OUT: Final = {"reserve", "spare", "lock", "ironkeep.db.lock"}


class House:
    """A server that is being filled, and a note of what is in it."""

    def __init__(self, server: ServerProcess) -> None:
        self.server: Final = server
        self.found: Final[dict[str, Any]] = {}

    def post(self, path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write, and return the answer."""
        return dict(self.server.api("POST", path, data or {}) or {})

    def login(self, path: str, data: dict[str, str]) -> str:
        """Log in without a token; return the token."""
        request = urllib.request.Request(  # noqa: S310 - the server started here
            f"{self.server.address}/v1/{path}", json.dumps(data).encode(), method="POST"
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return str(json.load(answer)["auth"]["client_token"])

    def fill(self) -> None:
        """Use the server as a small house does."""
        self.post("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        self.post("sys/mounts/plain", {"type": "kv"})
        for number in range(SECRETS):
            for version in ("first", "second"):
                self.post(f"secret/data/app/{number}", {"data": {"v": f"{version} {number}"}})
        self.post("plain/one", {"v": "plain value"})
        self.server.api("DELETE", "secret/metadata/app/0")
        self.server.api("PUT", "sys/policies/acl/reader", {"policy": READ})
        self.post("sys/auth/userpass", {"type": "userpass"})
        self.post("auth/userpass/users/ann", {"password": PASSWORD, "token_policies": "reader"})
        self.post("sys/auth/approle", {"type": "approle"})
        self.post(
            "auth/approle/role/web",
            {"token_policies": "reader", "secret_id_wrapping": "optional"},
        )
        role = self.server.api("GET", "auth/approle/role/web/role-id")["data"]["role_id"]
        secret_id = self.post("auth/approle/role/web/secret-id")["data"]["secret_id"]
        token = self.login("auth/userpass/login/ann", {"password": PASSWORD})
        self._read_as(token)
        self.found |= {"role_id": role, "secret_id": secret_id, "token": token}

    def _read_as(self, token: str) -> None:
        root, self.server.token = self.server.token, token
        self.server.api("GET", "secret/data/app/3")
        self.server.token = root

    def open_case(self) -> None:
        """Open a case about the person who has read a secret."""
        opened = self.post(
            "incident/cases",
            {
                "title": "a session was stolen",
                "subjects": ["person:ann"],
                "start": "1h",
                "basis": "the last good image of the machine",
            },
        )
        self.found["case"] = opened["data"]["id"]
        read = self.server.api("GET", f"incident/cases/{self.found['case']}/exposure")["data"]
        self.found["did_read"] = sorted(row["label"] for row in read["did_read"])


def main(archive: Path) -> None:
    """Fill a server, stop it, and pack what it left."""
    with tempfile.TemporaryDirectory(prefix="ironkeep-golden-") as made:
        home = Path(made)
        with ServerProcess.configured(home) as server:
            (key,) = server.initialise()
            house = House(server)
            house.fill()
            house.open_case()
            root = server.token
        vkey = next((home / "data").rglob("vkey")).read_text().strip()
        house.found |= {"key": key, "root": root, "vkey": vkey, "password": PASSWORD}
        house.found |= {"version": ironkeep.__version__, "secrets": SECRETS}
        (home / "golden.json").write_text(json.dumps(house.found, indent=1, sort_keys=True) + "\n")
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "w:xz", preset=9) as tar:
            tar.add(home / "golden.json", "golden.json")
            tar.add(home / "data", "data", filter=_keep)
    print(f"{archive}: {archive.stat().st_size} bytes, ironkeep {ironkeep.__version__}")  # noqa: T201


def _keep(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return None if Path(member.name).name in _LEFT_OUT else member


if __name__ == "__main__":
    main(Path(sys.argv[1]))
