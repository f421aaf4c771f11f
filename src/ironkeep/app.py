"""The composition root: builds a server from a configuration, serves, and stops."""

import asyncio
import gc
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from ironkeep import __version__
from ironkeep.access.approvals.routes import ApprovalEngine
from ironkeep.access.device_engine import DeviceEngine
from ironkeep.access.notices.notices import Notices
from ironkeep.access.segments.routes import SegmentEngine
from ironkeep.adapters.log.node_logs import NodeLogs
from ironkeep.adapters.outbound.http import HttpOutbound
from ironkeep.adapters.outbound.notify import notifiers_of
from ironkeep.adapters.process import machine, messages as log, signals
from ironkeep.adapters.process.disks import Disks
from ironkeep.adapters.process.system import SystemClocks, SystemEntropy
from ironkeep.adapters.questions.process import WorkerProcess
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.adapters.witness.witnesses import Witnesses
from ironkeep.api.callers import Callers, names_in
from ironkeep.api.commit.committer import Committer, Owner
from ironkeep.api.commit.trouble import reason_of
from ironkeep.api.http.protocol import MAX_CONNECTIONS
from ironkeep.api.server import Servers
from ironkeep.api.service import Service
from ironkeep.api.stretches import Stretches
from ironkeep.api.tls import client_cas
from ironkeep.auth.approle import AppRole
from ironkeep.auth.cert import CertMethod
from ironkeep.auth.jwt import Jwt
from ironkeep.auth.passkey import Passkey
from ironkeep.auth.token import TokenMethod
from ironkeep.auth.userpass import Userpass
from ironkeep.auth.userpass.hashing import HASHER
from ironkeep.config.settings import Config
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.console.pages import Pages
from ironkeep.core.errors import InvalidRequest, IronkeepError
from ironkeep.engines.cubbyhole import Cubbyhole
from ironkeep.engines.database import Database
from ironkeep.engines.kv import Kv
from ironkeep.engines.system import System
from ironkeep.incident.engine import Incident
from ironkeep.index.positions import RUN
from ironkeep.journal.epochs import FIRST_EPOCH, split_origin
from ironkeep.journal.journal import Journal
from ironkeep.journal.vault_time import DOWN_NS, WITNESSED_DOWN_NS, VaultTime
from ironkeep.kernel.house import House
from ironkeep.kernel.opening import open_with_key_file
from ironkeep.kernel.pipeline import Pipeline
from ironkeep.plugin.effects.outbound import Outbound
from ironkeep.plugin.route import Plugin
from ironkeep.plugin.settings import ServerSettings
from ironkeep.rowscan import RowScan, name_rows
from ironkeep.seal.reading_key import reading_key_of
from ironkeep.store.state import Tx
from ironkeep.timer import Timer

CLOSE_SECONDS: Final = 10.0
"""The time for the last batch to become durable when the server stops."""
STOP_SECONDS: Final = 30
"""From SIGTERM to the end, even if something hangs: systemd waits 90 before it kills."""
UNWRITTEN: Final = 5
"""The exit code for a disk that cannot be used: see cli/exits.py."""
TICK_THREADS: Final = 2
HASH_BYTES: Final = HASHER.memory_cost << 10
HASH_STACKS: Final = HASHER.parallelism * (8 << 20)
"""The cost of one password check: HASH_BYTES of memory, and address space for its threads."""

SWITCH_SECONDS: Final = 0.0005
"""After so long a thread that computes lets the loop go on. Python's default is ten times as long,
and each pass of the loop would wait for it while a verdict is computed."""

STRETCHES: Final = 8
"""The longest stretches of the loop that are named when the server stops."""

YOUNG_OBJECTS: Final = 5_000
"""Objects made between two collections of the youngest generation: some 200 requests."""
COLLECTIONS: Final = (1, 2_000)
"""Collections of the youngest generation per one of the second, and of the second per one of the
oldest. With 4 (and 10,000 young objects) a collection of the second took up to 20 ms while the
evidence on a case was read, with 1 it takes up to 5 ms."""

PLUGINS: Final[Mapping[str, Plugin]] = {
    plugin.type: plugin
    for plugin in (
        System(),
        Kv(),
        Cubbyhole(),
        Database(),
        DeviceEngine(),
        Incident(),
        ApprovalEngine(),
        Passkey(),
        SegmentEngine(),
        TokenMethod(),
        AppRole(),
        Jwt(),
        CertMethod(),
        Userpass(),
    )
}
"""All engines and auth methods that can be mounted; a new one is a room and one line here."""


class Server:
    """One node: storage, journal, the vault over them, and its listeners."""

    def __init__(self, config: Config) -> None:
        self._stack: Final = ExitStack()
        self.fitted: Final = machine.fit(MAX_CONNECTIONS, HASH_BYTES, HASH_STACKS)
        for note in self.fitted.notes:
            log.say(note)
        self.unwritten: list[str] = []
        self._committer: Committer | None = None
        try:
            self._open(config)
        except BaseException:
            self._stack.close()
            raise

    def _open(self, config: Config) -> None:
        root = config.path or Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ironkeep-"))
        )
        self.config = config
        self.entropy = SystemEntropy()
        self.data, self.audit = root, config.audit_path or root / "audit"
        disks = Disks({"database": self.data, "journal": self.audit}, log.say)
        self.storage = SqliteStorage(root / "ironkeep.db")
        self._stack.callback(self.storage.close)
        self.reading_key = reading_key_of(self.storage, self.entropy)
        self.witnesses = Witnesses(config.witnesses, config.quorum)
        self._stack.callback(self.witnesses.close)
        self.journal = self._open_journal(self.audit)
        self._stack.callback(self.journal.close)
        self.clock = self._open_clock()
        self.house = House(
            self.storage,
            self.journal,
            self.clock,
            self.entropy,
            PLUGINS,
            self.reading_key,
            _settings_of(config),
            {"postgresql": PostgreSQL(self.clock, self.entropy)},
        )
        self.house.on_defect = log.defect
        self.house.on_step = lambda step: log.say(step.words)
        self.house.say, self.house.on_distrust = log.say, partial(name_rows, log.say)
        self.house.segments.on_house_open = self._open_segments
        self.client_cas: list[bytes] = []
        self.house.features.devices.on_trusted = self.client_cas.append
        self.house.older_log = self.logs.older
        self.house.services.provide_as(Outbound, HttpOutbound())
        self._answer_questions()
        if self.fitted.cache_bytes is not None:
            self.house.state.cache_bytes = min(
                self.house.state.cache_bytes, self.fitted.cache_bytes
            )
        self.house.features.devices.client_cas = client_cas(config.listeners)
        Notices(self.house.services, notifiers_of(config.mails, config.webhooks))
        self.house.start(__version__)
        self._timer = Timer(self.house, self.storage, self.logs, self.witnesses, disks, self._fail)

    def _open_journal(self, audit: Path) -> Journal:
        """Open this node's log, after comparing it with its witnesses' latest checkpoints."""
        stem = f"{self.config.cluster_name}/audit/{self.config.audit_name}"
        self.logs = NodeLogs(audit, stem, self.config.audit_mirror)
        journal = self.logs.open(
            self.storage, self.entropy, self.reading_key.public, self.witnesses, log.say,
            lost=self.storage.lost,
        )  # fmt: skip
        if split_origin(journal.origin)[1] > FIRST_EPOCH:
            log.say(f"the log continues in a later epoch: {journal.origin}")
        return journal

    def _answer_questions(self) -> None:
        """Have questions answered, and the index built, by a process of their own."""
        self.worker = WorkerProcess(
            self.audit,
            self.config.audit_mirror,
            self.journal.origin,
            lambda: self.journal.durable_size,
            RUN,
            self._index_leaf,
        )
        self._stack.callback(self.worker.close)
        self.house.questions.answering = self.worker
        self.house.reading.on_open = self.worker.open
        self.house.reading.on_close = self.worker.seal

    def _index_leaf(self, leaf: bytes) -> None:
        """Take an index leaf of the process, on its thread; it comes again if nobody is serving."""
        if self._committer is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._committer.loop.call_soon_threadsafe(self._put_on_record, leaf)

    def _put_on_record(self, leaf: bytes) -> None:
        if self._committer is None or self.house.barrier is None:
            return
        with suppress(IronkeepError):  # a failing journal: it comes again after a restart
            self.journal.append_leaf(leaf)
        self._committer.nudge()

    def _open_clock(self) -> VaultTime:
        """Return the vault's time, from the latest time that log and witnesses vouch for."""
        self.witnesses.remember(self.journal.log.cosigned)
        floor_ns = max(self.journal.latest_ns, self.witnesses.time_ns)
        down_ns = WITNESSED_DOWN_NS if self.config.quorum else DOWN_NS
        return VaultTime(SystemClocks(), floor_ns, down_ns)

    def unseal_with_file(self) -> None:
        """Unseal with the file seal's key, if one is configured and the vault is initialised."""
        path = self.config.seal_key_file
        if path is not None:
            open_with_key_file(self.house, path.read_bytes())

    def _open_segments(self, tx: Tx) -> None:
        """Unseal the segments that have a configured key file; log and skip those that fail."""
        for name, path in self.config.segment_key_files:
            try:
                self.house.segments.unseal_with_file(tx, name, path.read_bytes())
            except (IronkeepError, OSError) as error:
                log.say(f"segment {name!r} stays sealed: {error}")
            else:
                self.house.note("notice", "segment-open", {"name": name})

    def close(self) -> None:
        """Close all files of a server that never served."""
        self._stack.close()

    def serve(self, ready: Callable[["Server", list[str]], None]) -> None:
        """Serve until SIGTERM or SIGINT; call ready once with the addresses.

        Afterwards `unwritten` describes entries that could not be written. If a disk hangs for
        longer than `STOP_SECONDS`, this ends the process.
        """
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            uvloop.run(self._serve(ready))
        finally:
            self._stack.close()
            signals.done()

    async def _serve(self, ready: Callable[["Server", list[str]], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(machine.threads(TICK_THREADS))
        stop = asyncio.Event()
        owner = Owner(self._fail, _defect, self._trouble)
        stretches = Stretches(log.say)
        committer = Committer(self.house.ledger, loop, owner, self.fitted.hashers, stretches)
        committer.await_quorum = self.config.quorum > 0
        self._committer = committer
        service = Service(Pipeline(self.house), committer, _defect, callers_of(self.config))
        servers = Servers(service, self.config.listeners, Pages(), self.fitted.connections)
        for certificate in self.client_cas:
            servers.trust(certificate)
        self.house.features.devices.on_trusted = servers.trust

        signals.watch(
            lambda: self._stop(loop, stop), lambda: self._reload(servers), STOP_SECONDS + 5
        )
        committer.nudge()
        serving = asyncio.create_task(servers.run())
        ticking = asyncio.create_task(self._timer.run(committer, stop))
        scanning = asyncio.create_task(RowScan(self.house).run(committer, stop))
        _settle_memory()
        ready(self, servers.addresses)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait(
            [serving, ticking, scanning, stopping], return_when=asyncio.FIRST_COMPLETED
        )
        stop.set()
        self.house.readings.heads.close()
        self.house.readings.witnessed.close()
        self.house.readings.close(self.clock.now_ns())
        # First the answers: the servers end when all requests in progress are answered, which needs
        # the committer. Then the batches that no request waits for, and then the last signature.
        servers.stop()
        ends = await asyncio.gather(serving, ticking, scanning, return_exceptions=True)
        await self._close(committer)
        _name_stretches(stretches)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    def _stop(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        loop.call_later(STOP_SECONDS, self._give_up)
        stop.set()

    def _reload(self, servers: Servers) -> None:
        """Load the TLS files again; a file that is invalid is logged and not replaced."""
        servers.reload(log.say)
        try:
            self.house.features.devices.client_cas = client_cas(self.config.listeners)
        except InvalidRequest as error:
            log.say(f"the client CAs were not reloaded: {error}")

    async def _close(self, committer: Committer) -> None:
        """Make the last batches durable and sign them; do not wait without limit for the disk."""
        try:
            await asyncio.wait_for(committer.drain(), CLOSE_SECONDS)
        except TimeoutError:
            self._note_unwritten()
            self._give_up()
        self._committer = None
        await asyncio.to_thread(committer.close)
        if self.house.failure or committer.trouble:
            self._note_unwritten()
            return
        try:
            await self._timer.finish()
        except (IronkeepError, OSError) as error:
            log.say(f"the journal's last entries could not be signed: {error}")
        except Exception as error:  # noqa: BLE001 - the files must be closed in any case
            _defect(error)

    def _note_unwritten(self) -> None:
        """Describe in `unwritten` the entries that are not known to be on the disk."""
        first, end = self.journal.durable_size, self.journal.next_index
        why = self.house.failure or self.house.trouble or "the disk does not take them"
        self.unwritten.append(f"entries {first} to {end} are not known to be written: {why}")

    def _give_up(self) -> None:
        """End the process, because something has hung for longer than a stop may take."""
        if not self.unwritten:
            size = self.journal.durable_size
            self.unwritten.append(f"all {size} entries are written, but not all of them signed")
        for text in self.unwritten:
            log.say(f"stopped without waiting any longer: {text}")
        signals.end(UNWRITTEN)

    def _trouble(self, error: BaseException | None) -> None:
        """Log that writing has become impossible for now, or that it is possible again."""
        self.house.trouble = "" if error is None else reason_of(error)
        log.say(self.house.trouble or "the disk accepts writes again")

    def _fail(self, error: BaseException) -> None:
        """Seal once: the journal or the database must not be trusted until a restart."""
        if not self.house.failure:
            log.say(f"sealed: {type(error).__name__}: {error}")
            self.house.fail(f"the journal or the database failed: {error}")


def callers_of(config: Config) -> Callers:
    """Return the check of callers' hosts: names of the configuration, certificates and machine.

    Raise InvalidRequest for a certificate that cannot be read.
    """
    certificates = [each.cert_file for each in config.listeners if each.cert_file is not None]
    names = [socket.gethostname(), *(each.host for each in config.listeners)]
    names += [name for path in certificates for name in names_in(path)]
    return Callers(config.api_addr, names, everywhere=config.development)


def _settings_of(config: Config) -> ServerSettings:
    """Return what engines may know of the configuration."""
    return ServerSettings(
        cluster_name=config.cluster_name,
        api_addr=config.api_addr,
        default_ttl_seconds=config.default_lease_ttl_seconds,
        max_ttl_seconds=config.max_lease_ttl_seconds,
        witnesses=tuple((each.name, each.vkey) for each in config.witnesses),
        quorum=config.quorum,
        segments=None if config.segments is None else frozenset(config.segments),
    )


def _defect(error: BaseException) -> None:
    """Log a defect that occurred outside of any request."""
    log.defect("-", error)


def _name_stretches(stretches: Stretches) -> None:
    """Log the longest stretches of the loop, for the bench and for operators."""
    named = [f"{name} {took / 1e6:.1f} ms" for name, took in stretches.longest(STRETCHES)]
    if named:
        log.say(f"the longest stretches of the loop: {'; '.join(named)}")


def _settle_memory() -> None:
    """Exclude the objects made at start-up from garbage collection, and make it less frequent.

    Reference counts free most objects of a request. A collection of the youngest generation every
    few hundred requests finds the rest, and no collection of old objects stops the loop for long.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *COLLECTIONS)
