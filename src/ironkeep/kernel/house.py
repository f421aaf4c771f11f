"""The house: everything the kernel keeps, wired together, and the keys while they are there.

Rooms reach it as `call.house`. While sealed `barrier` is None and only routes marked `sealed_ok`
answer.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ironkeep.core.errors import NotFound, Sealed, Uninitialised
from ironkeep.core.event import Entry
from ironkeep.core.ids import ROOT_NAMESPACE, MountAccessor, MountUuid, RequestId, uuid
from ironkeep.core.ports import Clock, Entropy, Storage
from ironkeep.kernel.barrier import Barrier, Store
from ironkeep.kernel.history import History
from ironkeep.kernel.identity import Identity
from ironkeep.kernel.journal import Journal, Receipt
from ironkeep.kernel.leases import Leases
from ironkeep.kernel.ledger import Ledger
from ironkeep.kernel.mounts import Mounts
from ironkeep.kernel.names import Place
from ironkeep.kernel.plugin import Mount, Plugin, Request, Response
from ironkeep.kernel.policies import Policies
from ironkeep.kernel.refusals import Refusals
from ironkeep.kernel.router import Router
from ironkeep.kernel.state import State, Tx
from ironkeep.kernel.token import Session, TokenSpec
from ironkeep.kernel.tokens import Tokens
from ironkeep.kernel.wrapping import Wrapping

SYS: Final = Mount("sys/", "system", MountUuid("sys"), MountAccessor("system_house"))
"""The system engine is always there, and answers a few routes while sealed."""

_IDS_A_REFILL: Final = 256
"""Request ids made from one call for entropy: a call each costs more than the id."""


class House:
    """The kernel's services and state."""

    def __init__(
        self,
        storage: Storage,
        journal: Journal,
        clock: Clock,
        entropy: Entropy,
        plugins: Mapping[str, Plugin],
    ) -> None:
        self.storage: Final = storage
        self.journal: Final = journal
        self.clock: Final = clock
        self.entropy: Final = entropy
        self.plugins: Final = plugins
        self.state: Final = State(storage)
        self.ledger: Final = Ledger(storage, self.state, journal, clock)
        self.barrier: Barrier | None = None
        self.history: Final = History(self.store)
        self.mounts: Final = Mounts(self.history)
        self.policies: Final = Policies(self.store, self.history)
        self.identity: Final = Identity(self.store, self.history)
        self.leases: Final = Leases(self.store)
        self.tokens: Final = Tokens(self.store, self.policies, self.identity, self.leases)
        self.wrapping: Final = Wrapping(self.store, self.tokens)
        self.refusals: Final = Refusals()
        self.on_defect: Callable[[RequestId, Exception], None] = _ignore
        self._routers: dict[int, tuple[object, Router]] = {}
        self._ids: list[bytes] = []

    def store(self, tx: Tx, place: str) -> Store:
        """Return the records of one of the house's own places, such as "sys/tokens"."""
        if self.barrier is None:
            raise Sealed("Vault is sealed")
        return Store(self.barrier, Place(ROOT_NAMESPACE, MountUuid(place)), tx)

    def mount_store(self, tx: Tx, mount: Mount) -> Store:
        """Return a mount's records."""
        if self.barrier is None:
            raise Sealed("Vault is sealed")
        return Store(self.barrier, Place(mount.namespace, mount.uuid), tx)

    def require_unsealed(self) -> None:
        """Raise Uninitialised or Sealed unless the keys are there."""
        if self.barrier is None:
            if self.ledger.seq == 0:
                raise Uninitialised("Vault is not initialized: run `ironkeep operator init`")
            raise Sealed("Vault is sealed")

    def find_mount(self, tx: Tx, path: str) -> tuple[Mount, str]:
        """Return the mount that serves path, and path relative to it; raise NotFound."""
        if path.startswith("sys/"):
            return SYS, path[4:]
        self.require_unsealed()
        mount = self.mounts.table(self.store(tx, "sys/mounts")).find(path)
        if mount is None:
            raise NotFound(f'no handler for route "{path}". route entry not found.')
        return mount, path[len(mount.path) :]

    def router(self, mount: Mount) -> Router:
        """Return the compiled routes of a mount."""
        plugin = self.plugins.get(mount.type)
        if plugin is None:
            raise NotFound(f'no handler for route "{mount.path}". route entry not found.')
        routes = plugin.routes(mount)
        known = self._routers.get(id(routes))
        if known is None or known[0] is not routes:
            known = (routes, Router(routes))
            self._routers[id(routes)] = known
        return known[1]

    def new_request_id(self) -> RequestId:
        """Return a fresh random UUID."""
        if not self._ids:
            pool = self.entropy.token(16 * _IDS_A_REFILL)
            self._ids = [pool[i : i + 16] for i in range(0, len(pool), 16)]
        return RequestId(uuid(self._ids.pop()))

    def refused(self, entry: Entry, *, known: bool) -> Receipt | None:
        """Journal a refusal, or only count it when strangers come faster than the disk should."""
        if known or self.refusals.admit(entry):
            return self.journal.append(entry)
        return None

    def tick(self, now_ns: int) -> None:
        """Do the kernel's work that is driven by time: called about once a second."""
        for entry in self.refusals.flush(now_ns):
            self.journal.append(entry)
        if self.barrier is not None:
            self.expire(now_ns)

    def issue(self, tx: Tx, mount: Mount, spec: TokenSpec, response: Response, now_ns: int) -> None:
        """Issue the token that a response asks for and put it into the response as its auth."""
        raise NotImplementedError

    def wrap(
        self,
        tx: Tx,
        session: Session | None,
        request: Request,
        body: bytes,
        response: Response,
        now_ns: int,
    ) -> dict[str, Any]:
        """Keep a response behind a one-use token; return wrap_info."""
        raise NotImplementedError

    def expire(self, now_ns: int) -> None:
        """Remove what is past its time."""
        raise NotImplementedError


def _ignore(request_id: RequestId, error: Exception) -> None:
    """Nobody listens for defects."""
