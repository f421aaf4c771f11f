"""People in a vault, as they are after a login: a token, and the entity behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ironkeep.core.ids import EntityId
from ironkeep.plugin.token import TokenSpec
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.vault import Vault

MOUNT: Final = "auth/userpass/"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is logged in."""

    name: str
    policies: tuple[str, ...]
    token: str
    entity: EntityId


def person(vault: Vault, name: str, policies: Sequence[str]) -> Person:
    """Log somebody in; userpass must be mounted.

    What userpass issues once the password is right is issued here without one: hashing it costs
    more than all the rest of a test.
    """
    house, now_ns = vault.house, vault.clock.now_ns()
    tx = house.state.begin()
    mount = house.mounts.table(house.store(tx, MOUNTS)).by_path[MOUNT]
    spec = TokenSpec(tuple(policies), f"userpass-{name}", f"{MOUNT}login/{name}", alias=name)
    issued = house.tokens.issue(tx, mount, spec, now_ns, vault.entropy)
    tx.merge()
    vault.flush()
    return Person(
        name, tuple(policies), issued.token.reveal().decode(), EntityId(issued.record.entity)
    )


def log_in(vault: Vault, who: Person) -> Person:
    """Log somebody in once more."""
    return person(vault, who.name, who.policies)
