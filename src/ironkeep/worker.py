"""The composition root of the process that answers questions: see adapters/questions.

It gets one descriptor: the socket to its server, over which the reading keys come. Nothing else of
the vault reaches it, and it writes nothing but the index of the log.
"""

import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from ironkeep.adapters.log.files import DirectoryLogFiles, log_directory
from ironkeep.adapters.log.follower import Follower
from ironkeep.adapters.process.memory_guard import forbid_dumps
from ironkeep.adapters.process.system import SystemEntropy
from ironkeep.adapters.questions.channel import Channel
from ironkeep.adapters.questions.serving import Serving
from ironkeep.incident.evidence.jobs import JOBS as INCIDENT_JOBS
from ironkeep.journal.entries import Leaves
from ironkeep.journal.epochs import split_origin
from ironkeep.journal.index.index import Index
from ironkeep.journal.questions import Context, Job
from ironkeep.journal.questions.search import read, search
from ironkeep.journal.questions.session import session
from ironkeep.journal.tree import hash_reader
from ironkeep.seal.reading_key import ReadingKeys
from ironkeep.tlog.merkle import HashReader

JOBS: Final[Mapping[str, Job]] = {
    "search": search, "read": read, "session": session, **INCIDENT_JOBS,
}  # fmt: skip
"""All questions, by name; a new one is a function like `search` and one line here."""

NICE: Final = 10
"""Added to the nice value, for a tenth of the server's weight: where the machine is busy, the loop
would otherwise wait for a core while the journal is searched."""

YOUNG_OBJECTS: Final = 100_000
"""Objects made between two collections of garbage: those of an answer live until it is sent, and
the case of somebody who could read 100,000 secrets has millions of them."""

INDEX: Final = "index"
"""The folder with the blocks of a log's index, in the log's directory."""


def main(descriptor: int) -> None:
    """Serve over the socket with this descriptor until the server is gone."""
    # The server decides when this process ends, by closing the socket.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    forbid_dumps()
    os.nice(NICE)
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    channel = Channel(socket.socket(fileno=descriptor))
    message = channel.receive()
    if message is None:
        return
    _, audit, mirror, origin, keys, size = message
    logs = _Logs(Path(audit), mirror, ReadingKeys.unpacked(keys))
    # One follower for each thread: the index is built while questions read.
    asked, built = logs.follower(origin, size), logs.follower(origin, size)
    growing = _Growing(logs, asked, built)
    reader, hashes = logs.keys.reader(asked), logs.hashes(origin)
    context = Context(asked, reader, growing.index, hashes, logs.older)
    Serving(channel, JOBS, context, [asked, built], growing.build).run()


class _Logs:
    """The logs of this node, for reading."""

    def __init__(self, audit: Path, mirror: str, keys: ReadingKeys) -> None:
        self.keys: Final = keys
        self._audit: Final = audit
        self._mirror: Final = Path(mirror) if mirror else None
        self._known: Final[dict[str, Context]] = {}

    def follower(self, origin: str, size: int) -> Follower:
        """Return the leaves of the log that the server writes, up to size."""
        files = DirectoryLogFiles(log_directory(self._audit, origin), readonly=True)
        log = Follower(files, origin)
        log.grow(size)
        return log

    def hashes(self, origin: str) -> Callable[[], HashReader]:
        """Return what makes readers of the hashes of a log of this node."""
        files = DirectoryLogFiles(log_directory(self._audit, origin), readonly=True)
        return partial(hash_reader, files)

    def index(self, log: Leaves) -> Index:
        """Return the index of a log, as its blocks are now."""
        # Without the lock of the log: this process is the only one that writes the index.
        folder = log_directory(self._audit, log.origin) / INDEX
        files = DirectoryLogFiles(folder, readonly=True)
        return Index(log, files, SystemEntropy(), self.keys.of(log.origin))

    def older(self, origin: str) -> Context | None:
        """Return an older log of this node; None if its leaves are not here."""
        if origin not in self._known:
            # Loaded when first needed: it brings in the clients of witnesses.
            from ironkeep.adapters.log.node_logs import NodeLogs  # noqa: PLC0415

            leaves = NodeLogs(self._audit, split_origin(origin)[0], self._mirror).older(origin)
            if leaves is None:
                return None
            index = self.index(leaves)
            reader = self.keys.reader(leaves)
            hashes = self.hashes(origin)
            self._known[origin] = Context(leaves, reader, lambda: index, hashes, self.older)
        return self._known[origin]


class _Growing:
    """The index of the log that the server writes: built by one thread, asked by another."""

    def __init__(self, logs: _Logs, asked: Follower, built: Follower) -> None:
        self._logs: Final = logs
        self._asked: Final = asked
        self._builder: Final = logs.index(built)
        self._index = logs.index(asked)
        self._is_old = False

    def index(self) -> Index:
        """Return the index for questions, opened again if blocks were added."""
        if self._is_old:
            self._is_old = False
            self._index = self._logs.index(self._asked)
        return self._index

    def build(self) -> Iterator[bytes | None]:
        """Bring the index up to the log's size; see Index.advance."""
        covered = self._builder.covered
        for leaf in self._builder.advance():
            if self._builder.covered != covered:
                covered = self._builder.covered
                self._is_old = True
            yield leaf
