"""The exposure of an incident, as three answers side by side.

*Did read*: the journal proves the read. *Could have read*: a policy of that time allowed it to a
lost principal. *Could have reached*: some chain of links leads there. Each row carries the
shortest chain that explains it.

Exposure is a property of the secret version, not of the incident: it spreads from the seeds of all
cases together. A case includes every row that its own seeds cause or make earlier.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from ironkeep.core.evidence.node import PRINCIPALS, NodeId, NodeKind, kind_of
from ironkeep.core.evidence.reach import (
    CONTROL,
    Edge,
    EdgeKind,
    Graph,
    Held,
    Seed,
    Spread,
    Step,
    spread,
)

_DIRECT: Final = CONTROL | {EdgeKind.MAY_READ}
_PASSES_ON: Final = frozenset({EdgeKind.HOLDS, EdgeKind.MADE})
"""A principal that holds another one by such an edge reads what that one may read."""


class Exposed(msgspec.Struct, frozen=True):
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


def expose(graph: Graph, cases: Mapping[str, Iterable[Seed]], case: str, as_of_ns: int) -> Exposure:
    """Return the exposure of one case, given the seeds of all cases, as known at as_of_ns."""
    own = list(cases.get(case, ()))
    others = [seed for name, seeds in cases.items() if name != case for seed in seeds]
    direct = _direct(graph)
    together = _answers(graph, direct, own + others, as_of_ns)
    if not others:
        return together
    alone = _answers(graph, direct, own, as_of_ns)
    without = _answers(graph, direct, others, as_of_ns)
    return Exposure(
        did_read=_due_to(together.did_read, alone.did_read, without.did_read),
        could_read=_due_to(together.could_read, alone.could_read, without.could_read),
        could_reach=_due_to(together.could_reach, alone.could_reach, without.could_reach),
    )


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


def _answers(graph: Graph, direct: Graph, seeds: list[Seed], as_of_ns: int) -> Exposure:
    everything = spread(graph, seeds, as_of_ns)
    return Exposure(
        did_read=_taken(everything, EdgeKind.DID_READ),
        could_read=_taken(spread(direct, seeds, as_of_ns), EdgeKind.MAY_READ),
        could_reach=_rows(everything),
    )


def _taken(found: Spread, kind: EdgeKind) -> tuple[Exposed, ...]:
    """Return a row for each target of edges of one kind."""
    rows = (
        Exposed(node, held.start_ns, held.start_ns, held.why())
        for (taken, node), held in found.taken.items()
        if taken is kind
    )
    return _sorted(rows)


def _rows(found: Spread) -> tuple[Exposed, ...]:
    """Return a row for each node held in clear or in part, all-of nodes excepted."""
    rows = []
    for node in {**found.in_clear, **found.in_part}:
        if kind_of(node) is NodeKind.ALL_OF:
            continue
        in_clear, in_part = found.in_clear.get(node), found.in_part.get(node)
        first = _earlier(in_clear, in_part)
        best = in_clear or first
        usable = in_clear.start_ns if in_clear else 0
        rows.append(Exposed(node, first.start_ns, usable, best.why()))
    return _sorted(rows)


def _earlier(one: Held | None, other: Held | None) -> Held:
    held = [each for each in (one, other) if each is not None]
    return min(held, key=lambda each: each.start_ns)


def _sorted(rows: Iterable[Exposed]) -> tuple[Exposed, ...]:
    return tuple(sorted(rows, key=lambda row: (row.exposed_ns, row.node)))


def _due_to(
    together: tuple[Exposed, ...], alone: tuple[Exposed, ...], without: tuple[Exposed, ...]
) -> tuple[Exposed, ...]:
    """Keep the rows that a case reaches alone, or that would be later or absent without it."""
    own = {row.node for row in alone}
    before = {row.node: (row.exposed_ns, row.in_clear_ns) for row in without}
    return tuple(
        row
        for row in together
        if row.node in own or before.get(row.node) != (row.exposed_ns, row.in_clear_ns)
    )
