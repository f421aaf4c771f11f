"""The log's side of add-entries (c2sp.org/tlog-mirror): sending a mirror the leaves it lacks."""

from itertools import islice
from typing import Final

from ironkeep.adapters.witness.http import Reply, WitnessHttp
from ironkeep.core.errors import IntegrityError, UpstreamFailed
from ironkeep.journal.log import Log
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.mirror import (
    ENTRIES,
    MAX_PACKAGES,
    MAX_TICKET,
    MirrorInfo,
    Upload,
    encode_package,
    package_proof,
)
from ironkeep.tlog.tile import TILE_WIDTH

MAX_REQUESTS: Final = 64
"""Requests for one checkpoint, about half a million entries; then a newer checkpoint is due."""

REQUEST_BYTES: Final = 1 << 22
"""Bytes after which a request gets no further package, since it must complete within seconds."""


class MirrorUpload:
    """Uploads leaves to one mirror, and remembers how many its copy of the log has."""

    def __init__(self, http: WitnessHttp) -> None:
        self._http: Final = http
        self._next: int | None = None
        self._ticket = b""

    def send(self, log: Log, checkpoint: Checkpoint) -> bytes | None:
        """Send the leaves that the mirror lacks of a checkpoint; return its signature lines.

        The mirror must know the checkpoint. None means that leaves remain. Raises UpstreamFailed.
        """
        for _ in range(MAX_REQUESTS):
            reply = self._post(log, checkpoint)
            if reply.status == 200:  # noqa: PLR2004 - HTTP
                self._next = checkpoint.size
                return reply.body
            self._learn(reply, checkpoint)
        return None

    def _post(self, log: Log, checkpoint: Checkpoint) -> Reply:
        if self._next is None:
            # An empty upload without a checkpoint: the answer tells the mirror's next entry.
            head = Upload(log.origin, 0, 0)
            return self._http.post("add-entries", head.serialise(), ENTRIES)
        head = Upload(log.origin, self._next, checkpoint.size, self._ticket)
        body = bytearray(head.serialise())
        for first, last in islice(head.spans(), MAX_PACKAGES):
            start = first - first % TILE_WIDTH
            inclusion = log.inclusion_proof(start, checkpoint)
            proof = package_proof(inclusion, last - start)
            body += encode_package(log.leaves(first, last), proof)
            if len(body) > REQUEST_BYTES:
                break
        return self._http.post("add-entries", bytes(body), ENTRIES)

    def _learn(self, reply: Reply, checkpoint: Checkpoint) -> None:
        """Learn the mirror's next entry from a 202 or 409; raise UpstreamFailed otherwise."""
        if reply.status not in {202, 409}:
            self._next = None
            raise UpstreamFailed(f"it answered {reply.status} to add-entries")
        try:
            info = MirrorInfo.parse(reply.body)
        except IntegrityError as error:
            raise UpstreamFailed(f"its answer to add-entries: {error}") from None
        moved = self._next != info.next_entry
        if not (moved and info.next_entry <= checkpoint.size and len(info.ticket) <= MAX_TICKET):
            self._next = None
            raise UpstreamFailed(f"its copy makes no progress: it lacks entry {info.next_entry}")
        self._next, self._ticket = info.next_entry, info.ticket
