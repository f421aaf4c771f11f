"""Steps of administrators, applications, clocks and faults."""

from hashlib import sha256
from typing import Final

from ironkeep.core.operation import Operation
from ironkeep.testing.simulation.cluster import Account, Fault, Server
from ironkeep.testing.simulation.step import Step
from ironkeep.testing.simulation.world import (
    ADMIN,
    CIPHERTEXT,
    OTHER,
    PRIMARY,
    STANDBY,
    World,
    data_of,
    value_in,
)


class Wait(Step, frozen=True, tag="wait"):
    """Let time pass, with the vault's timed work."""

    seconds: int = 60

    def _play(self, world: World) -> None:
        world.wait(self.seconds)


class Delete(Step, frozen=True, tag="delete"):
    """An administrator deletes something."""

    path: str = "secret/metadata/key"

    def _play(self, world: World) -> None:
        world.ask(Operation.DELETE, self.path)
        name = self.path.removeprefix("secret/metadata/")
        if name in world.versions:
            world.versions[name] = []


class Arrive(Step, frozen=True, tag="arrive"):
    """A person logs in, and stays so."""

    who: str = "ann"

    def _play(self, world: World) -> None:
        world.sessions[self.who] = world.login(self.who)


class Grant(Step, frozen=True, tag="grant"):
    """An administrator changes what a person is granted at the next login."""

    who: str = "ann"
    policies: str = "staff"

    def _play(self, world: World) -> None:
        world.write(f"auth/userpass/users/{self.who}", {"token_policies": self.policies})


class Keep(Step, frozen=True, tag="keep"):
    """An administrator has a secret keep so many versions from now on."""

    name: str = "key"
    versions: int = 1

    def _play(self, world: World) -> None:
        world.write(f"secret/metadata/{self.name}", {"max_versions": self.versions})


class Roles(Step, frozen=True, tag="roles"):
    """An administrator puts more accounts of the database under the vault's care."""

    count: int = 8

    def _play(self, world: World) -> None:
        for number in range(1, self.count + 1):
            name = f"app-{number}"
            world.cluster.servers[PRIMARY].accounts[name] = Account(b"as it was set up")
            role = {"db_name": "orders", "username": name}
            world.write(f"database/static-roles/{name}", role)


class Link(Step, frozen=True, tag="link"):
    """An administrator records what a secret opens, or takes that back."""

    source: str = "secret/key"
    kind: str = "opens"
    target: str = "system:portal"
    undo: bool = False

    def _play(self, world: World) -> None:
        if not self.undo:
            link = {"source": self.source, "kind": self.kind, "targets": self.target}
            world.write("incident/links", {**link, "basis": "its own configuration"})
            return
        listed = data_of(world.ask(Operation.LIST, "incident/links/"))
        for key, about in listed.get("key_info", {}).items():
            if about["target"] == self.target and about["kind"] == self.kind:
                world.ask(Operation.DELETE, f"incident/links/{key}")


class Register(Step, frozen=True, tag="register"):
    """An administrator records the encrypted copy of a secret, and what opens it."""

    def _play(self, world: World) -> None:
        given = {
            "name": "the repository's copy",
            "sha256": sha256(CIPHERTEXT).hexdigest(),
            "wraps": "secret/key",
            "opened_by": "secret/mail",
        }
        world.write("incident/documents/registered", given)


class Write(Step, frozen=True, tag="write"):
    """An administrator gives a secret another value; the portal takes the old one no longer."""

    name: str = "key"
    portal: bool = True

    def _play(self, world: World) -> None:
        world.renew(self.name, alone=self.portal)


class PutBack(Step, frozen=True, tag="put-back"):
    """An administrator gives a secret its first value again."""

    name: str = "key"

    def _play(self, world: World) -> None:
        first = f"first value of {self.name}"
        if world.write(f"secret/data/{self.name}", {"data": {"v": first}}):
            world.versions[self.name].append(first)


class Reuse(Step, frozen=True, tag="reuse"):
    """An administrator gives a secret the value that another one has, and its users take it."""

    name: str = "pay"
    source: str = "key"

    def _play(self, world: World) -> None:
        path = f"secret/data/{self.source}"
        value = value_in(world.read(path), path)
        if self.name != self.source and value:
            world.give(self.name, value)


class Rotate(Step, frozen=True, tag="rotate-role"):
    """An administrator rotates an account of the database, outside any case."""

    name: str = "app"

    def _play(self, world: World) -> None:
        world.write(f"database/rotate-role/{self.name}")


class Application(Step, frozen=True, tag="application"):
    """The application reads its password and opens a session."""

    endpoint: str = PRIMARY

    def _play(self, world: World) -> None:
        reply = world.read("database/static-creds/app")
        if reply is not None:
            password = str(reply.data["password"]).encode()
            world.cluster.connect(self.endpoint, "app", password, thief=False)


class Behind(Step, frozen=True, tag="behind"):
    """The standby falls behind."""

    def _play(self, world: World) -> None:
        world.cluster.fall_behind(STANDBY)


class BackUp(Step, frozen=True, tag="back-up"):
    """An administrator backs up the database, or puts the standby back to the backup."""

    restore: bool = False

    def _play(self, world: World) -> None:
        if self.restore:
            world.cluster.restore(STANDBY)
        else:
            world.cluster.back_up()


class Follow(Step, frozen=True, tag="follow"):
    """The standby follows its primary again."""

    def _play(self, world: World) -> None:
        world.cluster.catch_up(STANDBY)


class Down(Step, frozen=True, tag="down"):
    """A server does not answer, or does so again."""

    endpoint: str = STANDBY
    up: bool = False

    def _play(self, world: World) -> None:
        world.cluster.servers[self.endpoint].down = not self.up


class Blind(Step, frozen=True, tag="blind"):
    """The administering account may not read the triggers any more."""

    def _play(self, world: World) -> None:
        world.cluster.blind = True


class NewSystem(Step, frozen=True, tag="new-system"):
    """Another database server starts; later an administrator puts it under the vault's care."""

    managed: bool = False

    def _play(self, world: World) -> None:
        accounts = {"admin": Account(ADMIN), "batch": Account(b"as it was set up")}
        world.cluster.servers.setdefault(OTHER, Server(accounts))
        if self.managed:
            config = {
                "plugin_name": "postgresql-database-plugin",
                "username": "admin",
                "password": ADMIN.decode(),
                "allowed_roles": "*",
                "host": OTHER.partition(":")[0],
                "poolers": "none",
            }
            world.write("database/config/other", config)
            role = {"db_name": "other", "username": "batch"}
            world.write("database/static-roles/batch", role)


class Silent(Step, frozen=True, tag="silent"):
    """The database does not list the logins that are under way."""

    def _play(self, world: World) -> None:
        world.cluster.tells = False


class Pool(Step, frozen=True, tag="pool"):
    """A pooler stands before a server, and keeps its clients."""

    endpoint: str = PRIMARY

    def _play(self, world: World) -> None:
        world.cluster.servers[self.endpoint].pooled.add("app")


class Drop(Step, frozen=True, tag="drop-host"):
    """An administrator takes the standby out of the connection; it goes on running."""

    def _play(self, world: World) -> None:
        host = PRIMARY.partition(":")[0]
        world.write("database/config/orders", {"host": host, "verify_connection": False})


class Fail(Step, frozen=True, tag="fail"):
    """The next call of an operation at the database fails."""

    op: str = "set"
    how: Fault = Fault.LOST_REPLY

    def _play(self, world: World) -> None:
        world.cluster.faults.setdefault(self.op, []).append(self.how)


class Crash(Step, frozen=True, tag="crash"):
    """The vault's process ends within the next call of an operation at the database."""

    op: str = "set"
    when: str = "after"

    def _play(self, world: World) -> None:
        world.cluster.crashes[self.op] = self.when


class Restart(Step, frozen=True, tag="restart"):
    """The vault is started again."""

    def _play(self, world: World) -> None:
        world.restart()


class SetClock(Step, frozen=True, tag="clock"):
    """The machine's clock is set, while the vault runs or while it is down."""

    seconds: int = -120
    down: bool = False

    def _play(self, world: World) -> None:
        world.vault.machine.step(self.seconds)
        if self.down:
            world.restart()


EVENTS: Final = (
    Wait, Arrive, Grant, Keep, Roles, Link, Register, Delete, Write, PutBack, Reuse, Rotate,
    Application, Behind, BackUp, Follow, Down, Blind, NewSystem, Silent, Pool, Drop,
    Fail, Crash, Restart, SetClock,
)  # fmt: skip
