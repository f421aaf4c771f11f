"""The set-up of the story before the breach: users, the parts of a backup key, a database."""

import json
import subprocess
import sys
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Final

from ironkeep.demo.stage import Answer, Stage
from ironkeep.demo.teller import StoryBroken, Teller
from ironkeep.testing.parts import text

PASSWORDS: Final = {
    "engineer": "demo password of an engineer",
    "responder": "demo password of a responder",
    "auditor": "the eyes of the auditor",
}
SCOPE_OF_ENGINEER: Final = """
path "secret/data/backup/wrapping-key" { capabilities = ["read"] }
path "database/static-creds/backup-store" { capabilities = ["read"] }
"""
SCOPE_OF_RESPONDER: Final = """
path "incident/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
path "secret/data/backup/*" { capabilities = ["create", "update"] }
"""
DECRYPTION_KEY: Final = "secret/backup/decryption-key"
WRAPPING_KEY: Final = "secret/backup/wrapping-key"
STORE_LOGIN: Final = "database/static-creds/backup-store"
BACKUPS: Final = "backup:customer backups"
ROLE: Final = "backup_store"

CIPHERTEXT: Final = sha256(b"the backup decryption key, encrypted under the wrapping key").digest()
"""Stands for the encrypted key in a repository; the story never decrypts it."""


class Estate:
    """Sets up the vault and the database, and sends the requests of operator and responder."""

    def __init__(self, stage: Stage, teller: Teller) -> None:
        self.stage: Final = stage
        self.teller: Final = teller
        self.responder = ""
        self.auditor = ""
        self.trust: Final[Path] = stage.folder / "trusted-keys.txt"

    def build(self) -> None:
        """Fill the vault and the database, and link secrets to the data that they open."""
        self._database()
        self._people()
        self._secrets()
        self._links()
        self.responder = self.stage.login("responder", PASSWORDS["responder"])
        self.auditor = self.stage.login("auditor", PASSWORDS["auditor"])
        self.trust.write_text(text(self.read("incident/trust"), "trust"))

    def root(self, path: str, **data: object) -> dict[str, object]:
        """Write as the operator, with the root token."""
        return require(self.stage.send("PUT", path, self.stage.server.token, data), path).data

    def write(self, path: str, **data: object) -> dict[str, object]:
        """Write as the responder."""
        return require(self.stage.send("PUT", path, self.responder, data), path).data

    def confirm(self, case: str, items: list[str]) -> None:
        """Confirm statements of the responder, as the auditor."""
        path = f"incident/cases/{case}/confirm"
        require(self.stage.send("PUT", path, self.auditor, {"items": items}), path)

    def read(self, path: str) -> dict[str, object]:
        """Read as the responder."""
        return require(self.stage.send("GET", path, self.responder), path).data

    def command(self, *words: str) -> tuple[int, str]:
        """Run `ironkeep` with words in its own process; return exit code and output."""
        done = subprocess.run(
            [sys.executable, "-m", "ironkeep", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=self.stage.folder,
            env={"HOME": str(self.stage.folder)},
        )
        return done.returncode, done.stdout + done.stderr

    def _database(self) -> None:
        self.stage.database.execute(
            "CREATE TABLE backups (id int, content text)",
            f"CREATE ROLE {ROLE} LOGIN CREATEROLE PASSWORD 'as the vendor left it'",
            f"GRANT SELECT ON backups TO {ROLE}",
        )

    def _people(self) -> None:
        self.root("sys/auth/userpass", type="userpass")
        self.root("sys/policies/acl/backup-engineer", policy=SCOPE_OF_ENGINEER)
        self.root("sys/policies/acl/responder", policy=SCOPE_OF_RESPONDER)
        scopes = {"engineer": "backup-engineer", "responder": "responder", "auditor": "responder"}
        for name, policy in scopes.items():
            self.root(
                f"auth/userpass/users/{name}", password=PASSWORDS[name], token_policies=policy
            )

    def _secrets(self) -> None:
        server = self.stage.database
        self.root("sys/mounts/secret", type="kv", options={"version": "2"})
        self.root("secret/data/backup/decryption-key", data={"key": "not a real key, 7d1f"})
        self.root("secret/data/backup/wrapping-key", data={"key": "not a real key, 02ce"})
        self.root("sys/mounts/database", type="database")
        target = server.target()
        self.root(
            "database/config/store",
            plugin_name="postgresql-database-plugin",
            connection_url="postgresql://{{username}}:{{password}}@"
            f"{target.host}:{target.port}/postgres?sslmode=disable",
            username=target.admin_username,
            password=target.admin_password.reveal().decode(),
            allowed_roles="backup-store",
            poolers="none",
        )
        self.root(
            "database/static-roles/backup-store",
            db_name="store",
            username=ROLE,
            password="as the vendor left it",
        )

    def _links(self) -> None:
        self.root(
            "incident/documents/registered",
            name="encrypted backup key",
            sha256=sha256(CIPHERTEXT).hexdigest(),
            wraps=DECRYPTION_KEY,
            opened_by=[WRAPPING_KEY],
        )
        self.root(
            "incident/links",
            gate="restoring customer backups",
            kind="decrypts",
            need=2,
            known=[DECRYPTION_KEY],
            live=[STORE_LOGIN],
            targets=[BACKUPS],
            basis="how the backups are made",
        )


def require(answer: Answer, path: str) -> Answer:
    """Return answer if its status is good; else raise StoryBroken with its errors."""
    if answer.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
        raise StoryBroken(f"{path} answered {answer.status}: {json.dumps(answer.errors)}")
    return answer
