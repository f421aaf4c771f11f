"""How far an exposure spreads: the earliest instant at which an attacker may hold each node.

A node is held in one of two ways. *In clear*: it can be used. *In part*: an encrypted copy or a
share of it has been taken. That is enough to call it exposed, but it opens nothing until the rest
arrives.

Holding a person, a device or a session lasts until it is contained; what was learnt lasts for
ever. A dead credential is worth nothing where somebody verifies it, yet a dead key still decrypts
the copies that it made. Where the facts leave room, the answer is the larger one.

The algorithm is Dijkstra's over instants, with nodes that need k of their n inputs at one time.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from ironkeep.core.evidence.node import NodeId

FOREVER: Final = (1 << 63) - 1
"""The instant after all others, in POSIX nanoseconds."""


class EdgeKind(StrEnum):
    """Why who holds the source holds the target."""

    MEMBER_OF = "member-of"
    MAY_ASSUME = "may-assume"
    MAY_READ = "may-read"
    """The policy of that time let the source read the target."""
    DID_READ = "did-read"
    """The journal says that the source read the target."""
    HOLDS = "holds"
    """The target lies inside the source, in clear."""
    CACHED_ON = "cached-on"
    """The source, a device, keeps a copy of the target."""
    OPENS = "opens"
    """The source is a credential that the target accepts."""
    WRAPS = "wraps"
    """The source holds the target encrypted, or as one share of it."""
    DECRYPTS = "decrypts"
    """The source turns a copy that is held into the target; no one verifies it."""
    DERIVES = "derives"
    """The target follows from the source by computation."""
    BACKS_UP = "backs-up"
    """The source is a copy of the target's data."""


CONTROL: Final = frozenset({EdgeKind.MEMBER_OF, EdgeKind.MAY_ASSUME})
"""Acting as the source is acting as the target, and ends with it."""

_LIVE: Final = CONTROL | {EdgeKind.OPENS, EdgeKind.MAY_READ, EdgeKind.DID_READ}
"""Somebody checks the source when it is used, so a dead one gives nothing."""

_CARRIES: Final = frozenset(
    {EdgeKind.HOLDS, EdgeKind.WRAPS, EdgeKind.DERIVES, EdgeKind.CACHED_ON, EdgeKind.BACKS_UP}
)
"""An encrypted source carries an encrypted target."""


class Edge(msgspec.Struct, frozen=True):
    """One way from source to target, open in [from_ns, until_ns).

    `evidence` says where that is written: an entry of the journal, or a configuration's version.
    """

    source: NodeId
    kind: EdgeKind
    target: NodeId
    from_ns: int = 0
    until_ns: int = FOREVER
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """Edges; how many inputs each all-of node needs; from when a node is accepted nowhere."""

    edges: tuple[Edge, ...]
    needs: Mapping[NodeId, int] = field(default_factory=dict)
    closed: Mapping[NodeId, int] = field(default_factory=dict)


class Seed(msgspec.Struct, frozen=True):
    """Something known to be lost from `from_ns` on, until it was contained."""

    node: NodeId
    from_ns: int
    until_ns: int = FOREVER


class Step(msgspec.Struct, frozen=True):
    """One edge of an explanation, and the instant from which it may have been taken."""

    source: NodeId
    kind: EdgeKind
    target: NodeId
    at_ns: int
    evidence: str


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A node in hand during [start_ns, end_ns), and how it got there."""

    node: NodeId
    start_ns: int
    end_ns: int
    in_clear: bool = True
    hops: int = 0
    edge: Edge | None = None
    parents: tuple["Held", ...] = ()

    def why(self) -> tuple[Step, ...]:
        """Return the edges that led here, each after those that it needs."""
        steps: dict[Step, None] = {}
        path: list[tuple[Held, bool]] = [(self, False)]
        seen: set[int] = set()
        while path:
            held, expanded = path.pop()
            if expanded:
                if held.edge is not None:
                    edge = held.edge
                    made = Step(edge.source, edge.kind, edge.target, held.start_ns, edge.evidence)
                    steps.setdefault(made)
            elif id(held) not in seen:
                seen.add(id(held))
                path.append((held, True))
                path.extend((parent, False) for parent in reversed(held.parents))
        return tuple(steps)


@dataclass(slots=True)
class Spread:
    """What is held: first in clear, first in part, and first along each kind of edge."""

    in_clear: dict[NodeId, Held] = field(default_factory=dict)
    in_part: dict[NodeId, Held] = field(default_factory=dict)
    taken: dict[tuple[EdgeKind, NodeId], Held] = field(default_factory=dict)


def spread(
    graph: Graph, seeds: Iterable[Seed], as_of_ns: int, kinds: Collection[EdgeKind] | None = None
) -> Spread:
    """Return everything that may have been held at or before as_of_ns, starting from seeds.

    kinds restricts the edges that are followed. Time is O((nodes + edges) log edges) for each
    distinct end of a seed; all-of nodes cost their inputs squared.
    """
    walk = _Walk(graph, as_of_ns, kinds)
    for seed in seeds:
        if seed.from_ns < seed.until_ns:
            walk.push(Held(seed.node, seed.from_ns, seed.until_ns))
    walk.run()
    return walk.found


class _Walk:
    """One run over a graph."""

    def __init__(self, graph: Graph, as_of_ns: int, kinds: Collection[EdgeKind] | None) -> None:
        self.found: Final = Spread()
        self._graph: Final = graph
        self._as_of: Final = as_of_ns
        self._out: Final[dict[NodeId, list[Edge]]] = {}
        for edge in graph.edges:
            if kinds is None or edge.kind in kinds:
                self._out.setdefault(edge.source, []).append(edge)
        self._ends: Final[dict[NodeId, int]] = {}
        self._inputs: Final[dict[NodeId, list[Held]]] = {}
        self._heap: Final[list[tuple[int, int, int, Held]]] = []
        self._pushed = 0

    def push(self, held: Held) -> None:
        """Look at held when its turn in time comes."""
        if held.start_ns <= self._as_of:
            # The counter keeps ties in the order of the edges, so that runs agree to the byte.
            self._pushed += 1
            heapq.heappush(self._heap, (held.start_ns, held.hops, self._pushed, held))

    def run(self) -> None:
        """Settle everything pushed, the earliest first."""
        while self._heap:
            held = heapq.heappop(self._heap)[3]
            if held.edge is not None and held.node in self._graph.needs:
                joined = self._join(held)
                if joined is None:
                    continue
                held = joined
            if held.in_clear:
                self._settle(held)
            else:
                self._settle_part(held)

    def _settle(self, held: Held) -> None:
        """Record a node in clear, unless an earlier hold lasts as long, and follow its edges."""
        if held.end_ns <= self._ends.get(held.node, 0):
            return
        self._ends[held.node] = held.end_ns
        self.found.in_clear.setdefault(held.node, held)
        for edge in self._out.get(held.node, ()):
            self._follow(held, edge)

    def _settle_part(self, held: Held) -> None:
        """Record a node in part, and what it carries: in part too."""
        if held.node in self.found.in_part:
            return
        self.found.in_part[held.node] = held
        for edge in self._out.get(held.node, ()):
            start = max(held.start_ns, edge.from_ns)
            if edge.kind in _CARRIES and start < edge.until_ns:
                self._reach(held, edge, start, FOREVER, in_clear=False)

    def _follow(self, held: Held, edge: Edge) -> None:
        """Take one edge from a node in clear, if the two are open at one time."""
        start = max(held.start_ns, edge.from_ns)
        limit = min(held.end_ns, edge.until_ns)
        live = edge.kind in _LIVE
        if live:
            limit = min(limit, self._graph.closed.get(edge.source, FOREVER))
        if start >= limit:
            return
        # Into an all-of node a live credential counts only while it is accepted.
        bounded = edge.kind in CONTROL or (live and edge.target in self._graph.needs)
        end = limit if bounded else FOREVER
        self._reach(held, edge, start, end, in_clear=edge.kind is not EdgeKind.WRAPS)

    def _reach(self, held: Held, edge: Edge, start: int, end: int, *, in_clear: bool) -> None:
        if not in_clear and edge.target in self._graph.needs:
            return
        reached = Held(edge.target, start, end, in_clear, held.hops + 1, edge, (held,))
        if start <= self._as_of:
            known = self.found.taken.get((edge.kind, edge.target))
            if known is None or (start, reached.hops) < (known.start_ns, known.hops):
                self.found.taken[edge.kind, edge.target] = reached
        self.push(reached)

    def _join(self, arrived: Held) -> Held | None:
        """Add an input of an all-of node; return that node once enough are in hand at once."""
        inputs = self._inputs.setdefault(arrived.node, [])
        inputs.append(arrived)
        active: dict[NodeId, Held] = {}
        for held in inputs:
            if held.edge is not None and held.end_ns > arrived.start_ns:
                active.setdefault(held.edge.source, held)
        if len(active) < self._graph.needs[arrived.node]:
            return None
        chosen = sorted(active.values(), key=lambda held: (held.start_ns, held.hops))
        parents = tuple(chosen[: self._graph.needs[arrived.node]])
        hops = sum(parent.hops for parent in parents)
        return Held(arrived.node, arrived.start_ns, FOREVER, True, hops, None, parents)
