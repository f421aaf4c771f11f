"""Takes back lent credentials through the engines that lent them.

    due lease  →  revoke_lease of its plugin, as an effect  →  done, or due again after a pause

The pause doubles up to an hour and attempts never stop. After `IRREVOCABLE` failures the lease is
listed as irrevocable and an alert is raised. An operator then repairs the system, or forgets the
lease with `revoke-force`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ironkeep.core.errors import IronkeepError, UpstreamFailed
from ironkeep.core.event import Value
from ironkeep.core.ids import MountUuid
from ironkeep.identity.leases import IRREVOCABLE, KIND, Lease, Leases
from ironkeep.identity.lending.performer import LeasePerformer, LeaseRenewer, Lent
from ironkeep.plugin.effects.effects import Effects, Steps, Turn, key_of
from ironkeep.plugin.route import Plugins
from ironkeep.plugin.services import Services
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import LEASES
from ironkeep.store.state import Tx

AT_ONCE: Final = 8
"""Leases revoked at once; the other effects of the tick keep the rest of its limit."""

OnStuck = Callable[[Tx, Lease, int], None]
"""Called once with a lease that has become irrevocable, and the time."""


class Performing:
    """The driver of due leases, and of renewals."""

    def __init__(
        self,
        services: Services,
        leases: Leases,
        effects: Effects,
        begin: Callable[[], Tx],
        on_stuck: OnStuck,
    ) -> None:
        self._services: Final = services
        self._leases: Final = leases
        self._effects: Final = effects
        self._begin: Final = begin
        self._on_stuck: Final = on_stuck
        self._running = 0
        effects.register(f"{LEASES}/id", self.revoke, self._group)

    def holds_up(self, kind: str) -> bool:
        """Return whether a kind of due leases must wait for others to end."""
        return kind.startswith(KIND) and (self._running >= AT_ONCE or self._effects.is_full(kind))

    def revoke(self, turn: Turn, record: DueRecord) -> Steps[None]:
        """Revoke the lease of a due record; a driver of plugin/effects/effects.py."""
        yield from self.revoke_now(turn, self._leases.of_record(record))

    def revoke_now(self, turn: Turn, lease: Lease) -> Steps[Exception | None]:
        """Revoke a lease that is marked; return the failure that was kept with it, if any.

        Raise Conflict while another operation holds the lease.
        """
        with self._effects.claimed(key_of(MountUuid(LEASES), f"id/{lease.id}")), self._counted():
            try:
                turn = yield from self._perform(turn, lease)
            except Exception as error:  # noqa: BLE001 - every failure is kept with the lease
                self._failed(turn, lease, error)
                return error
            self._leases.done(turn.tx, lease)
            self._note(turn, lease, "ok", {"lease": lease.id})
        return None

    def renew(self, turn: Turn, lease: Lease, expires_ns: int) -> Steps[None]:
        """Tell the system of a lease that it will end at expires_ns, if its engine wants that."""
        plugin: object = self._services.use(Plugins).get(lease.type)
        if isinstance(plugin, LeaseRenewer):
            with self._effects.claimed(key_of(MountUuid(LEASES), f"id/{lease.id}")):
                yield from plugin.renew_lease(turn, self._services, lent(lease), expires_ns)

    def _perform(self, turn: Turn, lease: Lease) -> Steps[Turn]:
        plugin: object = self._services.use(Plugins).get(lease.type)
        if not isinstance(plugin, LeasePerformer):
            raise UpstreamFailed(f"no plugin of this server revokes leases of type {lease.type!r}")
        steps = plugin.revoke_lease(turn, self._services, lent(lease))
        try:
            work = next(steps)
            while True:
                # The engine's turn is this driver's: it writes the end in the last one.
                try:
                    turn, result = yield work
                except Exception as error:  # noqa: BLE001 - the engine may handle it
                    work = steps.throw(error)
                else:
                    work = steps.send((turn, result))
        except StopIteration:
            return turn

    def _failed(self, turn: Turn, lease: Lease, error: Exception) -> None:
        """Keep the failure with the lease, in a transaction of its own: its turn is over."""
        tx = self._begin()
        noted = self._leases.failed(tx, lease, reason_of(error), turn.now_ns)
        if noted is None:
            return  # it was forgotten meanwhile
        audited: dict[str, Value] = {"lease": lease.id, "attempts": noted.attempts}
        self._note(turn, lease, error.code if isinstance(error, IronkeepError) else "internal",
                   audited)  # fmt: skip
        if noted.attempts == IRREVOCABLE:
            self._on_stuck(tx, noted, turn.now_ns)
        tx.merge()

    def _note(self, turn: Turn, lease: Lease, outcome: str, audited: dict[str, Value]) -> None:
        self._effects.note(turn, "revoke-lease", lease.mount, lease.path, audited, outcome)

    def _group(self, _tx: Tx, record: DueRecord) -> tuple[str, int]:
        return self._leases.kind_of(record), record.due_ns

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


def lent(lease: Lease) -> Lent:
    """Return a lease as its engine sees it."""
    return Lent(
        lease.id, lease.mount, lease.payload, lease.issued_ns, lease.expires_ns, lease.attempts
    )


def reason_of(error: Exception) -> str:
    """Return what may be shown of a failure: our own texts, or the class of any other error."""
    return str(error) if isinstance(error, IronkeepError) else type(error).__name__
