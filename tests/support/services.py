"""The kernel's services over memory, without pipeline or journal: a bench for tests."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ironkeep.core.ids import ROOT_NAMESPACE, MountAccessor, MountUuid, RequestId
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.identity.entities import Identity
from ironkeep.identity.leases import Leases
from ironkeep.identity.lending.sweeping import LeaseSweeps
from ironkeep.identity.policies import Policies
from ironkeep.identity.tokens import Tokens
from ironkeep.identity.wrapping import Wrapping
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.request import Request
from ironkeep.plugin.services import Services as PluginServices
from ironkeep.plugin.token import Session
from ironkeep.seal.segments import Segments
from ironkeep.store.barrier import Barrier, Store
from ironkeep.store.history import History
from ironkeep.store.keyring import HOUSE, new_keyring
from ironkeep.store.names import Place
from ironkeep.store.state import State, Tx
from ironkeep.testing.memory import FakeClock, MemoryStorage, SeededEntropy

TOKEN: Final = Mount("auth/token/", "token", MountUuid("uuid-token"), MountAccessor("token_1"))
USERPASS: Final = Mount(
    "auth/userpass/", "userpass", MountUuid("uuid-userpass"), MountAccessor("userpass_1")
)


class Services:
    """All services, one open transaction, and a clock that stands still."""

    def __init__(self, seed: int = 0) -> None:
        self.clock: Final = FakeClock()
        self.entropy: Final = SeededEntropy(seed)
        self.state: Final = State(MemoryStorage())
        self.barrier: Final = Barrier(
            new_keyring(HOUSE, self.entropy, self.clock.now_ns()), self.entropy
        )
        self.history: Final = History(self.store)
        self.segments: Final = Segments(self.store, self.history, self.entropy)
        self.mounts: Final = Mounts(self.history)
        self.policies: Final = Policies(self.store, self.history)
        self.identity: Final = Identity(self.store, self.history)
        self.leases: Final = Leases(self.store)
        self.sweeps: Final = LeaseSweeps(self.store, self.state.begin, self.leases)
        self.tokens: Final = Tokens(self.store, self.policies, self.identity, self.leases)
        self.wrapping: Final = Wrapping(self.store, self.tokens, self.segments)
        self.tx = self.state.begin()

    @property
    def now(self) -> int:
        """The instant at which the clock stands."""
        return self.clock.now_ns()

    def store(self, tx: Tx, place: str) -> Store:
        """Return the records of a reserved place."""
        return Store(self.barrier, Place(ROOT_NAMESPACE, MountUuid(place)), tx)

    def mount_store(self, tx: Tx, mount: Mount) -> Store:
        """Return a mount's records."""
        return Store(self.barrier, Place(mount.namespace, mount.uuid), tx)

    def next_request(self) -> None:
        """Merge what was written and open the next transaction, in the same batch."""
        self.tx.merge()
        self.tx = self.state.begin()

    def due(self, place: str) -> list[Any]:
        """Return the records of place that are due now, as the tick finds them."""
        keys = [key for key, row in self.tx.scan(b"") if row.due_ns is not None]
        records = self.barrier.records_due(self.tx, keys, self.now)
        return [record for record in records if record.place.mount == place]

    def work_off(self, place: str, work: Callable[[Tx, Any, int], bool]) -> int:
        """Do the due work of place until nothing is left of it; return the number of steps."""
        steps = 0
        while True:
            self.next_request()
            self.clock.advance(ns=1)
            found = self.due(place)
            if not found:
                return steps
            for record in found:
                work(self.tx, record, self.now)
                steps += 1

    def call(
        self,
        mount: Mount,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        session: Session | None = None,
        token: Secret | None = None,
        remote: str = "127.0.0.1:4711",
        op: Operation = Operation.UPDATE,
    ) -> Call:
        """Return what a handler of mount is called with; writes go to this object's transaction."""
        request = Request(op, mount.path + path, dict(data or {}), token, remote)
        inner = self.tx.nested()
        provided = PluginServices(self.store, self.mount_store)
        provided.provide(self.history, self.identity, self.tokens, self.leases, self.policies)
        return Call(
            request,
            RequestId("request"),
            path,
            dict(params or {}),
            mount,
            inner,
            self.tx,
            self.now,
            self.entropy,
            session,
            provided,
        )
