"""A complete vault in memory, driven one request at a time: deterministic, single-threaded.

    vault = Vault.started()
    vault.write("secret/data/app", {"data": {"password": "x"}})
    vault.read("secret/data/app").data

Each call executes one request and makes its batch durable before it returns, as a server with one
client would. Storage and journal fail when told to.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ironkeep.core.credential.connector import Connector
from ironkeep.core.errors import IronkeepError
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.journal.entries import Leaves
from ironkeep.journal.index.index import Index
from ironkeep.journal.journal import Journal
from ironkeep.journal.questions import Context
from ironkeep.journal.recovery import open_journal
from ironkeep.journal.tree import hash_reader
from ironkeep.journal.vault_time import VaultTime
from ironkeep.kernel.house import House
from ironkeep.kernel.pipeline import Pipeline
from ironkeep.kernel.tick import due_turn, tick
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.plugin.effects.questions import Inline
from ironkeep.plugin.peer import Peer
from ironkeep.plugin.request import Request
from ironkeep.plugin.route import Plugin
from ironkeep.plugin.settings import ServerSettings
from ironkeep.seal.reading_key import reading_key_of
from ironkeep.testing.memory import FakeClock, MemoryStorage, SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.testing.parts import number, table, text, texts
from ironkeep.testing.plugins import PLUGINS
from ironkeep.tlog.cosignature import Cosigner
from ironkeep.worker import JOBS

ORIGIN: Final = "vault.example/audit/node-1/1"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, parsed."""

    answer: Answer
    body: Any

    @property
    def error(self) -> type[Exception] | None:
        """The class of the error; None when it went well."""
        return self.answer.error

    @property
    def data(self) -> dict[str, object]:
        """The envelope's data."""
        return table(self.body, "data")

    @property
    def auth(self) -> dict[str, object]:
        """The envelope's auth."""
        return table(self.body, "auth")

    @property
    def token(self) -> str:
        """The token that a login or a creation gave."""
        return text(self.auth, "client_token")

    @property
    def keys(self) -> list[str]:
        """The names in a list, or the shares that a new key was split into."""
        return texts(self.data, "keys")

    @property
    def errors(self) -> list[str]:
        """Vault's list of errors."""
        return texts(self.body, "errors")


class DrivenTime(VaultTime):
    """A vault's time over a machine's clocks that a test moves."""

    def __init__(self, machine: FakeClock, journal: Journal) -> None:
        super().__init__(machine, journal.latest_ns)
        self.machine: Final = machine
        self._journal: Final = journal

    def advance(self, *, seconds: float = 0, ns: int = 0) -> None:
        """Let time pass on the machine's clocks, as it passes in a running server that is idle."""
        self.machine.advance(seconds=seconds, ns=ns)
        with suppress(OSError, IronkeepError):
            self._journal.mark_time(self.now_ns())


class Vault:
    """A server without a network."""

    def __init__(
        self,
        plugins: Mapping[str, Plugin] = PLUGINS,
        *,
        storage: MemoryStorage | None = None,
        disk: LogDisk | None = None,
        clock: FakeClock | DrivenTime | None = None,
        seed: int = 0,
        connectors: Mapping[str, Connector] | None = None,
        settings: ServerSettings | None = None,
        origin: str = ORIGIN,
    ) -> None:
        self.storage: Final = storage or MemoryStorage()
        self.disk: Final = disk or LogDisk()
        self.machine: Final = (
            clock.machine if isinstance(clock, DrivenTime) else (clock or FakeClock())
        )
        self.entropy: Final = SeededEntropy(seed)
        self.plugins: Final = plugins
        self.connectors: Final = connectors or {}
        self.settings: Final = settings or ServerSettings()
        self.seed: Final = seed
        key = reading_key_of(self.storage, self.entropy)
        self.files: Final = MemoryLogFiles(self.disk)
        self._index_disk: Final = LogDisk()
        self.origin: Final = origin
        self.journal: Final = open_journal(self.files, self.entropy, origin, key.public)
        self.clock: Final = DrivenTime(self.machine, self.journal)
        self.house: Final = House(
            self.storage,
            self.journal,
            self.clock,
            self.entropy,
            plugins,
            key,
            self.settings,
            self.connectors,
        )
        self.defects: Final[list[Exception]] = []
        self.house.on_defect = lambda _id, error: self.defects.append(error)
        self.house.questions.answering = Inline(JOBS, self._context)
        self.house.start("test")
        self.pipeline: Final = Pipeline(self.house)
        self.keys: list[str] = []
        self.root = ""
        self.flush()

    def _context(self) -> Context:
        """Return what questions read, with an index that is up to date."""
        context = self._context_of(self.journal.log)
        for _ in context.index.advance():
            pass
        return context

    def _older(self, origin: str) -> Context | None:
        log = self.house.older_log(origin)
        return None if log is None else self._context_of(log)

    def _context_of(self, log: Leaves) -> Context:
        keys, files = self.house.reading.keys(), MemoryLogFiles(self._index_disk)
        files.close()
        index = Index(log, files, SeededEntropy(self.seed), keys.of(log.origin))
        hashes = partial(hash_reader, self.files)
        return Context(log, keys.reader(log), lambda: index, hashes, self._older)

    @classmethod
    def started(cls, plugins: Mapping[str, Plugin] = PLUGINS, **rest: Any) -> "Vault":
        """Return a vault that is initialised and unsealed, with KV version 2 at secret/."""
        vault = cls(plugins, **rest)
        vault.initialise()
        vault.unseal()
        vault.write("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        return vault

    def restarted(self, **rest: Any) -> "Vault":
        """Return a new server over the same storage and log; the old one is gone, not closed."""
        self.files.close()
        vault = Vault(
            self.plugins,
            storage=rest.pop("storage", self.storage),
            disk=rest.pop("disk", self.disk),
            clock=self.machine,
            seed=self.seed + 1,
            connectors=self.connectors,
            settings=self.settings,
            origin=rest.pop("origin", self.origin),
        )
        vault.keys, vault.root = self.keys, self.root
        return vault

    def initialise(self, shares: int = 1, threshold: int = 1) -> None:
        """Initialise the vault, and remember its shares and root token."""
        reply = self.request(
            Operation.UPDATE,
            "sys/init",
            {"secret_shares": shares, "secret_threshold": threshold},
            token=None,
        )
        self.keys, self.root = texts(reply.body, "keys"), text(reply.body, "root_token")

    def unseal(self) -> Reply:
        """Submit shares until the vault is unsealed; return the last reply."""
        reply = self.request(Operation.READ, "sys/seal-status", token=None)
        for key in self.keys[: number(reply.body, "t")]:
            reply = self.request(Operation.UPDATE, "sys/unseal", {"key": key}, token=None)
        return reply

    def request(
        self,
        op: Operation,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        token: str | None = "root",
        wrap: int | None = None,
        remote: str = "127.0.0.1:50000",
        peer: Peer | None = None,
    ) -> Reply:
        """Execute one request and wait for its answer; token "root" stands for the root token."""
        request = self.asked(op, path, data, token, wrap=wrap, remote=remote, peer=peer)
        answer = self.settle(self.pipeline.handle(request))
        return Reply(answer, None if answer.body is None else json.loads(answer.body))

    def asked(
        self,
        op: Operation,
        path: str,
        data: Mapping[str, Any] | None,
        token: str | None,
        *,
        wrap: int | None = None,
        remote: str = "127.0.0.1:50000",
        peer: Peer | None = None,
    ) -> Request:
        """Return a request, for tests that execute it themselves, such as for a non-JSON answer."""
        text = self.root if token == "root" else token
        secret = Secret(text.encode()) if text is not None else None
        return Request(op, path, dict(data or {}), secret, remote, wrap, peer=peer)

    def settle(self, outcome: Answer | Waiting) -> Answer:
        """Make the batches durable and do the pending work, until there is an answer."""
        while isinstance(outcome, Waiting):
            self.flush()
            try:
                result: Any = outcome.work()
            except Exception as error:  # noqa: BLE001 - passed to the handler as the result
                result = error
            outcome = outcome.finish(result)
        self.flush()
        return outcome

    def flush(self) -> None:
        """Make everything executed durable; raise the error of the storage or the log."""
        batch = self.house.ledger.close()
        if batch is None:
            return
        try:
            self.house.ledger.persist(batch)
        except (OSError, IronkeepError):
            self.house.ledger.recover()
            raise
        self.house.ledger.settle(batch)

    def witness(self, cosigner: Cosigner) -> None:
        """Sign what is durable, and have a witness cosign it."""
        self.journal.checkpoint()
        head = self.journal.log.published
        assert head is not None
        line = cosigner.cosign(head.checkpoint, self.clock.now_ns() // SECOND_NS)
        self.journal.add_cosignatures(head.checkpoint, [line])

    def tick(self, seconds: float = 1) -> None:
        """Advance the clock and do the timed work that is due."""
        self.clock.advance(seconds=seconds)
        effects = self.start_due()
        self.flush()
        for effect in effects:
            self.settle(effect)

    def start_due(self) -> list[Waiting]:
        """Do the timed work that is due now, in as many turns as it takes; return its effects."""
        effects, more = tick(self.house, self.clock.now_ns()), True
        while more:
            turn = due_turn(self.house, self.clock.now_ns(), lambda: False)
            effects, more = [*effects, *turn.started], turn.more
        return effects

    def read(self, path: str, **rest: Any) -> Reply:
        """Read."""
        return self.request(Operation.READ, path, rest.pop("data", None), **rest)

    def write(self, path: str, data: Mapping[str, Any] | None = None, **rest: Any) -> Reply:
        """Write."""
        return self.request(Operation.UPDATE, path, data, **rest)

    def delete(self, path: str, **rest: Any) -> Reply:
        """Delete."""
        return self.request(Operation.DELETE, path, **rest)

    def list(self, path: str, **rest: Any) -> Reply:
        """List; path ends in a slash."""
        return self.request(Operation.LIST, path, **rest)
