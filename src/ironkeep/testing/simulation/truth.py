"""What the attacker can still do, found by trying it: the truth that a verdict is measured against.

Every value that the attacker saw is presented again, to the vault and to every server that there
ever was. Nothing here reads the evidence of a case. A power over a secret names it in brackets, so
that one which the case exempts can be left out.
"""

from collections.abc import Iterator
from typing import Final

from ironkeep.core.operation import Operation
from ironkeep.testing.simulation.world import SECRETS, World, value_in

_CURRENT: Final = tuple(f"secret/data/{name}" for name in SECRETS)


def powers(world: World) -> list[str]:
    """Return what the attacker can still do, each in a few words; empty when they are out.

    Attempts change the world: nothing else can be played in it afterwards.
    """
    return list(dict.fromkeys(_powers(world)))


def _powers(world: World) -> Iterator[str]:
    yield from _at_the_database(world)
    yield from _in_the_vault(world)
    yield from _values(world)
    yield from _left_behind(world)


def _at_the_database(world: World) -> Iterator[str]:
    cluster, bag = world.cluster, world.bag
    for server in cluster.servers.values():
        server.down = False
    for half in bag.halves:
        if cluster.finish(half):
            yield f"finishes a login of {half.username} at {half.endpoint}"
    for endpoint, server in cluster.servers.items():
        for session in server.sessions:
            if session.thief:
                yield f"has a session of {session.username} at {endpoint}"
        for name, password in dict.fromkeys(bag.accounts):
            if cluster.connect(endpoint, name, password.encode(), thief=True):
                yield f"logs in as {name} at {endpoint}"


def _in_the_vault(world: World) -> Iterator[str]:
    bag, vault = world.bag, world.vault
    for request in bag.requests:
        answer = vault.settle(request)
        if answer.error is None:
            yield "finishes a login to the vault"
    for number, token in enumerate(bag.tokens):
        if world.read("auth/token/lookup-self", token):
            yield f"uses token {number}"
    for number, token in enumerate(bag.wraps):
        if world.write("sys/wrapping/unwrap", {}, token):
            yield f"opens wrapping token {number}"
    for path, data in bag.logins:
        if world.write(path, data, None):
            yield f"logs in at {path}"


def _values(world: World) -> Iterator[str]:
    bag = world.bag
    current: dict[str, str] = {}
    for path in _CURRENT:
        current[path.removeprefix("secret/data/")] = value_in(world.read(path), path)
    for name, value in dict.fromkeys(bag.values):
        if current.get(name) == value:
            yield f"knows the present value [secret/{name}]"
        elif value in current.values():
            yield f"knows the present value of another secret [secret/{name}]"
        if value in world.portal.get(name, ()):
            yield f"knows a value that is still taken [secret/{name}]"
    known = {name for name, value in bag.values if value in world.portal.get(name, ())}
    if "mail" in known and "key" in bag.ciphertexts:
        yield "decrypts a copy of the present value [secret/key]"
    served = {value for name, value in bag.values if name.startswith("database/")}
    names = world.ask(Operation.LIST, "database/static-roles/")
    for name in () if names is None or names.error else names.keys:
        reply = world.read(f"database/static-creds/{name}")
        if reply is not None and reply.data["password"] in served:
            yield f"knows the present password of {name}"


def _left_behind(world: World) -> Iterator[str]:
    bag = world.bag
    there = {each.name for each in world.cluster.items}
    yield from (f"has the hook {name}" for name in bag.hooks if name in there)
    for name, text in bag.policies.items():
        reply = world.read(f"sys/policies/acl/{name}")
        if reply is not None and reply.data["policy"] == text:
            yield f"wrote the policy {name} that is in force"
