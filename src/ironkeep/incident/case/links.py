"""Links made by hand: relations between secrets and systems that no connector reports."""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import (
    NodeId,
    is_family,
    parse_node,
    place_of,
    secret_version,
)
from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.operation import Operation
from ironkeep.credentials.actor import actor_of
from ironkeep.credentials.scope import Edge
from ironkeep.incident.case.naming import Names
from ironkeep.incident.case.workspace import instant, words
from ironkeep.incident.evidence.views import when
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.effects import Steps, pause
from ironkeep.plugin.effects.pauses import Pauses, in_turns
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response, listing
from ironkeep.plugin.route import Route

_BY_HAND: Final = frozenset(EdgeKind) - {EdgeKind.DID_READ, EdgeKind.MAY_READ}
"""Reads come from the journal and read permissions from the policies, never by hand."""

IN_A_TURN: Final = 128
"""Links read in one turn, which takes some 3 ms."""


@dataclass(frozen=True)
class Link:
    """A link: source yields targets; or a gate: `need` of `known` and `live` yield one target."""

    kind: str = field(metadata={"help": ", ".join(sorted(_BY_HAND))})
    basis: str = field(metadata={"help": "the evidence for this link"})
    source: str = ""
    targets: CommaList = ()
    since: str = field(default="", metadata={"help": "RFC 3339, or a time ago; else always"})
    gate: str = field(default="", metadata={"help": "a name for inputs needed together"})
    need: int = field(default=0, metadata={"help": "the number of inputs that are needed"})
    known: CommaList = field(default=(), metadata={"help": "inputs that only have to be possessed"})
    live: CommaList = field(default=(), metadata={"help": "inputs that a system verifies"})


@dataclass(frozen=True)
class Named:
    """The input that names a link by its id."""

    link: str


def write(call: Call, given: Link) -> Response:
    """Journal a link or a gate; it counts for every case from now on."""
    if given.kind not in _BY_HAND:
        raise InvalidRequest(f"kind must be one of {', '.join(sorted(_BY_HAND))}")
    if bool(given.gate) == bool(given.source):
        raise InvalidRequest("give source and targets; or gate, need, known, live and one target")
    if not given.targets:
        raise InvalidRequest("a link needs at least one target")
    names, basis = Names(call), words(given.basis, "a basis")
    from_ns = instant(given.since, call.now_ns) if given.since else 0
    if given.gate:
        return _gate(call, given, names, basis, from_ns)
    source = names.node(given.source, family=True)
    targets = [names.node(each, family=True) for each in given.targets]
    by, kind = actor_of(call), EdgeKind(given.kind)
    call.use(House).scope.linked(source, kind, targets, basis, call.now_ns, by, from_ns)
    return Response(data={"source": source, "kind": given.kind, "targets": list(targets)})


def _gate(call: Call, given: Link, names: Names, basis: str, from_ns: int) -> Response:
    if len(given.targets) != 1:
        raise InvalidRequest("a gate has exactly one target")
    gate = ev.Gated(
        *ev.UNPLACED,
        words(given.gate, "a gate's name"),
        given.need,
        tuple(names.node(each) for each in given.known),
        tuple(names.node(each) for each in given.live),
        EdgeKind(given.kind),
        names.node(given.targets[0]),
        from_ns,
        basis,
    )
    call.use(House).scope.gated(gate, call.now_ns, actor_of(call))
    return Response(data={"gate": gate.gate, "need": gate.need, "target": gate.target})


def spell_out(call: Call, names: Names) -> Steps[None]:
    """Expand each link to all versions of a secret into links to the versions stored now.

    A verdict knows only the versions that are on record; without these links it would name the
    secret as a whole. The turn in which it begins must not have written anything.
    """
    scope, wide = call.use(House).scope, list[Edge]()
    for number, (_, edge) in enumerate(scope.edges(call.tx), start=1):
        wide += [edge] if is_family(NodeId(edge.target)) else []
        if number % IN_A_TURN == 0:
            yield from pause()
    for edge in wide:
        versions = _versions(names, NodeId(edge.target))
        source, kind = NodeId(edge.source), EdgeKind(edge.kind)
        for at in range(0, len(versions), IN_A_TURN):
            some = versions[at : at + IN_A_TURN]
            scope.spelled_out(source, kind, some, edge.basis, call.now_ns, edge.from_ns)
            yield from pause()
        yield from pause()


def _versions(names: Names, family: NodeId) -> list[NodeId]:
    """Return the stored versions of a secret; none if its segment is sealed."""
    uuid, path = place_of(family)
    mount = next((each for each in names.mounts() if each.uuid == uuid), None)
    kept = None if mount is None or names.is_sealed(mount) else names.kept_at(mount, path)
    numbers = () if kept is None else kept.versions
    return [secret_version(uuid, path, each.number) for each in numbers]


def delete(call: Call, given: Named) -> Response:
    """Journal the end of a link; what it exposed before stays exposed."""
    edge = call.use(House).scope.edge(call.tx, given.link)
    call.use(House).scope.unlinked(
        NodeId(edge.source),
        EdgeKind(edge.kind),
        (parse_node(edge.target),),
        call.now_ns,
        actor_of(call),
    )
    return Response()


def list_links(call: Call) -> Response | Suspend:
    """Return every link in force."""

    def steps() -> Pauses[dict[str, Any]]:
        found: dict[str, Any] = {}
        for name, edge in call.use(House).scope.edges(call.tx):
            found[name] = _shape(edge)
            if len(found) % IN_A_TURN == 0:
                yield
        return found

    return in_turns(call, steps(), lambda _call, found: listing(sorted(found), found))


def _shape(edge: Edge) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "source": edge.source,
        "kind": edge.kind,
        "target": edge.target,
        "basis": edge.basis,
        "since": when(edge.from_ns),
    }
    if edge.need:
        shape |= {"need": edge.need, "known": list(edge.known), "live": list(edge.live)}
    return shape


ROUTES: Final = (
    Route(Operation.LIST, "links/", list_links, sudo=True, help="List the links in force."),
    Route(
        Operation.UPDATE, "links", write, Link, sudo=True, audited=("kind", "gate"),
        help="Link secrets and systems.",
    ),
    Route(Operation.DELETE, "links/{link}", delete, Named, sudo=True, help="End a link."),
)  # fmt: skip
