"""The hook with which an engine takes back the credentials that it lent."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from ironkeep.core.ids import MountUuid
from ironkeep.plugin.effects.effects import Steps, Turn
from ironkeep.plugin.services import Services


@dataclass(frozen=True, slots=True)
class Lent:
    """A lease as its engine sees it; `payload` is what the engine stored with it.

    Times are POSIX nanoseconds. `attempts` counts the failed attempts to revoke.
    """

    id: str
    mount: MountUuid
    payload: bytes = field(repr=False)
    issued_ns: int
    expires_ns: int
    attempts: int


@runtime_checkable
class LeasePerformer(Protocol):
    """A plugin that lends credentials and takes them back.

    The methods are operations of plugin/effects/effects.py: they yield work for a worker thread.
    `services.store(turn.tx, lease.mount)` returns the mount's records, which are kept until its
    last lease has ended, even when the mount itself is gone.
    """

    def revoke_lease(self, turn: Turn, services: Services, lease: Lent) -> Steps[None]:
        """End the credential; one that is already gone is success, for a crash repeats the work.

        An exception means that the credential may still be valid: the work is repeated later.
        """
        ...


@runtime_checkable
class LeaseRenewer(Protocol):
    """A performer whose system must be told when a lease is extended."""

    def renew_lease(
        self, turn: Turn, services: Services, lease: Lent, expires_ns: int
    ) -> Steps[None]:
        """Extend the credential to expires_ns; an exception leaves the lease as it was."""
        ...
