"""Steps of the attacker. Each does nothing when it lacks what it needs."""

from typing import Final

from ironkeep.core.credential.inventory import Kind, item
from ironkeep.core.operation import Operation
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.testing.simulation.cluster import Account
from ironkeep.testing.simulation.step import Step
from ironkeep.testing.simulation.world import (
    PRIMARY,
    STANDBY,
    World,
    data_of,
    password_of,
    value_in,
)
from ironkeep.testing.vault import Reply

ENDPOINTS: Final = (PRIMARY, STANDBY)
MADE: Final = "password of the attacker"


class Steal(Step, frozen=True, tag="steal"):
    """Copy the session of a person, a new one or the one of before; or their password, too."""

    who: str = "ann"
    password: bool = False
    before: bool = False

    def _play(self, world: World) -> None:
        world.mark()
        known = world.sessions.get(self.who, "") if self.before else ""
        token = known or world.login(self.who)
        if not token:
            return
        world.bag.tokens.append(token)
        if self.password:
            path = f"auth/userpass/login/{self.who}"
            world.bag.logins.append((path, {"password": password_of(self.who)}))


class Read(Step, frozen=True, tag="read"):
    """Read a secret with one of the tokens."""

    path: str = "database/static-creds/app"
    by: int = 0

    def _play(self, world: World) -> None:
        learn(world, self.path, world.read(self.path, world.token(self.by)))


class Peek(Step, frozen=True, tag="peek"):
    """Learn what a token can read now, by a read of which the log says nothing."""

    path: str = "database/static-creds/app"
    by: int = 0

    def _play(self, world: World) -> None:
        if world.token(self.by):
            learn(world, self.path, world.copied().read(self.path, world.token(self.by)))


class Wrap(Step, frozen=True, tag="wrap"):
    """Read a secret into a wrapping token, or open one; that of somebody else is copied."""

    path: str = "secret/data/key"
    by: int = 0
    open: bool = False
    owner: str = ""

    def _play(self, world: World) -> None:
        token, wraps = world.token(self.by), world.bag.wraps
        token = world.sessions.get(self.owner, "") if self.owner else token
        if self.open and wraps:
            reply = world.write("sys/wrapping/unwrap", {}, wraps[self.by % len(wraps)])
            if reply is not None and reply.body.get("auth"):
                world.bag.tokens.append(reply.token)
            else:
                learn(world, self.path, reply)
        elif token and not self.open:
            made = world.ask(Operation.READ, self.path, None, token, wrap=3600)
            wraps += [str(made.body["wrap_info"]["token"])] if made and not made.error else []


class Login(Step, frozen=True, tag="login"):
    """Log in to the vault with something known; `later` leaves the login under way."""

    number: int = 0
    later: bool = False

    def _play(self, world: World) -> None:
        logins = world.bag.logins
        if not logins:
            return
        path, data = logins[self.number % len(logins)]
        if self.later:
            vault = world.vault
            vault.clock.advance(seconds=1)
            request = vault.asked(Operation.UPDATE, path, data, None)
            outcome = vault.pipeline.handle(request)
            vault.flush()
            if isinstance(outcome, Waiting):
                world.bag.requests.append(outcome)
            return
        reply = world.write(path, data, None)
        if reply is not None:
            world.bag.tokens.append(reply.token)


class Leak(Step, frozen=True, tag="leak"):
    """Copy a document that contains the encrypted copy of a secret."""

    def _play(self, world: World) -> None:
        world.mark()
        world.bag.ciphertexts.append("key")


class Token(Step, frozen=True, tag="token"):
    """Make a token: child, orphan, batch, or one inside a wrapping token."""

    kind: str = "child"
    by: int = 0

    def _play(self, world: World) -> None:
        token = world.token(self.by)
        if not token:
            return
        path = "auth/token/create-orphan" if self.kind == "orphan" else "auth/token/create"
        data = {"type": "batch"} if self.kind == "batch" else {"ttl": "24h"}
        wrap = 3600 if self.kind == "wrapped" else None
        reply = world.ask(Operation.UPDATE, path, data, token, wrap=wrap)
        if reply is None or reply.error is not None:
            return
        if wrap is not None:
            world.bag.wraps.append(str(reply.body["wrap_info"]["token"]))
        else:
            world.bag.tokens.append(reply.token)


class MakeUser(Step, frozen=True, tag="make-user"):
    """Make a user of the vault, or give a user another password."""

    name: str = "eve"
    policies: str = "reader"
    by: int = 0

    def _play(self, world: World) -> None:
        data = {"password": MADE, "token_policies": self.policies}
        path = f"auth/userpass/users/{self.name}"
        if world.token(self.by) and world.write(path, data, world.token(self.by)):
            world.bag.logins.append((f"auth/userpass/login/{self.name}", {"password": MADE}))


class MakeRole(Step, frozen=True, tag="make-role"):
    """Make a role for programs, and a secret id of it."""

    name: str = "robot"
    by: int = 0

    def _play(self, world: World) -> None:
        token, path = world.token(self.by), f"auth/approle/role/{self.name}"
        if not token or not world.write(path, {"token_policies": "reader"}, token):
            return
        role = world.read(f"{path}/role-id", token)
        made = world.write(f"{path}/secret-id", {}, token)
        if role is not None and made is not None:
            login = {
                "role_id": str(role.data["role_id"]),
                "secret_id": str(made.data["secret_id"]),
            }
            world.bag.logins.append(("auth/approle/login", login))


class Widen(Step, frozen=True, tag="widen-policy"):
    """Write a policy that lets more be read."""

    name: str = "reader"
    by: int = 0

    def _play(self, world: World) -> None:
        policy = 'path "*" { capabilities = ["read", "list", "create", "update", "sudo"] }'
        path = f"sys/policies/acl/{self.name}"
        if world.token(self.by) and world.write(path, {"policy": policy}, world.token(self.by)):
            world.bag.policies[self.name] = policy


class Overwrite(Step, frozen=True, tag="overwrite"):
    """Put a value of the attacker's own in place of a secret."""

    name: str = "pay"
    by: int = 0

    def _play(self, world: World) -> None:
        data = {"data": {"v": MADE}}
        path = f"secret/data/{self.name}"
        if world.token(self.by) and world.write(path, data, world.token(self.by)):
            world.bag.values.append((self.name, MADE))


class Remove(Step, frozen=True, tag="remove"):
    """Delete something that was made, to cover tracks."""

    path: str = "auth/userpass/users/eve"
    by: int = 0

    def _play(self, world: World) -> None:
        if world.token(self.by):
            world.ask(Operation.DELETE, self.path, None, world.token(self.by))


class Adopt(Step, frozen=True, tag="adopt"):
    """Put an account of the database under the vault's care, as a role of the attacker's."""

    name: str = "mine"
    account: str = "payroll"
    by: int = 0

    def _play(self, world: World) -> None:
        path, token = f"database/static-roles/{self.name}", world.token(self.by)
        if token:
            world.ask(
                Operation.UPDATE, path, {"db_name": "orders", "username": self.account}, token
            )


class Connect(Step, frozen=True, tag="connect"):
    """Open a session at a server with a known password; `later` leaves the login under way."""

    number: int = 0
    endpoint: int = 0
    later: bool = False

    def _play(self, world: World) -> None:
        if not world.bag.accounts:
            return
        name, password = world.bag.accounts[self.number % len(world.bag.accounts)]
        endpoint = ENDPOINTS[self.endpoint % len(ENDPOINTS)]
        if not self.later:
            world.cluster.connect(endpoint, name, password.encode(), thief=True)
            return
        half = world.cluster.begin(endpoint, name, password.encode())
        if half is not None:
            world.bag.halves.append(half)


class Finish(Step, frozen=True, tag="finish"):
    """Finish the logins to the database that are under way."""

    def _play(self, world: World) -> None:
        for half in world.bag.halves:
            world.cluster.finish(half)
        world.bag.halves.clear()


class Seize(Step, frozen=True, tag="seize"):
    """Come by a root token of the vault in an unknown way."""

    def _play(self, world: World) -> None:
        world.mark()
        world.bag.tokens.append(world.vault.root)


class Plant(Step, frozen=True, tag="plant"):
    """Leave an account or a hook at the database, over a session there or in an unknown way."""

    kind: str = "account"
    name: str = "backdoor"
    unseen: bool = False
    endpoint: str = PRIMARY

    def _play(self, world: World) -> None:
        cluster = world.cluster
        servers = cluster.servers.values()
        if not self.unseen and not any(each.thief for one in servers for each in one.sessions):
            return
        if self.kind == "account":
            cluster.servers[self.endpoint].accounts[self.name] = Account(MADE.encode())
            world.bag.accounts.append((self.name, MADE))
        elif self.name not in world.bag.hooks:
            cluster.items.append(item(Kind.HOOK, "trigger", self.name, {}))
            world.bag.hooks.append(self.name)


def learn(world: World, path: str, reply: Reply | None) -> None:
    """Add the secret in an answer, if there is one, to what the attacker holds."""
    value = value_in(reply, path)
    if not value:
        return
    if path.startswith("database/"):
        world.bag.accounts.append((str(data_of(reply)["username"]), value))
    world.bag.values.append((path.removeprefix("secret/data/"), value))


ATTACK: Final = (
    Steal, Leak, Read, Peek, Wrap, Login, Token, MakeUser, MakeRole, Widen, Overwrite, Remove,
    Adopt, Connect, Finish, Seize, Plant,
)  # fmt: skip
