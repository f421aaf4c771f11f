"""A vault with passkeys, and people who have some: what tests of people start from."""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.auth.passkey import Passkey
from ironkeep.core.secret import Secret
from ironkeep.plugin.token import Session
from ironkeep.testing.parts import text
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Reply, Vault
from tests.support.people.softauth import ORIGIN, SoftAuthenticator

RP_ID: Final = "vault.example"
MOUNT: Final = "auth/passkey"


@dataclass(slots=True)
class Person:
    """A person, and what is in their drawer."""

    name: str
    keys: list[SoftAuthenticator] = field(default_factory=list)


class PasskeyVault:
    """A vault in memory with passkeys mounted at auth/passkey/."""

    def __init__(self, **config: Any) -> None:
        method = Passkey()
        self.vault: Final = Vault.started({**PLUGINS, method.type: method})
        self._holders: Final[dict[str, str]] = {}
        self.write("sys/auth/passkey", token="root", type="passkey")
        self.write(f"{MOUNT}/config", token="root", rp_id=RP_ID, origins=[ORIGIN], **config)

    def write(self, path: str, *, token: str | None = None, **data: Any) -> Reply:
        """Write as a stranger, unless a token is given."""
        return self.vault.write(path, data, token=token)

    def ask(self, path: str, **data: Any) -> Reply:
        """Write below the mount as a stranger."""
        return self.write(f"{MOUNT}/{path}", **data)

    def invite(self, name: str, **params: Any) -> str:
        """Make a person; return the ticket."""
        self.write(f"{MOUNT}/users/{name}", token="root", **params)
        return text(self.write(f"{MOUNT}/users/{name}/ticket", token="root").data, "ticket")

    def register(self, ticket: str, key: SoftAuthenticator, label: str = "key") -> Reply:
        """Bind an authenticator with a ticket."""
        # As a page does, which a ticket works in from the moment it was opened there.
        held = {"holder": self._holders[ticket]} if ticket in self._holders else {}
        begun = self.ask("register/begin", ticket=ticket, **held)
        if begun.error:
            return begun
        self._holders[ticket] = text(begun.data, "holder")
        made = key.create(begun.data["options"])
        return self.ask("register/finish", id=begun.data["id"], credential=made, label=label)

    def person(self, name: str, authenticators: int = 2, **params: Any) -> Person:
        """Make a person with authenticators."""
        person = Person(name)
        ticket = self.invite(name, **params)
        for number in range(authenticators):
            key = SoftAuthenticator()
            reply = self.register(ticket, key, f"{name} {number}")
            assert reply.error is None, reply.body
            ticket = text(reply.data, "ticket") if "ticket" in reply.data else ""
            person.keys.append(key)
        return person

    def login(self, person: Person, key: int = 0) -> Reply:
        """Log somebody in by name."""
        begun = self.ask("login/begin", username=person.name)
        signed = person.keys[key].get(begun.data["options"])
        return self.ask("login/finish", id=begun.data["id"], credential=signed)

    def token(self, person: Person) -> str:
        """Log somebody in; return the token."""
        return self.login(person).token

    def touch(self, reply: Reply, key: SoftAuthenticator) -> None:
        """Give the touch that an answer asks for."""
        demand = reply.answer.step_up.rpartition("/")[2]
        shown = self.vault.read(f"{MOUNT}/step-up/{demand}", token=None).data
        given = self.ask(f"step-up/{demand}", credential=key.get(shown["options"]))
        assert given.error is None, given.body

    def session(self, token: str) -> Session:
        """Return the session of a token."""
        house = self.vault.house
        now_ns = self.vault.clock.now_ns()
        return house.tokens.authenticate(
            house.state.begin(), Secret(token.encode()), now_ns, "127.0.0.1:1"
        )
