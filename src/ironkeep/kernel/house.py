"""The house: everything the kernel keeps, wired together, and the keys while they are there.

Rooms reach it as `call.house`. While sealed `barrier` is None and only routes marked `sealed_ok`
answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ironkeep.core.errors import (
    IntegrityError,
    InvalidRequest,
    NotFound,
    Sealed,
    Unavailable,
    Uninitialised,
)
from ironkeep.core.event import Entry, Value
from ironkeep.core.goformat import rfc3339
from ironkeep.core.ids import ROOT_NAMESPACE, MountAccessor, MountUuid, RequestId, TokenHash, uuid
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Clock, Entropy, Storage
from ironkeep.kernel.answer import Waiting
from ironkeep.kernel.barrier import Barrier, Store
from ironkeep.kernel.effects import Effects
from ironkeep.kernel.history import History
from ironkeep.kernel.identity import Identity
from ironkeep.kernel.journal import Journal, Receipt
from ironkeep.kernel.leases import Leases
from ironkeep.kernel.ledger import Ledger
from ironkeep.kernel.mounts import TABLE, Mounts
from ironkeep.kernel.names import Place
from ironkeep.kernel.places import CUBBYHOLE, MOUNTS
from ironkeep.kernel.plans import Plan, Plans
from ironkeep.kernel.plugin import Mount, Plugin
from ironkeep.kernel.policies import Policies
from ironkeep.kernel.reading import HOUSE, AuditReader, ReadingKey
from ironkeep.kernel.refusals import Refusals
from ironkeep.kernel.rekey import Rekey
from ironkeep.kernel.root_generation import RootGeneration
from ironkeep.kernel.router import Router
from ironkeep.kernel.seal import Seal
from ironkeep.kernel.state import State, Tx
from ironkeep.kernel.token import DEFAULT_TTL_SECONDS, Session, TokenSpec
from ironkeep.kernel.token_store import StoredToken
from ironkeep.kernel.tokens import Tokens
from ironkeep.kernel.wrapping import Wrapping

SYS: Final = Mount("sys/", "system", MountUuid("sys"), MountAccessor("system_house"))
"""The system engine is always there, and answers a few routes while sealed."""

EXPIRE_AT_ONCE: Final = 500
"""Due rows taken up in one tick: a few milliseconds of work, 500 a second at the least."""

MAX_PATH: Final = 4_096
"""Characters in a request path; Vault's clients stay far below."""

_MOUNTS_PLACE: Final = Place(ROOT_NAMESPACE, MountUuid(MOUNTS))

_IDS_A_REFILL: Final = 256
"""Request ids made from one call for entropy: a call each costs more than the id."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator configured of the house."""

    cluster_name: str = "ironkeep"
    api_addr: str = ""
    default_ttl_seconds: int = DEFAULT_TTL_SECONDS
    max_ttl_seconds: int = DEFAULT_TTL_SECONDS


class House:
    """The kernel's services and state."""

    def __init__(
        self,
        storage: Storage,
        journal: Journal,
        clock: Clock,
        entropy: Entropy,
        plugins: Mapping[str, Plugin],
        reading_key: ReadingKey,
        settings: Settings,
    ) -> None:
        self.storage: Final = storage
        self.journal: Final = journal
        self.clock: Final = clock
        self.entropy: Final = entropy
        self.plugins: Final = plugins
        self.reading_key: Final = reading_key
        self.settings: Final = settings
        self.first_index: Final = journal.next_index
        self.state: Final = State(storage)
        self.ledger: Final = Ledger(storage, self.state, journal, clock)
        self.ledger.on_recovered = self._reload
        self.seal: Final = Seal(HOUSE, entropy)
        self.rekey: Final = Rekey(self.seal, entropy)
        self.root_generation: Final = RootGeneration(self.seal, entropy)
        self.barrier: Barrier | None = None
        self.reader: AuditReader | None = None
        self.history: Final = History(self.store)
        self.mounts: Final = Mounts(self.history)
        self.policies: Final = Policies(self.store, self.history)
        self.identity: Final = Identity(self.store, self.history)
        self.leases: Final = Leases(self.store)
        self.tokens: Final = Tokens(self.store, self.policies, self.identity, self.leases)
        self.tokens.on_ended.append(self._drop_cubbyhole)
        self.wrapping: Final = Wrapping(self.store, self.tokens)
        self.refusals: Final = Refusals()
        self.on_defect: Callable[[RequestId, Exception], None] = _ignore
        self.effects: Final = Effects(
            self.store, self.state.begin, journal.append, clock.now_ns, self._defect
        )  # fmt: skip
        self.failure = ""
        self.started = rfc3339(clock.now_ns())
        self._routers: Final[dict[int, tuple[object, Router]]] = {}
        self._ids: list[str] = []
        self._plans: Final = Plans()

    def start(self, version: str) -> None:
        """Bring storage and journal into step and say in the journal that a server began."""
        self.ledger.catch_up()
        self.seal.load(self.state.begin())
        audited: dict[str, Value] = {"version": version, "commit": self.ledger.seq}
        self.note("start", "start", audited)

    def note(self, kind: str, op: str, audited: dict[str, Value], outcome: str = "ok") -> Receipt:
        """Journal something that the server says of itself."""
        entry = Entry(
            kind=kind,  # type: ignore[arg-type]
            time_ns=self.clock.now_ns(),
            op=op,
            outcome=outcome,
            audited=audited,
        )
        return self.journal.append(entry)

    def seal_up(self) -> None:
        """Drop the keys. What was executed before is still made durable."""
        self.barrier = None
        self.reader = None
        self.seal.close()
        self.tokens.forget()
        self.policies.forget()
        self.ledger.drop()

    def fail(self, reason: str) -> None:
        """Seal because the disk or the journal can no longer be trusted; only a restart helps."""
        self.failure = reason
        self.seal_up()

    def _reload(self) -> None:
        """After a commit whose outcome was unknown: take the seal as stored."""
        self.seal.load(self.state.begin())
        if self.seal.sealed:
            self.seal_up()
        elif self.barrier is not None:
            self.barrier = Barrier(self.seal.opened.keyring, self.entropy)
            self.ledger.rekeyed(self.barrier.ciphers)

    def store(self, tx: Tx, place: str) -> Store:
        """Return the records of one of the house's own places; raise Sealed without keys."""
        return Store(self.keys(), Place(ROOT_NAMESPACE, MountUuid(place)), tx)

    def mount_store(self, tx: Tx, mount: Mount) -> Store:
        """Return a mount's records; raise Sealed without keys."""
        return Store(self.keys(), Place(mount.namespace, mount.uuid), tx)

    def cubbyhole(self, tx: Tx) -> Store:
        """Return all tokens' private records, each token's in a folder named by its hash."""
        return self.store(tx, CUBBYHOLE)

    def keys(self) -> Barrier:
        """Return the open barrier; raise why there is none."""
        if self.barrier is None:
            self.require_unsealed()
            raise Sealed("Vault is sealed")
        return self.barrier

    def require_unsealed(self) -> None:
        """Raise Unavailable, Uninitialised or Sealed unless requests can be served."""
        if self.failure:
            raise Unavailable(self.failure)
        if self.barrier is None:
            if not self.seal.initialized:
                raise Uninitialised("Vault is not initialized: run `ironkeep operator init`")
            raise Sealed("Vault is sealed")

    def audit_reader(self) -> AuditReader:
        """Return the reader of the journal; raise Sealed without keys."""
        if self.reader is None:
            raise Sealed("Vault is sealed")
        return self.reader

    def find_plan(self, tx: Tx, op: Operation, path: str, namespace: str) -> Plan:
        """Return what answers op on path; raise NotFound or UnsupportedOperation."""
        if namespace and namespace.strip("/") not in {"", ROOT_NAMESPACE}:
            raise InvalidRequest("namespaces are not supported yet: leave X-Vault-Namespace out")
        barrier = self.barrier
        table = None if barrier is None else tx.get(barrier.key_of(_MOUNTS_PLACE, TABLE))
        plan = self._plans.get(op, path, table)
        if plan is None:
            check_request_path(path)
            mount, relative = self._find_mount(tx, path)
            route, params = self._router(mount).match(op, relative)
            plan = Plan(table, mount, relative, route, params)
            self._plans.put(op, path, plan)
        return plan

    def _find_mount(self, tx: Tx, path: str) -> tuple[Mount, str]:
        if path.startswith("sys/"):
            return SYS, path[4:]
        self.require_unsealed()
        mount = self.mounts.table(self.store(tx, MOUNTS)).find(path)
        if mount is None:
            raise NotFound(f'no handler for route "{path}". route entry not found.')
        return mount, path[len(mount.path) :]

    def _router(self, mount: Mount) -> Router:
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
            self._ids = [uuid(pool[i : i + 16]) for i in range(0, len(pool), 16)]
        return RequestId(self._ids.pop())

    def record(self, entry: Entry, *, known: bool) -> Receipt | None:
        """Journal entry, or only count it when strangers come faster than the disk should."""
        if known or self.refusals.admit(entry):
            return self.journal.append(entry)
        return None

    def issue(
        self, tx: Tx, mount: Mount, spec: TokenSpec, creator: Session | None, now_ns: int
    ) -> tuple[Mapping[str, Any], list[str]]:
        """Issue the token that a response asks for; return its auth field and warnings."""
        issued = self.tokens.issue(tx, mount, spec, now_ns, self.entropy, creator)
        return issued.auth(), list(issued.warnings)

    def tick(self, now_ns: int) -> list[Waiting]:
        """Do the kernel's work that is driven by time; called about once a second.

        Return the effects that this began, to be waited for as a request is.
        """
        for entry in self.refusals.flush(now_ns):
            self.journal.append(entry)
        return [] if self.barrier is None else self._expire(now_ns)

    def _expire(self, now_ns: int) -> list[Waiting]:
        """Take up what is past its time: tokens, leases, wrapped responses, effects."""
        keys = self.storage.due(now_ns, EXPIRE_AT_ONCE)
        if not keys:
            return []
        tx = self.state.begin()
        try:
            records = self.keys().records_due(tx, keys, now_ns)
            self.tokens.expire(tx, [r for r in records if r.place.mount == "sys/tokens"], now_ns)
            self.leases.due(tx, [r for r in records if r.place.mount == "sys/leases"], now_ns)
            started = self.effects.tick(tx, records, now_ns)
        except IntegrityError as error:
            self.fail(f"a stored row does not verify: {error}")
            return []
        tx.merge()
        audited: dict[str, Value] = {"due": len(records)}
        self.note("tick", "expire", audited)
        return started

    def _defect(self, request: RequestId, error: Exception) -> None:
        self.on_defect(request, error)

    def _drop_cubbyhole(self, tx: Tx, token: TokenHash, _record: StoredToken) -> None:
        store = self.cubbyhole(tx)
        for path in list(store.walk(token)):
            store.delete(path)


def check_request_path(path: str) -> None:
    """Raise InvalidRequest for a path that nothing here may see."""
    if len(path) > MAX_PATH or not path.isprintable():
        raise InvalidRequest("path contains unprintable characters or is too long")
    if any(part in {".", ".."} for part in path.split("/")):
        raise InvalidRequest("path contains a '.' or '..' segment")


def _ignore(request_id: RequestId, error: Exception) -> None:
    """Nobody listens for defects."""
