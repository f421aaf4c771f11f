"""What people, sessions and devices did, as the journal's request entries tell it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ironkeep.core.event import Entry
from ironkeep.core.evidence.node import NodeId, NodeKind, node, secret_version
from ironkeep.core.evidence.reach import FOREVER, Edge, EdgeKind
from ironkeep.core.operation import Operation

CHANGES: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.PATCH, Operation.DELETE})


@dataclass(frozen=True, slots=True)
class Deed:
    """One request that was granted, and who made it: person, session, device, as far as known."""

    index: int
    entry: Entry
    actors: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """One secret version that left the vault."""

    deed: Deed
    version: NodeId


class Deeds:
    """The granted requests of a log, taken in its order."""

    def __init__(self) -> None:
        self.all: Final[list[Deed]] = []
        self.reads: Final[list[Read]] = []
        self._issued: Final[dict[NodeId, int]] = {}
        self._reads_of: Final[dict[NodeId, list[Read]]] = {}
        self._by: Final[dict[NodeId, list[Deed]]] = {}
        self._by_nobody: Final[list[Deed]] = []

    def take(self, index: int, entry: Entry) -> list[Read]:
        """Add a request, and return what it read; one that was refused is no deed."""
        if entry.kind != "request" or entry.outcome != "ok":
            return []
        deed = Deed(index, entry, actors_of(entry))
        self.all.append(deed)
        if entry.issued:
            # The first entry is the token's making; a renewal answers with it again.
            self._issued.setdefault(node(NodeKind.SESSION, entry.issued), entry.time_ns)
        for actor in deed.actors:
            self._by.setdefault(actor, []).append(deed)
        if not deed.actors:
            self._by_nobody.append(deed)
        reads = [
            Read(deed, secret_version(each.mount, each.path, each.version))
            for each in entry.released
        ]
        self.reads.extend(reads)
        for read in reads:
            self._reads_of.setdefault(read.version, []).append(read)
        return reads

    def reads_of(self, version: NodeId) -> list[Read]:
        """Return the reads of one version, in order."""
        return self._reads_of.get(version, [])

    def by_nobody(self) -> list[Deed]:
        """Return what was done in nobody's name: with a batch token of no person, or by strangers.

        A login is not among them: whose session it makes shows when that is used.
        """
        return self._by_nobody

    def issued(self, session: NodeId) -> bool:
        """Return whether a session was made within the log."""
        return session in self._issued

    def by(self, actor: NodeId) -> list[Deed]:
        """Return what somebody did, in order."""
        return self._by.get(actor, [])

    def acted_in(self, actor: NodeId, after: int, before: int | None) -> Deed | None:
        """Return somebody's last deed between two entries of the log (None: its end)."""
        for deed in reversed(self.by(actor)):
            if deed.index > after and (before is None or deed.index < before):
                return deed
        return None

    def edges(self) -> Iterator[Edge]:
        """Yield who read what, and who held which sessions."""
        for read in self.reads:
            time_ns = read.deed.entry.time_ns
            evidence = f"entry {read.deed.index}"
            for actor in read.deed.actors:
                kind = EdgeKind.DID_READ
                yield Edge(actor, kind, read.version, time_ns, time_ns + 1, evidence)
        yield from self._sessions()

    def _sessions(self) -> Iterator[Edge]:
        """Yield an edge from each holder of a session, and from a token to those it made."""
        seen: set[tuple[NodeId, NodeId]] = set()
        for deed in self.all:
            for holder, session in _holdings(deed):
                # One that was not made within the log is older than all of it.
                from_ns = self._issued.get(session, 0)
                if (holder, session) not in seen:
                    seen.add((holder, session))
                    evidence = f"entry {deed.index}"
                    yield Edge(holder, EdgeKind.HOLDS, session, from_ns, FOREVER, evidence)


def actors_of(entry: Entry) -> tuple[NodeId, ...]:
    """Return who made a request: the person, the session, the device, as far as known."""
    named = (
        (NodeKind.PERSON, entry.entity),
        (NodeKind.SESSION, entry.accessor),
        (NodeKind.DEVICE, entry.device),
    )
    return tuple(node(kind, name) for kind, name in named if name)


def _holdings(deed: Deed) -> Iterable[tuple[NodeId, NodeId]]:
    """Yield (holder, session) as one deed shows it."""
    entry = deed.entry
    if entry.accessor:
        own = node(NodeKind.SESSION, entry.accessor)
        yield from ((actor, own) for actor in deed.actors if actor != own)
    if entry.issued:
        made = node(NodeKind.SESSION, entry.issued)
        yield from ((actor, made) for actor in deed.actors)
