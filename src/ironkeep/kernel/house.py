"""The house: everything the kernel keeps, wired together, and the keys while they are there.

Rooms reach it as `call.house`. While sealed `barrier` is None and only routes marked `sealed_ok`
answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ironkeep.access.devices.devices import held_key
from ironkeep.core.credential.connector import Connector
from ironkeep.core.errors import (
    DeviceRefused,
    IntegrityError,
    Sealed,
    Unavailable,
    Uninitialised,
)
from ironkeep.core.event import Entry, Value
from ironkeep.core.ids import ROOT_NAMESPACE, MountUuid, RequestId, TokenHash, uuid
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Clock, Entropy, Storage
from ironkeep.core.text.goformat import rfc3339
from ironkeep.credentials.baselines import Baselines
from ironkeep.credentials.connections import Connections
from ironkeep.credentials.managed import Credentials
from ironkeep.credentials.scope import Scope
from ironkeep.credentials.store import ROOM as CREDENTIALS, CredentialStore
from ironkeep.identity.entities import Identity
from ironkeep.identity.leases import Leases
from ironkeep.identity.lifetimes import Limits
from ironkeep.identity.policies import Policies
from ironkeep.identity.token_store import StoredToken
from ironkeep.identity.tokens import Tokens
from ironkeep.identity.wrapping import Wrapping
from ironkeep.journal.entries import Leaves
from ironkeep.journal.journal import Journal, Receipt
from ironkeep.kernel.gate import Gate
from ironkeep.kernel.refusals import Refusals
from ironkeep.kernel.routing import SYS, Routing
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.plugin.effects.effects import Effects
from ironkeep.plugin.effects.expiring import FOLDER as PASSING, Passing
from ironkeep.plugin.effects.outbound import Nowhere, Outbound
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.peer import Peer
from ironkeep.plugin.plans import Plan
from ironkeep.plugin.route import Plugin
from ironkeep.plugin.token import DEFAULT_TTL_SECONDS, Session, TokenSpec
from ironkeep.seal.reading_key import HOUSE, AuditReader, ReadingKey
from ironkeep.seal.rekey import Rekey
from ironkeep.seal.root_generation import RootGeneration
from ironkeep.seal.seal import Seal
from ironkeep.seal.segments import OPTION as SEGMENT, Segments
from ironkeep.seal.upkeep import Upkeep
from ironkeep.store.barrier import Barrier, DueRecord, Store
from ironkeep.store.demolition import PLACE as DEMOLITION, Demolition
from ironkeep.store.history import History
from ironkeep.store.ledger import Ledger
from ironkeep.store.names import Place
from ironkeep.store.reserved import BUDGETS, CUBBYHOLE, LEASES, TOKENS, UPKEEP, is_reserved
from ironkeep.store.state import State, Tx

EXPIRE_AT_ONCE: Final = 500
"""Due rows taken up in one tick: a few milliseconds of work, 500 a second at the least."""

TOKEN_DEVICE: Final = "token_device"  # noqa: S105  # the name of an option
REQUIRED: Final = "required"
"""An auth mount's option: nobody logs in there but from an enrolled device."""

_IDS_A_REFILL: Final = 256
"""Request ids made from one call for entropy: a call each costs more than the id."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator configured of the house."""

    cluster_name: str = "ironkeep"
    api_addr: str = ""
    default_ttl_seconds: int = DEFAULT_TTL_SECONDS
    max_ttl_seconds: int = DEFAULT_TTL_SECONDS
    witnesses: tuple[tuple[str, str], ...] = ()
    """The name and verifier key of each witness of the journal."""
    quorum: int = 0
    segments: frozenset[str] | None = None
    """Those that this server may open, beside the house; None is all of them."""

    @property
    def limits(self) -> Limits:
        """How long tokens and leases live where nothing else says so."""
        return Limits(self.default_ttl_seconds, self.max_ttl_seconds)


class House(Gate):
    """The kernel's services and state; those that are asked beyond policy are the Gate's."""

    barrier: Barrier | None = None
    reader: AuditReader | None = None
    failure = ""
    trouble = ""
    warnings: tuple[str, ...] = ()
    client_cas: tuple[bytes, ...] = ()

    def __init__(
        self,
        storage: Storage,
        journal: Journal,
        clock: Clock,
        entropy: Entropy,
        plugins: Mapping[str, Plugin],
        reading_key: ReadingKey,
        settings: Settings,
        connectors: Mapping[str, Connector] | None = None,
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
        self.ledger.on_recovered = self.resync
        self.seal: Final = Seal(HOUSE, entropy)
        self.rekey: Final = Rekey(self.seal, entropy)
        self.root_generation: Final = RootGeneration(self.seal, entropy)
        self.older_log: Callable[[str], Leaves | None] = _unheard
        self.history: Final = History(self.store)
        self.segments: Final = Segments(self.store, self.history, entropy, settings.segments)
        self.mounts: Final = Mounts(self.history)
        self.policies: Final = Policies(self.store, self.history)
        self.identity: Final = Identity(self.store, self.history)
        self.leases: Final = Leases(self.store)
        self.tokens: Final = Tokens(
            self.store, self.policies, self.identity, self.leases, settings.limits
        )
        self.demolition: Final = Demolition(self.store)
        self.tokens.on_ended.append(self._drop_cubbyhole)
        begin, append = self.state.begin, journal.append
        super().__init__(
            self.store, self.history, self.identity, self.tokens, self.segments, append,
            settings.api_addr,
        )  # fmt: skip
        self.wrapping: Final = Wrapping(self.store, self.tokens, self.segments)
        self.refusals: Final = Refusals()
        self.on_defect: Callable[[RequestId, Exception], None] = _unheard
        self.effects: Final = Effects(self.store, begin, append, clock.now_ns, self._defect)
        connections = Connections(self.store, connectors or {})
        kept = CredentialStore(self.store, entropy)
        self.credentials: Final = Credentials(kept, connections, self.effects)
        self.effects.register(CREDENTIALS, self.credentials.resume, self.credentials.turns)
        self.effects.register(PASSING, Passing(self.store).remove)
        self.outbound: Outbound = Nowhere()
        self.baselines: Final = Baselines(self.store, connections, self.credentials, self.effects)
        self.scope: Final = Scope(self.store, begin, append)
        self.credentials.on_linked.append(self.scope.credential_linked)
        self.baselines.on_baseline.append(self.scope.baselined)
        self.started = rfc3339(clock.now_ns())
        self.upkeep: Final = Upkeep(self.seal, entropy)
        self.routing: Final = Routing(plugins, self.mounts, self.store)
        self.classes.one_form = self.routing.one_form
        self._ids: list[str] = []

    def start(self, version: str) -> None:
        """Bring storage and journal into step and say in the journal that a server began.

        Raise IntegrityError when the seal is damaged or gone.
        """
        self.ledger.catch_up()
        self.seal.load(self.state.begin())
        if self.ledger.seq and not self.seal.initialized:
            raise IntegrityError(
                f"the database holds {self.ledger.seq} commits but no seal: its row was removed "
                "outside Ironkeep. Keep a copy for evidence and restore from a snapshot"
            )
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
        self.segments.forget()
        self.seal.close()
        self.tokens.forget()
        self.policies.forget()
        self.ledger.drop()

    def fail(self, reason: str) -> None:
        """Seal because the disk or the journal can no longer be trusted; only a restart helps."""
        self.failure = reason
        self.seal_up()

    def resync(self) -> None:
        """Take the seal as stored: after a commit with an unknown outcome, or a dropped request."""
        self.seal.load(self.state.begin())
        if not self.seal.initialized:
            # An init that was dropped had its own reading key, which nobody holds any more.
            self.journal.set_reading_key(self.reading_key.public)
        if self.seal.sealed:
            self.seal_up()
        elif self.barrier is not None:
            self._take(Barrier(self.seal.opened.keyring, self.entropy))
            self.segments.resync(self.state.begin())

    def store(self, tx: Tx, place: str) -> Store:
        """Return the records of one of the house's own places, or of a mount by its uuid.

        Raise Sealed without keys, its segment's for a mount.
        """
        barrier = self.keys()
        if not is_reserved(place):
            barrier = self.segments.barrier_of(tx, place) or barrier
        return Store(barrier, Place(ROOT_NAMESPACE, MountUuid(place)), tx)

    def mount_store(self, tx: Tx, mount: Mount) -> Store:
        """Return a mount's records; raise Sealed without keys, its segment's among them."""
        barrier = self.barrier or self.keys()
        if SEGMENT in mount.options:
            barrier = self.segments.barrier_of_mount(tx, mount.uuid, mount.options[SEGMENT])
        return Store(barrier, mount.place, tx)

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
        """Return what answers op on path; errors as Routing.find."""
        return self.routing.find(tx, self.barrier, op, path, namespace)

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
        self,
        tx: Tx,
        mount: Mount,
        spec: TokenSpec,
        creator: Session | None,
        now_ns: int,
        peer: Peer | None = None,
    ) -> tuple[Mapping[str, Any], list[str]]:
        """Issue the token that a response asks for; return its auth field and warnings.

        A login over a device's connection binds the token to the device, and what a token asks for
        is bound as it is. Raise DeviceRefused when the device is another person's, or is missing.
        """
        if creator is not None:
            spec = replace(spec, device=creator.record.device, peer=creator.record.peer)
            device = None
        else:
            device = self.devices.device_of(tx, peer, now_ns)
            if device is not None and peer is not None:
                spec = replace(spec, device=device.id, peer=held_key(device, peer) or spec.peer)
            elif mount.options.get(TOKEN_DEVICE) == REQUIRED:
                raise DeviceRefused(
                    f"logins at {mount.path} need an enrolled device: use the vault through its "
                    "agent, or enrol it with `ironkeep agent enrol`"
                )
        issued = self.tokens.issue(tx, mount, spec, now_ns, self.entropy, creator)
        if device is not None and issued.record.entity != device.owner:
            raise DeviceRefused("this device is enrolled by somebody else: use your own")
        names = (*issued.record.policies, *issued.identity_policies)
        self.devices.require_fit(tx, issued.record.device, names)
        return issued.auth(), list(issued.warnings)

    def trust(self, tx: Tx, certificate: bytes) -> None:
        """Accept client certificates of a CA (DER) on every listener, now and after a restart."""
        self.devices.trust(tx, certificate)
        self.on_client_ca(certificate)

    def tick(self, now_ns: int) -> list[Waiting]:
        """Do the kernel's work that is driven by time; called about once a second.

        Return the effects that this began, to be waited for as a request is.
        """
        for entry in self.refusals.flush(now_ns):
            self.journal.append(entry)
        if self.barrier is None:
            return []
        if self.alerts.over(now_ns):
            tx = self.state.begin()
            self.alerts.flush(tx, now_ns)
            tx.merge()
        self._keep_keys(now_ns)
        self.segments.tick(self.state.begin(), self.note, now_ns)
        return self._expire(now_ns)

    def _expire(self, now_ns: int) -> list[Waiting]:
        """Take up what is past its time: tokens, leases, wrapped responses, effects."""
        # Past the rows of sealed segments, which stay due until their keys come back.
        keys = self.storage.due(now_ns, EXPIRE_AT_ONCE + self.segments.asleep)
        if not keys and not self.effects.late:
            return []
        tx = self.state.begin()
        try:
            records = self.segments.records_due(tx, self.keys(), keys, now_ns)
            if not records and not self.effects.late:
                return []
            started = self._take_up(tx, records, now_ns)
        except IntegrityError as error:
            self.fail(f"a stored row does not verify: {error}")
            return []
        if records:
            self.note("tick", "expire", {"due": len(records)})
        tx.merge()
        return started

    def _take_up(self, tx: Tx, records: list[DueRecord], now_ns: int) -> list[Waiting]:
        """Hand each due record to whoever keeps it."""
        by_place: dict[str, list[DueRecord]] = {}
        for record in records:
            by_place.setdefault(record.place.mount, []).append(record)
        self.tokens.expire(tx, by_place.pop(TOKENS, []), now_ns)
        self.leases.due(tx, by_place.pop(LEASES, []), now_ns)
        self.budgets.expire(tx, by_place.pop(BUDGETS, []))
        self.demolition.tick(tx, by_place.pop(DEMOLITION, []))
        # What the system engine keeps for a time, and what is only waiting to be destroyed.
        self.store(tx, SYS.uuid).delete_all([r.path for r in by_place.pop(SYS.uuid, [])])
        doomed = self.demolition.doomed(tx)
        rest = [each for place, found in by_place.items() if place not in doomed for each in found]
        return self.effects.tick(tx, rest, now_ns)

    def rotate_keys(self, tx: Tx, now_ns: int) -> None:
        """Add a key to the ring; it encrypts from now on, older records stay readable."""
        self._take(self.upkeep.rotate(tx, self.keys(), now_ns))

    def _keep_keys(self, now_ns: int) -> None:
        """Rotate the key when it is due, or save how often it was used."""
        tx = self.state.begin()
        fresh = self.upkeep.check(tx, self.keys(), self.store(tx, UPKEEP), now_ns)
        if fresh is not None:
            self.note("tick", "keys", {"term": fresh.ciphers.keyring.current.number})
            tx.merge()
            self._take(fresh)

    def _take(self, barrier: Barrier) -> None:
        self.barrier = barrier
        self.ledger.rekeyed(barrier.ciphers)

    def _defect(self, request: RequestId, error: Exception) -> None:
        self.on_defect(request, error)

    def _drop_cubbyhole(self, tx: Tx, token: TokenHash, _record: StoredToken) -> None:
        self.demolition.raze(tx, CUBBYHOLE, token, self.clock.now_ns())


def _unheard(*_said: object) -> None:
    """Nobody listens, and nothing is at hand."""
