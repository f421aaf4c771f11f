"""The estate: all links, gates, baselines and log sources that the log has on record.

The records of scope form a chain (core/evidence/records). `breaks` lists the places where a
record is missing, changed or out of order: a verdict over a chosen part of the estate would prove
nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, NamedTuple, TypeVar

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import (
    NodeId,
    NodeKind,
    family_of,
    is_family,
    kind_of,
    name_of,
    node,
    parse_node,
)
from ironkeep.core.evidence.reach import FOREVER, Edge, EdgeKind

MAX_EDGES: Final = 1_000_000
"""Edges after families are expanded into versions: with more, a verdict would take minutes."""

_PROTECTS: Final = frozenset({EdgeKind.WRAPS, EdgeKind.DECRYPTS, EdgeKind.DERIVES, EdgeKind.HOLDS})


S = TypeVar("S", bound=ev.Scope)


@dataclass(slots=True)
class Addresses:
    """All endpoints and poolers of a system that were ever configured, without repetition.

    `declared` is whether the last record said which poolers there are.
    """

    endpoints: dict[str, None] = field(default_factory=dict)
    poolers: dict[str, None] = field(default_factory=dict)
    declared: bool = False

    def all(self) -> tuple[str, ...]:
        """Return every endpoint at which a credential may be accepted."""
        return (*self.endpoints, *(each for each in self.poolers if each not in self.endpoints))


@dataclass(frozen=True, slots=True)
class Placed(Generic[S]):
    """A record of scope with the index and time of its entry."""

    index: int
    time_ns: int
    record: S


class _Protection(NamedTuple):
    """A link to something that a secret protects: when it was recorded, and until when it held."""

    kind: EdgeKind
    target: NodeId
    since_ns: int
    until_ns: int


class Estate:
    """The estate, built by taking the records of scope one by one in the order of the log."""

    def __init__(self) -> None:
        self.names: Final[dict[NodeId, str]] = {}
        self.needs: Final[dict[NodeId, int]] = {}
        self.breaks: Final[list[str]] = []
        self.baselines: Final[dict[str, list[Placed[ev.Baselined]]]] = {}
        self.addresses: Final[dict[str, Addresses]] = {}
        self.sources: Final[dict[str, Placed[ev.Sourced]]] = {}
        self.ended: Final[list[Placed[ev.Unlinked]]] = []
        """Links that were removed: what they exposed before must stay visible."""
        self.wide: Final[set[NodeId]] = set()
        """Families that a link leads to."""
        self._links: Final[dict[tuple[NodeId, EdgeKind, NodeId], list[Edge]]] = {}
        self._met: Final[dict[NodeId, None]] = {}
        self._verifiers: Final[dict[NodeId, dict[NodeId, None]]] = {}
        self._protecting: Final[dict[NodeId, list[_Protection]]] = {}
        self._linked: Final[set[NodeId]] = set()
        self._mounts: Final[dict[str, str]] = {}
        self._seq = 0
        self._chain = ev.CHAIN_START

    def meet(self, version: NodeId) -> None:
        """Register a node: links of its family apply to it too."""
        self._met[version] = None

    def take(self, index: int, time_ns: int, record: ev.Scope) -> None:
        """Add a record; raise IntegrityError if a name or a kind in it is invalid."""
        self._check_chain(index, record)
        try:
            self._add(index, time_ns, record)
        except (InvalidRequest, ValueError) as error:
            raise IntegrityError(f"entry {index}: {error}") from None

    def edges(self) -> Iterator[Edge]:
        """Yield all edges, families expanded; raise IntegrityError past MAX_EDGES."""
        count, versions = 0, self._versions()
        for (source, _, target), edges in self._links.items():
            is_plain = source not in versions and target not in versions
            for edge in edges:
                for each in (edge,) if is_plain else _expanded(edge, versions):
                    count += 1
                    if count > MAX_EDGES:
                        raise IntegrityError(f"more than {MAX_EDGES} links")
                    yield each

    def _versions(self) -> dict[NodeId, tuple[NodeId, ...]]:
        """Return the versions on record of each family that a link has, in order.

        A family with no version on record stands for itself, so that it is not left out.
        """
        linked = (*self._linked, *self.wide)
        found: dict[NodeId, list[NodeId]] = {each: [] for each in linked if is_family(each)}
        for version in self._met if found else ():
            family = family_of(version)
            if family in found:
                found[family].append(version)
        return {family: tuple(versions) or (family,) for family, versions in found.items()}

    def verifiers(self, version: NodeId) -> tuple[NodeId, ...]:
        """Return the systems that ever accepted a credential, alone or as one of several inputs.

        Removed links count too: removing a link from the record does not stop the verifier.
        """
        found = dict(self._verifiers.get(version, {}))
        family = family_of(version)
        if family is not None:
            found.update(self._verifiers.get(family, {}))
        return tuple(found)

    def protects(self, version: NodeId, before_ns: int) -> bool:
        """Return whether a secret was known to protect others; then it may have no verifier.

        Only links recorded before before_ns, and in force then, count: a later one could be made to
        avoid presenting the secret to its verifiers.
        """
        return any(
            each.since_ns < before_ns <= each.until_ns
            for source in (version, family_of(version))
            for each in (self._protecting.get(source, ()) if source else ())
        )

    def tells_of(self, what: NodeId) -> bool:
        """Return whether any link has ever led from a node."""
        return what in self._linked

    def label(self, what: str) -> str:
        """Return a readable name of a node, with paths in place of mount uuids."""
        try:
            kind, name = kind_of(NodeId(what)), name_of(NodeId(what))
        except KeyError:
            return what
        if kind is NodeKind.SECRET:
            mount, _, rest = name.partition("/")
            path, _, version = rest.rpartition("@")
            return f"{self._mounts.get(mount, mount + '/')}{path} version {version}"
        # An item about one fact of a node is the node, a #, and the fact.
        whose, hash_mark, fact = what.partition("#")
        for known, rest in ((what, ""), (whose, hash_mark + fact)):
            if known in self.names:
                return f"{kind} {self.names[NodeId(known)]}{rest}"
        return f"{kind} {name}"

    def _check_chain(self, index: int, record: ev.Scope) -> None:
        expected = ev.chained(record, self._seq + 1, self._chain)
        if record != expected:
            self.breaks.append(
                f"scope record {self._seq + 1} is missing, changed or out of order: entry {index}"
            )
        self._seq, self._chain = record.seq, record.chain

    def _add(self, index: int, time_ns: int, record: ev.Scope) -> None:
        match record:
            case ev.Mounted(mount=mount, path=path):
                self._mounts[mount] = path
            case ev.Linked():
                self._link(index, time_ns, record)
            case ev.Unlinked():
                self.ended.append(Placed(index, time_ns, record))
                self._unlink(time_ns, record)
            case ev.Gated():
                self._gate(index, time_ns, record)
            case ev.Baselined(system=system):
                placed = Placed(index, time_ns, record)
                self.baselines.setdefault(parse_node(system), []).append(placed)
            case ev.Addressed():
                known = self.addresses.setdefault(parse_node(record.system), Addresses())
                known.endpoints.update(dict.fromkeys(record.endpoints))
                known.poolers.update(dict.fromkeys(record.poolers))
                known.declared = record.declared
            case ev.Sourced(source=source):
                self.sources.setdefault(source, Placed(index, time_ns, record))
            case _:
                # Opened and Widened belong to the case file.
                return

    def _link(self, index: int, time_ns: int, record: ev.Linked) -> None:
        kind, source = record.kind, parse_node(record.source)
        self.meet(source)
        until = record.until_ns or FOREVER
        evidence = f"entry {index}: {record.basis}"
        for name in record.targets:
            target = parse_node(name)
            self.meet(target)
            self._put(Edge(source, kind, target, record.from_ns, until, evidence), time_ns)
            if kind is EdgeKind.OPENS:
                self._verifiers.setdefault(source, {})[target] = None

    def _unlink(self, time_ns: int, record: ev.Unlinked) -> None:
        for name in record.targets:
            key = (parse_node(record.source), record.kind, parse_node(name))
            self._links[key] = [
                Edge(
                    edge.source,
                    edge.kind,
                    edge.target,
                    edge.from_ns,
                    min(edge.until_ns, time_ns),
                    edge.evidence,
                )
                for edge in self._links.get(key, [])
            ]
            source, kind, target = key
            if kind in _PROTECTS:
                self._protecting[source] = [
                    each._replace(until_ns=min(each.until_ns, time_ns))
                    if (each.kind, each.target) == (kind, target)
                    else each
                    for each in self._protecting.get(source, [])
                ]

    def _gate(self, index: int, time_ns: int, record: ev.Gated) -> None:
        gate = node(NodeKind.ALL_OF, record.gate)
        target, kind = parse_node(record.target), record.kind
        inputs = (*map(parse_node, record.known), *map(parse_node, record.live))
        if kind not in {EdgeKind.OPENS, EdgeKind.DECRYPTS} or gate in self.needs:
            raise ValueError("a gate needs a new name, and its kind must be opens or decrypts")
        if not 1 <= record.need <= len(set(inputs)) or any(map(is_family, (*inputs, target))):
            raise ValueError("a gate must need 1 to all of its inputs, and none may be a family")
        self.needs[gate] = record.need
        evidence = f"entry {index}: {record.basis}"
        put = partial(self._put, time_ns=time_ns)
        for name in (*inputs, target):
            self.meet(name)
        for source in map(parse_node, record.known):
            put(Edge(source, EdgeKind.DECRYPTS, gate, record.from_ns, FOREVER, evidence))
        for source in map(parse_node, record.live):
            put(Edge(source, EdgeKind.OPENS, gate, record.from_ns, FOREVER, evidence))
        put(Edge(gate, kind, target, record.from_ns, FOREVER, evidence))
        if kind is EdgeKind.OPENS:
            for source in inputs:
                self._verifiers.setdefault(source, {})[target] = None

    def _put(self, edge: Edge, time_ns: int) -> None:
        if is_family(edge.target):
            self.wide.add(edge.target)
        self._links.setdefault((edge.source, edge.kind, edge.target), []).append(edge)
        self._linked.add(edge.source)
        if edge.kind in _PROTECTS:
            kept = _Protection(edge.kind, edge.target, time_ns, edge.until_ns)
            self._protecting.setdefault(edge.source, []).append(kept)


def _expanded(edge: Edge, versions: Mapping[NodeId, tuple[NodeId, ...]]) -> Iterator[Edge]:
    """Yield an edge for each version of the families that it has as source or target."""
    for source in versions.get(edge.source, (edge.source,)):
        for target in versions.get(edge.target, (edge.target,)):
            yield Edge(source, edge.kind, target, edge.from_ns, edge.until_ns, edge.evidence)
