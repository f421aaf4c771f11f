"""A vault with a simulated system in its care: an administrator and an application's account."""

from typing import Any, Final

from ironkeep.auth.token import TokenMethod
from ironkeep.core.ids import MountUuid
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.credentials.rotation_record import RotationState, Stage
from ironkeep.credentials.store import CredentialId
from ironkeep.engines.cubbyhole import Cubbyhole
from ironkeep.engines.database import Database
from ironkeep.engines.kv import Kv
from ironkeep.engines.system import System
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.plugin.request import Request
from ironkeep.plugin.route import Plugin
from ironkeep.testing.parts import text
from ironkeep.testing.vault import Reply, Vault
from tests.support.credentials.simulated import Account, SimulatedSystem

PLUGINS: Final[dict[str, Plugin]] = {
    plugin.type: plugin for plugin in (System(), Kv(), Cubbyhole(), TokenMethod(), Database())
}
ADMIN: Final = "keeper"
FIRST: Final = "first-password"
TARGET: Final = "postgresql://{{username}}:{{password}}@db.example:5432/app?sslmode=disable"


class Bench:
    """A vault, and a simulated system with an administrator and an application's account."""

    def __init__(self, *, self_managed: bool = False, url: str = TARGET) -> None:
        self.self_managed = self_managed
        self.system = SimulatedSystem(
            accounts={
                ADMIN: Account(b"admin-password"),
                "app": Account(FIRST.encode(), sessions=2),
            }
        )
        self.vault = Vault.started(PLUGINS, connectors={"postgresql": self.system})
        self.write("sys/mounts/database", type="database")
        self.configure(url)
        self.role("app", password=FIRST, skip_import_rotation=True, self_managed=self_managed)

    def configure(self, url: str = TARGET, password: str = "admin-password") -> None:
        """Configure the connection `main`."""
        self.write(
            "database/config/main",
            plugin_name="postgresql-database-plugin",
            connection_url=url,
            username=ADMIN,
            password=password,
            allowed_roles="*",
        )

    def role(self, name: str, **fields: Any) -> None:
        """Write a static role for the account of the same name."""
        self.write(f"database/static-roles/{name}", db_name="main", username=name, **fields)

    def write(self, path: str, **data: Any) -> Reply:
        """Write, and insist that it goes well."""
        reply = self.vault.write(path, data)
        assert reply.error is None, reply.errors
        return reply

    def rotate(self, name: str = "app") -> Reply:
        """Ask for a rotation."""
        return self.vault.write(f"database/rotate-role/{name}")

    def state(self, name: str = "app") -> dict[str, Any]:
        """Return what the API says of a role."""
        data: dict[str, Any] = self.vault.read(f"database/static-roles/{name}").data
        return data

    def served(self, name: str = "app") -> bytes:
        """Return the password that the API hands out."""
        password = text(self.vault.read(f"database/static-creds/{name}").data, "password")
        return password.encode()

    def id(self, path: str = "static-creds/app") -> CredentialId:
        """Return the id of a credential of the mount."""
        mounts = self.vault.read("sys/mounts").data
        return CredentialId(MountUuid(text(mounts, "database/", "uuid")), path)

    def materials(self, path: str = "static-creds/app") -> dict[int, Secret]:
        """Return every version that the vault keeps."""
        tx = self.vault.house.state.begin()
        store = self.vault.house.credentials.store
        versions = store.record(tx, self.id(path)).versions
        return {each.number: store.secret(tx, self.id(path), each.number) for each in versions}

    def working(self, path: str = "static-creds/app", account: str = "app") -> list[int]:
        """Return the versions kept that the system takes."""
        password = self.system.accounts[account].password
        return [
            number for number, secret in self.materials(path).items() if secret.equals(password)
        ]

    def restart(self) -> None:
        """Begin again over the same storage, as after a crash."""
        self.system.hook = lambda _when, _op: None
        self.vault = self.vault.restarted()
        self.vault.unseal()

    def settle(self, name: str = "app") -> None:
        """Let time pass until nothing is under way."""
        for _ in range(40):
            if self.state(name)["state"] in {"idle", "lost"}:
                return
            self.vault.tick(4000)
        raise AssertionError(self.state(name))

    def assert_sound(self, path: str = "static-creds/app", account: str = "app") -> None:
        """Assert that one version works, the current one, and all others are known refused."""
        tx = self.vault.house.state.begin()
        record = self.vault.house.credentials.store.record(tx, self.id(path))
        assert record.state is RotationState.IDLE
        assert record.at(Stage.CURRENT) == self.working(path, account)
        assert record.at(Stage.PENDING) == []
        assert all(each.dead for each in record.versions if each.stage is not Stage.CURRENT)
        assert not self.vault.house.effects.busy
        assert self.vault.defects == []

    def effects(self) -> list[Any]:
        """Return the entries of outside calls, in order."""
        found = self.vault.house.audit_reader().entries()
        return [entry for _, entry in found if entry.kind == "effect"]

    def start(self, path: str = "database/rotate-role/app") -> Waiting:
        """Begin a request and leave it waiting, its intent durable."""
        request = Request(Operation.UPDATE, path, {}, Secret(self.vault.root.encode()))
        waiting = self.vault.pipeline.handle(request)
        assert isinstance(waiting, Waiting)
        self.vault.flush()
        return waiting
