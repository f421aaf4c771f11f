"""The spread of an exposure: the earliest instant at which an attacker may hold each node.

A node is held in one of two ways. *In clear*: it can be used. *In part*: an encrypted copy or a
share of it has been taken. It then counts as exposed, but gives access to nothing until the
missing part is held too.

An attacker holds a person, a device or a session until it is contained, and a learnt secret for
ever. A dead credential is useless at a verifier, but a dead key still decrypts the copies that it
encrypted. Where the facts leave room, the answer is the larger one.

The algorithm is Dijkstra's, with instants as distances and with nodes that need k of their n inputs
at the same time.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

import msgspec

from ironkeep.core.evidence.node import NodeId

FOREVER: Final = (1 << 63) - 1
"""The instant after all others, in POSIX nanoseconds."""


class EdgeKind(StrEnum):
    """The reasons why a holder of the source can hold the target."""

    MEMBER_OF = "member-of"
    MAY_ASSUME = "may-assume"
    MAY_READ = "may-read"
    """The policy of that time allowed the source to read the target."""
    DID_READ = "did-read"
    """The journal says that the source read the target."""
    HOLDS = "holds"
    """The source contains the target in clear."""
    CACHED_ON = "cached-on"
    """The source, a device, keeps a copy of the target."""
    OPENS = "opens"
    """The source is a credential that the target accepts."""
    WRAPS = "wraps"
    """The source contains the target encrypted, or as one share of it."""
    DECRYPTS = "decrypts"
    """The source decrypts a copy of the target; no system verifies the source."""
    DERIVES = "derives"
    """The target can be computed from the source."""
    BACKS_UP = "backs-up"
    """The source is a copy of the target's data."""
    MADE = "made"
    """The source set up the target: a person's password, or what a login relied on."""


CONTROL: Final = frozenset({EdgeKind.MEMBER_OF, EdgeKind.MAY_ASSUME})
"""Control of the source is control of the target, and ends at the same time."""

_LIVE: Final = CONTROL | {EdgeKind.OPENS, EdgeKind.MAY_READ, EdgeKind.DID_READ}
"""The source is verified on use, so a dead one gives nothing."""

_CARRIES: Final = frozenset(
    {EdgeKind.HOLDS, EdgeKind.WRAPS, EdgeKind.DERIVES, EdgeKind.CACHED_ON, EdgeKind.BACKS_UP}
)
"""A source held in part gives its target in part."""


class Edge(msgspec.Struct, frozen=True, gc=False):
    """One way from source to target, open in [from_ns, until_ns).

    `evidence` names the record of it: an entry of the journal, or a version of a configuration.
    """

    source: NodeId
    kind: EdgeKind
    target: NodeId
    from_ns: int = 0
    until_ns: int = FOREVER
    evidence: str = ""


@dataclass(frozen=True)
class Graph:
    """The input of a search.

    `needs` maps an all-of node to the number of inputs that it needs, `closed` maps a node to the
    instant from which no system accepts it. `ended` maps people and devices to the instants, in
    order, at which they were cut off: an attacker who holds one before such an instant holds it
    until then.
    """

    edges: tuple[Edge, ...]
    needs: Mapping[NodeId, int] = field(default_factory=dict)
    closed: Mapping[NodeId, int] = field(default_factory=dict)
    ended: Mapping[NodeId, tuple[int, ...]] = field(default_factory=dict)

    @cached_property
    def out(self) -> Mapping[NodeId, list[Edge]]:
        """The edges by their sources, in order: all searches in the graph share them."""
        found: dict[NodeId, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, []).append(edge)
        return found

    @cached_property
    def inner(self) -> frozenset[NodeId]:
        """The nodes from which something leads on: in a large graph, few of them."""
        return frozenset((*self.out, *self.needs))


class Seed(msgspec.Struct, frozen=True):
    """A node known to be lost from `from_ns` until it was contained at `until_ns`."""

    node: NodeId
    from_ns: int
    until_ns: int = FOREVER


class Step(msgspec.Struct, frozen=True, gc=False):
    """One edge of an explanation, and the earliest instant at which it could be taken."""

    source: NodeId
    kind: EdgeKind
    target: NodeId
    at_ns: int
    evidence: str


class Held(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A node that the attacker holds during [start_ns, end_ns), and the way there."""

    node: NodeId
    start_ns: int
    end_ns: int
    in_clear: bool = True
    hops: int = 0
    edge: Edge | None = None
    parents: tuple["Held", ...] = ()

    def why(self) -> tuple[Step, ...]:
        """Return the edges that led here, each after the edges that it depends on."""
        steps: dict[Step, None] = {}
        path: list[tuple[Held, bool]] = [(self, False)]
        seen: set[int] = set()
        while path:
            held, expanded = path.pop()
            if expanded:
                if held.edge is not None:
                    steps.setdefault(_step(held.edge, held.start_ns))
            elif id(held) not in seen:
                seen.add(id(held))
                path.append((held, True))
                path.extend((parent, False) for parent in reversed(held.parents))
        return tuple(steps)


class Reasons:
    """The reasons of many nodes: those of a holder of thousands of them are found once."""

    def __init__(self) -> None:
        self._known: Final[dict[int, tuple[Held, tuple[Step, ...]]]] = {}

    def why(self, held: Held) -> tuple[Step, ...]:
        """Return what `Held.why` does."""
        if held.edge is None or len(held.parents) != 1:
            return held.why()
        (parent,) = held.parents
        known = self._known.get(id(parent))
        if known is None:
            # The parent is kept with them: no other object gets its id.
            known = self._known[id(parent)] = (parent, parent.why())
        before, last = known[1], _step(held.edge, held.start_ns)
        return before if last in before else (*before, last)


def _step(edge: Edge, at_ns: int) -> Step:
    return Step(edge.source, edge.kind, edge.target, at_ns, edge.evidence)


@dataclass(slots=True)
class Spread:
    """The nodes held: each one's first hold in clear, in part, and by each kind of edge."""

    in_clear: dict[NodeId, Held] = field(default_factory=dict)
    in_part: dict[NodeId, Held] = field(default_factory=dict)
    taken: dict[EdgeKind, dict[NodeId, Held]] = field(
        default_factory=lambda: {kind: {} for kind in EdgeKind}
    )


def spread(graph: Graph, seeds: Iterable[Seed], as_of_ns: int) -> Spread:
    """Return all nodes that may have been held at or before as_of_ns, starting from seeds.

    Time is O((nodes + edges) log edges) for each distinct end
    of a seed; an all-of node costs the square of its inputs.
    """
    walk = _Walk(graph, as_of_ns)
    for seed in seeds:
        if seed.from_ns < seed.until_ns:
            walk.push(Held(seed.node, seed.from_ns, seed.until_ns))
    walk.run()
    return walk.found


class _Walk:
    """One run of the search."""

    def __init__(self, graph: Graph, as_of_ns: int) -> None:
        self.found: Final = Spread()
        self._graph: Final = graph
        self._as_of: Final = as_of_ns
        self._ends: Final[dict[NodeId, int]] = {}
        self._inputs: Final[dict[NodeId, list[Held]]] = {}
        self._heap: Final[list[tuple[int, int, int, Held]]] = []
        self._pushed = 0

    def push(self, held: Held) -> None:
        """Queue held; `run` settles the queue in the order of time."""
        if held.start_ns <= self._as_of:
            # The counter breaks ties in the order of the edges: every run gives the same bytes.
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
        if _is_first(self.found.in_clear.get(held.node), held.start_ns, held.hops):
            self.found.in_clear[held.node] = held
        self._follow(held)

    def _settle_part(self, held: Held) -> None:
        """Record a node in part, and the targets that it carries in part."""
        if held.node in self.found.in_part:
            return
        self.found.in_part[held.node] = held
        for edge in self._graph.out.get(held.node, ()):
            start = max(held.start_ns, edge.from_ns)
            if edge.kind in _CARRIES and start < edge.until_ns and start <= self._as_of:
                self._reach(held, edge, start, FOREVER, in_clear=False)

    def _follow(self, held: Held) -> None:
        """Take the edges from a node in clear with which its hold overlaps in time."""
        start_ns, end_ns, as_of_ns = held.start_ns, held.end_ns, self._as_of
        closed_ns = min(end_ns, self._graph.closed.get(held.node, FOREVER))
        for edge in self._graph.out.get(held.node, ()):
            start = max(start_ns, edge.from_ns)
            limit = closed_ns if edge.kind in _LIVE else end_ns
            if start < limit and start < edge.until_ns and start <= as_of_ns:
                end = self._end(edge, start, limit)
                self._reach(held, edge, start, end, in_clear=edge.kind is not EdgeKind.WRAPS)

    def _end(self, edge: Edge, start: int, limit: int) -> int:
        """Return until when the target of an edge is held that was taken at start."""
        if edge.target not in self._graph.inner:
            return FOREVER
        # As input of an all-of node, a live credential counts only while it is accepted.
        is_input = edge.kind in _LIVE and edge.target in self._graph.needs
        end = min(limit, edge.until_ns) if edge.kind in CONTROL or is_input else FOREVER
        cuts = self._graph.ended.get(edge.target, ())
        return min(end, next((at for at in cuts if at > start), FOREVER))

    def _reach(self, held: Held, edge: Edge, start: int, end: int, *, in_clear: bool) -> None:
        """Hold the target of an edge from start on, and queue it if an edge leads on from it.

        Most targets lead nowhere, and most edges to one that is held already tell nothing new.
        """
        target, hops = edge.target, held.hops + 1
        leads_on = target in self._graph.inner
        if leads_on and not in_clear and target in self._graph.needs:
            return
        taken = self.found.taken[edge.kind]
        nodes = self.found.in_clear if in_clear else self.found.in_part
        is_taken = _is_first(taken.get(target), start, hops)
        is_held = not leads_on and _is_first(nodes.get(target), start, hops)
        if not (is_taken or is_held or leads_on):
            return
        reached = Held(target, start, end, in_clear, hops, edge, (held,))
        if is_taken:
            taken[target] = reached
        if is_held:
            nodes[target] = reached
        if leads_on:
            self.push(reached)

    def _join(self, arrived: Held) -> Held | None:
        """Add an input of an all-of node; return the node once enough are held together."""
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


def _is_first(known: Held | None, start_ns: int, hops: int) -> bool:
    """Return whether a hold is earlier than the known one, or as early by fewer edges."""
    if known is None:
        return True
    return start_ns < known.start_ns or (start_ns == known.start_ns and hops < known.hops)
