"""People in a vault: each is registered and logs in with userpass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ironkeep.core.ids import EntityId
from ironkeep.testing.vault import Vault

PASSWORD: Final = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who logged in: the token and the entity behind it."""

    name: str
    token: str
    entity: EntityId


def person(vault: Vault, name: str, policies: Sequence[str]) -> Person:
    """Register somebody who holds policies, and log them in."""
    user: dict[str, Any] = {"password": PASSWORD, "token_policies": list(policies)}
    assert vault.write(f"auth/userpass/users/{name}", user).error is None
    return log_in(vault, name)


def log_in(vault: Vault, name: str) -> Person:
    """Log somebody in once more."""
    done = vault.write(f"auth/userpass/login/{name}", {"password": PASSWORD}, token=None)
    assert done.error is None, done.body
    return Person(name, done.auth["client_token"], EntityId(done.auth["entity_id"]))
