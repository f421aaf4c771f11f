"""One vault: its services wired together, its state, and its keys while it is unsealed.

Handlers reach the services by type (`call.use`); only the system engine and the incident room use
the House itself. While sealed, `barrier` is None and only routes marked `sealed_ok` are served.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from ironkeep.access.features import Features
from ironkeep.core.credential.connector import Connector
from ironkeep.core.errors import (
    IntegrityError,
    Sealed,
    Unavailable,
    Uninitialised,
)
from ironkeep.core.event import Entry, Value
from ironkeep.core.ids import ROOT_NAMESPACE, MountUuid, RequestId, TokenHash, uuid
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Entropy, Storage
from ironkeep.core.text.goformat import rfc3339
from ironkeep.credentials.gone.removed import Removed
from ironkeep.credentials.listing import Removal
from ironkeep.credentials.wiring import CredentialServices
from ironkeep.identity.entities import Identity
from ironkeep.identity.leases import Lease, Leases
from ironkeep.identity.lending.performing import Performing
from ironkeep.identity.lending.sweeping import LeaseSweeps
from ironkeep.identity.lifetimes import Limits
from ironkeep.identity.policies import Policies
from ironkeep.identity.token_store import StoredToken
from ironkeep.identity.tokens import Tokens
from ironkeep.identity.wrapping import Wrapping
from ironkeep.journal.entries import Leaves
from ironkeep.journal.journal import Journal, Receipt
from ironkeep.journal.vault_time import Step, VaultTime
from ironkeep.kernel.refusals import Refusals
from ironkeep.kernel.routing import SYS, Routing
from ironkeep.kernel.rowcheck import name_rows_of
from ironkeep.plugin.effects.effects import Effects
from ironkeep.plugin.effects.expiring import FOLDER as EXPIRING, ExpiringRecords
from ironkeep.plugin.effects.outbound import Nowhere, Outbound
from ironkeep.plugin.effects.questions import Nobody, Questions
from ironkeep.plugin.effects.readings import Readings
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.plans import Plan, SecretPaths
from ironkeep.plugin.route import Plugin, Plugins
from ironkeep.plugin.services import Services
from ironkeep.plugin.settings import ServerSettings
from ironkeep.seal.reading_key import HOUSE, AuditReader, JournalReading, ReadingKey
from ironkeep.seal.rekey import Rekey
from ironkeep.seal.root_generation import RootGeneration
from ironkeep.seal.seal import Seal
from ironkeep.seal.segments import OPTION as SEGMENT, Segments
from ironkeep.seal.upkeep import Upkeep
from ironkeep.store.barrier import MAX_DUE_NS, Barrier, DueRecord, Store
from ironkeep.store.demolition import PLACE as DEMOLITION, Demolition
from ironkeep.store.due import DueQueue
from ironkeep.store.history import History
from ironkeep.store.ledger import Ledger
from ironkeep.store.names import Place
from ironkeep.store.reserved import CUBBYHOLE, LEASES, TOKENS, is_reserved
from ironkeep.store.standing.guard import Mismatch
from ironkeep.store.state import State, Tx

DueWork = Callable[[Tx, DueRecord, int], object]
"""Does one step of a due record of its place; returns whether more is left to be done at once."""
Search = Callable[[], list[str]]
"""Finds and names the rows that differ from the journal; takes long."""

_IDS_A_REFILL: Final = 256
"""Request ids made from one read of entropy: a read for each would cost more than the id."""


class House:
    """The server's services and state, and the keys while the vault is unsealed."""

    say: Callable[[str], object]
    on_step: Callable[[Step], None]
    on_defect: Callable[[RequestId, Exception], None]
    older_log: Callable[[str], Leaves | None]
    on_distrust: Callable[[str, Search | None], object]
    barrier: Barrier | None = None
    failure = ""
    trouble = ""
    warnings: tuple[str, ...] = ()
    _segments_opened = 0

    def __init__(
        self,
        storage: Storage,
        journal: Journal,
        clock: VaultTime,
        entropy: Entropy,
        plugins: Mapping[str, Plugin],
        reading_key: ReadingKey,
        settings: ServerSettings,
        connectors: Mapping[str, Connector] | None = None,
    ) -> None:
        self.storage: Final = storage
        self.journal: Final = journal
        self.clock: Final = clock
        self.entropy: Final = entropy
        self.plugins: Final = Plugins(plugins)
        self.reading_key: Final = reading_key
        self.settings: Final = settings
        self.first_index: Final = journal.next_index
        self.untimed: Final = bool(journal.next_index) and not journal.latest_ns
        self.state: Final = State(storage)
        self.ledger: Final = Ledger(storage, self.state, journal, clock)
        self.ledger.on_mismatch = self.distrust
        self.say = self.on_step = self.on_defect = self.on_distrust = self.older_log = _unheard
        self.seal: Final = Seal(HOUSE, entropy)
        self.rekey: Final = Rekey(self.seal, entropy)
        self.root_generation: Final = RootGeneration(self.seal, entropy)
        self.history: Final = History(self.store)
        self.segments: Final = Segments(self.store, self.history, entropy, settings.segments)
        self.mounts: Final = Mounts(self.history)
        self.policies: Final = Policies(self.store, self.history)
        self.identity: Final = Identity(self.store, self.history)
        self.leases: Final = Leases(self.store)
        self.sweeps: Final = LeaseSweeps(self.store, self.state.begin, self.leases)
        limits = Limits(settings.default_ttl_seconds, settings.max_ttl_seconds)
        self.tokens: Final = Tokens(self.store, self.policies, self.identity, self.leases, limits)
        self.demolition: Final = Demolition(self.store)
        begin, append = self.state.begin, journal.append
        self.wrapping: Final = Wrapping(self.store, self.tokens, self.segments)
        self.refusals: Final = Refusals()
        self.effects: Final = Effects(self.store, begin, append, clock.now_ns, self._defect)
        known = connectors or {}
        wired = CredentialServices(self.store, entropy, known, self.effects, begin, append)
        self.credentials: Final = wired.credentials
        self.baselines: Final = wired.baselines
        self.removed: Final = Removed(self.store)
        self.scope: Final = wired.scope
        self.started = rfc3339(clock.now_ns())
        self.upkeep: Final = Upkeep(self.seal, entropy)
        self.routing: Final = Routing(plugins, self.mounts, self.store)
        self.reading: Final = JournalReading()
        self.readings: Final = Readings(append, entropy)
        self.services: Final = Services(self.store, self.mount_store)
        self.performing: Final = Performing(
            self.services, self.leases, self.effects, begin, self._lease_is_stuck
        )
        self._provide()
        self.features: Final = Features(self.services, append)
        self.due: Final = self._due()
        self.due_queue: Final = DueQueue(storage.due, self._kind_of)
        self._ids: list[str] = []

    def _due(self) -> Mapping[str, DueWork]:
        """Connect the services; return what does one step of a due record, by reserved place."""
        self.ledger.on_recovered = self.resync
        self.features.classes.one_form = self.routing.one_form
        self.demolition.needed = lambda tx, place: self.leases.holds(tx, MountUuid(place))
        self.demolition.record = Removal(
            self.store, self.plugins, self.mounts, self.credentials.store, self.removed
        ).record
        self.tokens.on_ended.append(self._drop_cubbyhole)
        self.effects.register(EXPIRING, ExpiringRecords(self.store).remove)
        return {
            TOKENS: self.tokens.due,
            LEASES: self.sweeps.due,
            **self.features.due,
            DEMOLITION: self.demolition.due,
            SYS.uuid: self._forget_due,
        }

    def _forget_due(self, tx: Tx, record: DueRecord, _now_ns: int) -> None:
        """Delete a due record of the system engine."""
        self.store(tx, SYS.uuid).delete(record.path)

    def _kind_of(self, key: bytes) -> str | None:
        """Return the due kind of the row at key: its place, or the leases of a mount."""
        record = self.record_due(self.state.begin(), key, MAX_DUE_NS)
        if record is None:
            return None
        place = record.place.mount
        return self.leases.kind_of(record) if place == LEASES else place

    def record_due(self, tx: Tx, key: bytes, before_ns: int) -> DueRecord | None:
        """Return the record at key, if it is due before before_ns and its segment is open."""
        barrier = self.segments.keys.barrier_at(self.keys(), key)
        found = () if barrier is None else barrier.records_due(tx, (key,), before_ns)
        return found[0] if found else None

    def is_held_up(self, kind: str) -> bool:
        """Return whether a due kind must wait until an effect has ended."""
        if kind in self.due:
            return False
        return self.effects.is_full("") or self.performing.holds_up(kind)

    def look_for_due(self, now_ns: int) -> None:
        """Begin to look for due rows; for all of them if a segment was opened since."""
        if self._segments_opened != self.segments.keys.opened:
            self._segments_opened = self.segments.keys.opened
            self.due_queue.look_at_all()
        self.due_queue.look(now_ns)

    def _lease_is_stuck(self, tx: Tx, lease: Lease, now_ns: int) -> None:
        text = (
            f"the credential of lease {lease.id} could not be revoked in {lease.attempts} attempts "
            f"({lease.error}): it may still be valid. Attempts go on; repair its system, or give "
            "the lease up with sys/leases/revoke-force"
        )
        self.features.alerts.repeated(
            tx, "irrevocable-lease", text, now_ns, subject=lease.mount, path=lease.path
        )

    def _provide(self) -> None:
        """Register the services that handlers find by their types."""
        self.services.provide(
            self, self.settings, self.plugins, self.journal, self.history, self.segments,
            self.mounts, self.policies, self.identity, self.leases, self.tokens, self.wrapping,
            self.sweeps, self.performing, self.effects, self.credentials, self.baselines,
            self.scope, self.removed, self.reading, Questions(Nobody()),
        )  # fmt: skip
        self.services.provide_as(SecretPaths, self.routing)
        self.services.provide_as(Outbound, Nowhere())

    def start(self, version: str) -> None:
        """Reconcile storage and journal, and journal the start of the server.

        Raise IntegrityError when the seal is damaged or missing.
        """
        self.ledger.catch_up()
        self.look_at_clock()
        self.seal.load(self.state.begin())
        if self.ledger.seq and not self.seal.initialized:
            raise IntegrityError(
                f"the database holds {self.ledger.seq} commits but no seal: its row was removed "
                "outside Ironkeep. Keep a copy for evidence and restore from a snapshot"
            )
        audited: dict[str, Value] = {"version": version, "commit": self.ledger.seq}
        self.note("start", "start", audited)

    def note(self, kind: str, op: str, audited: dict[str, Value], outcome: str = "ok") -> Receipt:
        """Journal an event of the server itself."""
        entry = Entry(
            kind=kind,  # type: ignore[arg-type]
            time_ns=self.clock.now_ns(),
            op=op,
            outcome=outcome,
            audited=audited,
        )
        return self.journal.append(entry)

    def look_at_clock(self) -> None:
        """Compare the vault's time with the machine's; report and journal a step."""
        step = self.clock.look()
        if step is not None:
            self.note_step(step)

    def note_step(self, step: Step) -> None:
        """Report and journal a change between the vault's time and the machine's."""
        self.note("notice", step.op, step.audited)
        self.on_step(step)

    def seal_up(self) -> None:
        """Drop the keys. Requests executed before are still made durable."""
        self.readings.close(self.clock.now_ns())
        self.barrier = None
        self.reading.close()
        self.segments.forget()
        self.due_queue.forget()
        self.sweeps.forget()
        self.seal.close()
        self.tokens.forget()
        self.policies.forget()
        self.ledger.drop()

    def fail(self, reason: str) -> None:
        """Seal because the disk or the journal can no longer be trusted; only a restart helps."""
        self.failure = self.failure or reason
        self.seal_up()

    def distrust(self, mismatch: Mismatch) -> None:
        """Seal because a stored row is not as it was committed, and have the wrong rows named.

        `on_distrust` is given the reason and a search for the rows, which may take seconds for each
        million entries of the journal: run it on another thread.
        """
        if self.failure:
            return
        search = None
        if self.barrier is not None and self.reading.is_open:
            rows = self.storage.everything
            search = partial(name_rows_of, self.reading.reader(), rows, self.barrier)
        text = f"a stored row does not verify: {mismatch}"
        with suppress(Unavailable):
            self.note("notice", "rows-differ", {"what": str(mismatch)}, "integrity")
        self.fail(text)
        self.on_distrust(text, search)

    def check_rows(self) -> Iterator[None]:
        """Check all rows, with pauses between turns; raise IntegrityError if one is wrong."""
        if self.ledger.guard is not None:
            yield from self.ledger.guard.check_all(self.clock.now_ns())

    def resync(self) -> None:
        """Read the seal again, after a commit with an unknown outcome or a dropped request."""
        self.due_queue.look_at_all()
        self.seal.load(self.state.begin())
        if not self.seal.initialized:
            # A dropped init had made a reading key of its own, which no longer exists.
            self.journal.set_reading_key(self.reading_key.public)
        if self.seal.sealed:
            self.seal_up()
        elif self.barrier is not None:
            self.take(Barrier(self.seal.opened.keyring, self.entropy))
            self.segments.keys.resync(self.state.begin())

    def store(self, tx: Tx, place: str) -> Store:
        """Return the records of a reserved place, or of a mount by its uuid.

        Raise Sealed without the vault's keys, or those of the mount's segment.
        """
        barrier = self.keys()
        if not is_reserved(place):
            barrier = self.segments.barrier_of(tx, place) or barrier
        return Store(barrier, Place(ROOT_NAMESPACE, MountUuid(place)), tx)

    def mount_store(self, tx: Tx, mount: Mount) -> Store:
        """Return a mount's records; raise Sealed without the vault's or segment's keys."""
        barrier = self.barrier or self.keys()
        if SEGMENT in mount.options:
            barrier = self.segments.barrier_of_mount(tx, mount.uuid, mount.options[SEGMENT])
        return Store(barrier, mount.place, tx)

    def keys(self) -> Barrier:
        """Return the open barrier; raise Unavailable, Uninitialised or Sealed without one."""
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

    @property
    def questions(self) -> Questions:
        """The questions to the journal."""
        return self.services.use(Questions)

    def audit_reader(self) -> AuditReader:
        """Return the reader of the journal; raise Sealed without keys."""
        return self.reading.reader()

    def find_plan(self, tx: Tx, op: Operation, path: str, namespace: str) -> Plan:
        """Return the plan for op on path; errors as Routing.find."""
        return self.routing.find(tx, self.barrier, op, path, namespace)

    def new_request_id(self) -> RequestId:
        """Return a fresh random UUID."""
        if not self._ids:
            pool = self.entropy.token(16 * _IDS_A_REFILL)
            self._ids = [uuid(pool[i : i + 16]) for i in range(0, len(pool), 16)]
        return RequestId(self._ids.pop())

    def record(self, entry: Entry, *, known: bool) -> Receipt | None:
        """Journal entry; if not `known`, only count it when refusals exceed their rate limit."""
        if known or self.refusals.admit(entry):
            return self.journal.append(entry)
        return None

    def rotate_keys(self, tx: Tx, now_ns: int) -> None:
        """Add a key to the keyring: it encrypts from now on, and older records stay readable."""
        self.take(self.upkeep.rotate(tx, self.keys(), now_ns))

    def take(self, barrier: Barrier) -> None:
        """Encrypt with this barrier's keys from now on."""
        self.barrier = barrier
        self.ledger.rekeyed(barrier.ciphers)

    def _defect(self, request: RequestId, error: Exception) -> None:
        self.on_defect(request, error)

    def _drop_cubbyhole(self, tx: Tx, token: TokenHash, _record: StoredToken) -> None:
        self.demolition.raze(tx, CUBBYHOLE, token, self.clock.now_ns())


def _unheard(*_said: object) -> None:
    """Do nothing: the default callback."""
