"""An engine that lends users of a system outside: the smallest engine with leases.

    READ creds/{name}   a fresh user with a lease
    READ users          how many users the system has now

The system is a set of names. It can be told to refuse the next operations, or to stop answering in
the middle of one, as a crash would.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.errors import UpstreamFailed
from ironkeep.core.ids import base62
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.identity.lending.lend import Loan, lend
from ironkeep.identity.lending.performer import Lent
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects import effects
from ironkeep.plugin.effects.answer import Outside
from ironkeep.plugin.effects.effects import Steps, Turn
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.plugin.services import Services

SETTINGS: Final = "settings"


class Crash(BaseException):
    """The process ended here."""


@dataclass
class System:
    """The other system: its users with the end of each, and its faults."""

    users: dict[str, int] = field(default_factory=dict)
    refuses: int = 0
    crashes_after_drop: bool = False
    drops: list[str] = field(default_factory=list)

    def answer(self) -> None:
        """Fail if the system was told to."""
        if self.refuses:
            self.refuses -= 1
            raise UpstreamFailed("the system does not answer")

    def make(self, name: str) -> None:
        """Make a user."""
        self.answer()
        self.users[name] = 0

    def drop(self, name: str) -> None:
        """Drop a user; one that is gone is success."""
        self.drops.append(name)
        self.answer()
        self.users.pop(name, None)
        if self.crashes_after_drop:
            raise Crash

    def extend(self, name: str, until_ns: int) -> None:
        """Set the end of a user."""
        self.answer()
        self.users[name] = until_ns


class Lender:
    """The engine. It lends, takes back and extends."""

    type: Final = "lender"

    def __init__(self, system: System) -> None:
        self.system: Final = system
        self._routes: Final = (
            Route(Operation.READ, "creds/{name}", self.creds, releases=True, help="A user."),
            Route(Operation.UPDATE, "settings", self.configure, help="Something to keep."),
        )

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes."""
        return self._routes

    def configure(self, call: Call) -> Response:
        """Store a record that revocation needs."""
        call.store.put(SETTINGS, b"how to reach the system")
        return Response()

    def creds(self, call: Call) -> Response | Suspend:
        """Lend a fresh user: the lease first, then the user, then the answer."""
        user = f"v-{base62(call.entropy.token(24), 12)}"
        lease, warnings = lend(call, user.encode(), Loan(ttl_seconds=60, max_ttl_seconds=600))

        def make() -> Steps[None]:
            yield Outside(lambda: self.system.make(user), "system")

        def answer(_later: Call, _: None) -> Response:
            return Response(
                data={"user": user, "password": Secret(b"p")},
                lease=lease,
                warnings=warnings,
                issued=lease.lease_id,
            )

        return effects.run(call, make(), answer)

    def revoke_lease(self, turn: Turn, services: Services, lease: Lent) -> Steps[None]:
        """Drop the user."""
        settings = services.store(turn.tx, lease.mount).get(SETTINGS)
        if settings is None:
            raise UpstreamFailed("the settings of the mount are gone")
        user = lease.payload.decode()
        yield Outside(lambda: self.system.drop(user), "system")

    def renew_lease(
        self, _turn: Turn, _services: Services, lease: Lent, expires_ns: int
    ) -> Steps[None]:
        """Extend the user."""
        user = lease.payload.decode()
        yield Outside(lambda: self.system.extend(user, expires_ns), "system")
