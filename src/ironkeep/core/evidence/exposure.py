"""The exposure of an incident, as three answers side by side.

*Did read*: the journal proves the read. *Could have read*: a policy of that time allowed it to a
lost principal. *Could have reached*: some chain of links leads there. Each row carries the
shortest chain that explains it.

Exposure is a property of the secret version, not of the incident: it spreads from the seeds of all
cases together. A case includes every row that its own seeds cause or make earlier.
"""

from collections.abc import Iterable, Mapping, Set as AbstractSet
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from ironkeep.core.evidence.node import PRINCIPALS, NodeId, NodeKind, kind_of
from ironkeep.core.evidence.reach import (
    CONTROL,
    Edge,
    EdgeKind,
    Graph,
    Held,
    Reasons,
    Seed,
    Spread,
    Step,
    spread,
)

_DIRECT: Final = CONTROL | {EdgeKind.MAY_READ}
_PASSES_ON: Final = frozenset({EdgeKind.HOLDS, EdgeKind.MADE})
"""A principal that holds another one by such an edge reads what that one may read."""


class Exposed(msgspec.Struct, frozen=True, gc=False):
    """One row: a node, and the times from which it is exposed and can be used.

    `in_clear_ns` is 0 while only an encrypted copy or a share has been taken. `why` is the chain of
    edges that explains the row.
    """

    node: NodeId
    exposed_ns: int
    in_clear_ns: int
    why: tuple[Step, ...]


class Exposure(msgspec.Struct, frozen=True):
    """The three answers; rows are sorted by time and name. `could_reach` includes the other two."""

    did_read: tuple[Exposed, ...] = ()
    could_read: tuple[Exposed, ...] = ()
    could_reach: tuple[Exposed, ...] = ()


class _Found(NamedTuple):
    """A row without its reason: see `Exposed`; the hold is that which explains it."""

    exposed_ns: int
    in_clear_ns: int
    held: Held


_Rows = dict[NodeId, _Found]


class _Answers(NamedTuple):
    """The three answers without reasons: most rows of some of them are only compared."""

    did_read: _Rows
    could_read: _Rows
    could_reach: _Rows


def everybody(cases: Mapping[str, Iterable[Seed]], case: str) -> list[Seed]:
    """Return the seeds of all cases, those of one case first."""
    others = (seed for name, seeds in cases.items() if name != case for seed in seeds)
    return [*cases.get(case, ()), *others]


def expose(
    graph: Graph,
    cases: Mapping[str, Iterable[Seed]],
    case: str,
    as_of_ns: int,
    known: Spread | None = None,
) -> Exposure:
    """Return the exposure of one case, given the seeds of all cases, as known at as_of_ns.

    `known` is the spread from the seeds of `everybody`, if it was worked out before.
    """
    seeds, own = everybody(cases, case), list(cases.get(case, ()))
    others, direct = seeds[len(own) :], _direct(graph)
    together = _answers(known or spread(graph, seeds, as_of_ns), direct, seeds, as_of_ns)
    if others:
        without = _answers(spread(graph, others, as_of_ns), direct, others, as_of_ns)
        shared = [_shared(*rows) for rows in zip(together, without, strict=True)]
        if any(shared):
            alone = _answers(spread(graph, own, as_of_ns), direct, own, as_of_ns)
            together = _Answers(*map(_due_to, together, alone, shared))
    reasons = Reasons()
    return Exposure(*(_sorted(rows, reasons) for rows in together))


def _direct(graph: Graph) -> Graph:
    """Return the part of a graph in which principals read, and pass on what they are."""
    edges = (
        edge
        for edge in graph.edges
        if edge.kind in _DIRECT or (edge.kind in _PASSES_ON and _is_between_principals(edge))
    )
    return replace(graph, edges=tuple(edges))


def _is_between_principals(edge: Edge) -> bool:
    return kind_of(edge.source) in PRINCIPALS and kind_of(edge.target) in PRINCIPALS


def _answers(everything: Spread, direct: Graph, seeds: list[Seed], as_of_ns: int) -> _Answers:
    may_read = spread(direct, seeds, as_of_ns).taken[EdgeKind.MAY_READ]
    return _Answers(
        _taken(everything.taken[EdgeKind.DID_READ]), _taken(may_read), _reached(everything)
    )


def _taken(found: Mapping[NodeId, Held]) -> _Rows:
    """Return a row for each target of edges of one kind."""
    return {node: _Found(held.start_ns, held.start_ns, held) for node, held in found.items()}


def _reached(found: Spread) -> _Rows:
    """Return a row for each node held in clear or in part, all-of nodes excepted."""
    rows = {
        node: _Found(held.start_ns, held.start_ns, held) for node, held in found.in_clear.items()
    }
    for node, held in found.in_part.items():
        usable = rows.get(node)
        if usable is None:
            rows[node] = _Found(held.start_ns, 0, held)
        else:
            rows[node] = usable._replace(exposed_ns=min(usable.exposed_ns, held.start_ns))
    return {node: row for node, row in rows.items() if kind_of(node) is not NodeKind.ALL_OF}


def _sorted(rows: _Rows, reasons: Reasons) -> tuple[Exposed, ...]:
    """Return rows by time and name, with their reasons."""
    order = sorted(rows, key=lambda node: (rows[node].exposed_ns, node))
    return tuple(
        Exposed(node, exposed_ns, in_clear_ns, reasons.why(held))
        for node, (exposed_ns, in_clear_ns, held) in ((each, rows[each]) for each in order)
    )


def _shared(together: _Rows, without: _Rows) -> frozenset[NodeId]:
    """Return the nodes that other cases reach as early without this one."""
    return frozenset(
        node
        for node, row in without.items()
        if (both := together.get(node)) is not None and both[:2] == row[:2]
    )


def _due_to(together: _Rows, alone: _Rows, shared: AbstractSet[NodeId]) -> _Rows:
    """Keep the rows that a case reaches alone, or that would be later or absent without it."""
    return {node: row for node, row in together.items() if node in alone or node not in shared}
