"""The case file: the facts of one case, sorted out of the journal's entries for the checks.

The order of entries in the log, not the times in them, decides what came first: each entry has its
effective time here (core/evidence/order.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Generic, TypeVar, cast

import msgspec

from ironkeep.core.credential.connector import Probe
from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import Act, Activity, Maker, actors_of
from ironkeep.core.evidence.estate import Estate
from ironkeep.core.evidence.exposure import Exposed, Exposure, everybody, expose
from ironkeep.core.evidence.node import (
    CREDENTIALS,
    PRINCIPALS,
    NodeId,
    NodeKind,
    kind_of,
    node,
    parse_node,
)
from ironkeep.core.evidence.order import not_later, ordered, ran_back
from ironkeep.core.evidence.reach import FOREVER, Edge, EdgeKind, Graph, Seed, Spread, spread
from ironkeep.core.operation import Operation

R = TypeVar("R", bound=ev.Record)

_NODES: Final = ("principal", "version", "system", "consumer", "plane", "replacement")


@dataclass(frozen=True, slots=True)
class Filed(Generic[R]):
    """A record with the entry that carries it."""

    index: int
    entry: Entry
    record: R


@dataclass(slots=True)
class Case:
    """The recorded scope of one case; `from_ns` is T0, the earliest possible compromise.

    `subjects` have the index of the last record that named them.
    """

    from_ns: int = FOREVER
    subjects: dict[NodeId, int] = field(default_factory=dict)
    bases: list[str] = field(default_factory=list)
    opening: Filed[ev.Opened] | None = None


class CaseFile:
    """All records up to the verdict's time, sorted; raises IntegrityError on malformed records."""

    def __init__(self, evidence: ev.Evidence) -> None:
        self.name: Final = evidence.case
        self.as_of_ns: Final = evidence.as_of_ns
        self.evidence = evidence
        self.log = evidence.log
        stated = not_later(evidence.entries, evidence.as_of_ns)
        self.ran_back: Final = tuple(ran_back(stated))
        """(index, nanoseconds) where the clock ran back."""
        self.entries: Final = tuple(ordered(stated, evidence.as_of_ns))
        self.estate: Final = Estate()
        self.activity: Final = Activity()
        self.cases: Final[defaultdict[str, Case]] = defaultdict(Case)
        self._filed: Final[dict[type[ev.Record], list[Filed[ev.Record]]]] = {}
        self._about: Final[dict[tuple[type[ev.Record], str, str], list[Filed[ev.Record]]]] = {}
        for index, entry in self.entries:
            try:
                self._take(index, entry)
            except InvalidRequest as error:
                raise IntegrityError(f"entry {index}: {error}") from None

    def under(self, log: ev.LogFacts) -> "CaseFile":
        """Return this case file with what was found out about its log: the checks alone read it."""
        moved = copy(self)
        moved.evidence = msgspec.structs.replace(self.evidence, logs=(log,))
        moved.log = log
        return moved

    def filed(self, kind: type[R]) -> list[Filed[R]]:
        """Return the records of one type, in the order of the log."""
        return cast("list[Filed[R]]", self._filed.get(kind, []))

    def about(self, kind: type[R], version: str, system: str) -> list[Filed[R]]:
        """Return the records of one type on a version at a system, in the order of the log."""
        return cast("list[Filed[R]]", self._about.get((kind, version, system), []))

    @property
    def case(self) -> Case:
        """The recorded scope of the case that the verdict is about."""
        return self.cases[self.name]

    @cached_property
    def exposure(self) -> Exposure:
        """The exposure of the case: see core/evidence/exposure.py."""
        return expose(self._graph, self._seeds, self.name, self.as_of_ns, self._spread)

    @cached_property
    def held(self) -> frozenset[NodeId]:
        """Every node that may have been held, in clear or in part, in any of the cases."""
        return frozenset((*self._spread.in_clear, *self._spread.in_part))

    @cached_property
    def _spread(self) -> Spread:
        """The spread from the seeds of all cases."""
        return spread(self._graph, everybody(self._seeds, self.name), self.as_of_ns)

    @cached_property
    def _graph(self) -> Graph:
        edges = (*self.estate.edges(), *self.activity.edges(), *self._made())
        return Graph(edges, self.estate.needs, dict(self._closed()), dict(self._ended()))

    def _made(self) -> Iterator[Edge]:
        """Yield an edge to all that somebody made: factors of people, devices, secrets, logins."""
        for person, acts in self.activity.factors.items():
            for act in acts:
                # Removing a factor lets nobody in.
                if act.entry.op != Operation.DELETE:
                    yield from _edges(act.index, act.actors, person, act.entry.time_ns)
        for act, thing in (*self.activity.enrolments, *self.activity.writes):
            yield from _edges(act.index, act.actors, thing, act.entry.time_ns)
        for act, makers in self.activity.logins:
            issued, entity = act.entry.issued, act.entry.entity
            let_in = [node(NodeKind.SESSION, issued)] if issued else []
            let_in += [node(NodeKind.PERSON, entity)] if entity else []
            for maker in makers:
                if maker.node is not None and not self._reviewed(maker):
                    for target in let_in:
                        yield from _edges(act.index, (maker.node,), target, maker.acted_ns)

    def _reviewed(self, maker: Maker) -> bool:
        """Return whether what a maker set up was written again after the maker was contained.

        Until then the server lets nobody in by it; the person who writes it answers for it.
        """
        cuts = self._containments.get(maker.node or "", ())
        return any(maker.acted_ns <= cut.entry.time_ns < maker.written_ns for cut in cuts)

    @cached_property
    def _seeds(self) -> dict[str, list[Seed]]:
        return {
            name: [self._seed(each, case) for each in case.subjects]
            for name, case in self.cases.items()
        }

    @cached_property
    def rows(self) -> dict[NodeId, Exposed]:
        """The rows of the exposure by node."""
        return {row.node: row for row in self.exposure.could_reach}

    @cached_property
    def credentials(self) -> tuple[NodeId, ...]:
        """The exposed versions and shares: each must be revoked and proved dead."""
        return tuple(each for each in self.rows if kind_of(each) in CREDENTIALS)

    @cached_property
    def revoked(self) -> tuple[NodeId, ...]:
        """Those of the exposed credentials that were revoked: in a large case, few of them."""
        return tuple(each for each in self.credentials if each in self._revocations)

    @cached_property
    def principals(self) -> tuple[NodeId, ...]:
        """The exposed people, sessions and devices: each must be cut off."""
        return tuple(each for each in self.rows if kind_of(each) in PRINCIPALS)

    @cached_property
    def systems(self) -> tuple[NodeId, ...]:
        """The systems that exposed credentials open."""
        return tuple(each for each in self.rows if kind_of(each) is NodeKind.SYSTEM)

    def revocations(self, version: NodeId) -> list[Filed[ev.Revoked]]:
        """Return the revocations of a version, the last one last."""
        return self._revocations.get(version, [])

    def last_revocations(self, version: NodeId) -> list[Filed[ev.Revoked]]:
        """Return the last revocation of a version at each system."""
        last = {each.record.system: each for each in self.revocations(version)}
        return list(last.values())

    @cached_property
    def confirmations(self) -> dict[tuple[str, str], list[Filed[ev.Confirmed]]]:
        """The confirmations of statements, by the case and the name of the statement's entry."""
        found: dict[tuple[str, str], list[Filed[ev.Confirmed]]] = {}
        for each in self.filed(ev.Confirmed):
            for item in each.record.items:
                found.setdefault((each.record.case, item), []).append(each)
        return found

    def probes(self, version: NodeId, system: NodeId) -> list[Filed[ev.Probed]]:
        """Return the probes of a version at a verifier that began after its last revocation."""
        last = self.revocations(version)[-1:]
        return [
            each
            for each in self.about(ev.Probed, version, system)
            if last and each.index > last[0].index and each.record.at_ns >= last[0].record.done_ns
        ]

    def dead_ns(self, version: NodeId) -> int:
        """Return the instant since which all verifiers refuse a version; 0 if one may not."""
        since = 0
        for system in self.estate.verifiers(version):
            answers = self.answers(version, system)
            alive = any(each.record.state is Probe.ALIVE for each in self.probes(version, system))
            if alive or {each.record.state for each in answers} != {Probe.DEAD}:
                return 0
            if self.unasked(version, system):
                return 0
            since = max(since, *(each.entry.time_ns for each in answers))
        return since

    def answers(self, version: NodeId, system: NodeId) -> list[Filed[ev.Probed]]:
        """Return the last of these probes at each endpoint, because each verifies on its own."""
        last = {each.record.endpoint: each for each in self.probes(version, system)}
        return list(last.values())

    def unasked(self, version: NodeId, system: NodeId) -> list[str]:
        """Return the endpoints on record of a verifier that none of these probes has reached."""
        known = self.estate.addresses.get(system)
        asked = {of_name(each.record.endpoint) for each in self.probes(version, system)}
        return [each for each in (known.all() if known else ()) if each not in asked]

    @cached_property
    def last_revocation(self) -> dict[str, Filed[ev.Revoked]]:
        """The last revocation at each system."""
        return {each.record.system: each for each in self.filed(ev.Revoked)}

    @cached_property
    def last_ending(self) -> dict[str, Filed[ev.Ended]]:
        """The last time that sessions were ended at each system."""
        return {each.record.system: each for each in self.filed(ev.Ended)}

    @cached_property
    def last_containment(self) -> Filed[ev.Contained] | None:
        """The record that cut off the last exposed principal, if any was cut off."""
        cuts = [cut for cut in map(self.containment, self.principals) if cut is not None]
        return max(cuts, key=lambda cut: cut.index, default=None)

    def containment(self, principal: NodeId) -> Filed[ev.Contained] | None:
        """Return the record that contained a principal or ended this session.

        A containment from before T0 counts unless the principal was readmitted since. One counts
        no more if the principal was readmitted before it became a subject: it was lost again.
        """
        return self._cut(principal, self.case)

    def readmission(self, principal: NodeId) -> int | None:
        """Return the index of the entry that readmitted a principal after its containment."""
        return self._back_in(principal, self.containment(principal))

    def is_out(self, principal: NodeId, index: int) -> bool:
        """Return whether a principal is exposed and not readmitted before entry index."""
        readmitted = self.readmission(principal) if principal in self.rows else 0
        return readmitted is None or index < readmitted

    def escaped(self, principal: NodeId) -> Act | None:
        """Return the last act of a principal while contained and not readmitted."""
        return self._act_after(principal, self.containment(principal))

    def _cut(self, principal: NodeId, case: Case) -> Filed[ev.Contained] | None:
        # The first containment counts: a repeated one must not excuse the acts in between.
        back = self._readmissions.get(principal, [])
        named = case.subjects.get(principal, -1)
        before = max((index for index in back if index < named), default=-1)
        last = back[-1] if back else -1
        for cut in self._containments.get(principal, ()):
            counts = cut.entry.time_ns >= case.from_ns or cut.index > last
            if counts and cut.index > before:
                return cut
        return None

    def _back_in(self, principal: NodeId, cut: Filed[ev.Contained] | None) -> int | None:
        if cut is None:
            return None
        later = self._readmissions.get(principal, ())
        return next((index for index in later if index > cut.index), None)

    def _act_after(self, principal: NodeId, cut: Filed[ev.Contained] | None) -> Act | None:
        if cut is None:
            return None
        return self.activity.acted_in(principal, cut.index, self._back_in(principal, cut))

    @cached_property
    def _revocations(self) -> dict[str, list[Filed[ev.Revoked]]]:
        found: dict[str, list[Filed[ev.Revoked]]] = {}
        for each in self.filed(ev.Revoked):
            found.setdefault(each.record.version, []).append(each)
        return found

    @cached_property
    def _containments(self) -> dict[str, list[Filed[ev.Contained]]]:
        found: dict[str, list[Filed[ev.Contained]]] = {}
        for each in self.filed(ev.Contained):
            record = each.record
            ended = (node(NodeKind.SESSION, one) for one in (*record.sessions, *record.gone))
            for name in (record.principal, *ended):
                found.setdefault(name, []).append(each)
        return found

    @cached_property
    def _readmissions(self) -> dict[str, list[int]]:
        """The indexes of readmissions by principal, without those by the principal itself."""
        found: dict[str, list[int]] = {}
        for each in self.filed(ev.Readmitted):
            if each.record.principal not in actors_of(each.entry):
                found.setdefault(each.record.principal, []).append(each.index)
        return found

    def _seed(self, subject: NodeId, case: Case) -> Seed:
        """Return a subject with the time during which the attacker held it."""
        cut = self._cut(subject, case)
        # A leaked secret cannot be contained, and a principal that still acts is not contained.
        until = FOREVER if cut is None or self._act_after(subject, cut) else cut.entry.time_ns
        return Seed(subject, case.from_ns, until)

    def _closed(self) -> Iterable[tuple[NodeId, int]]:
        """Yield dead credentials and ended sessions, each with the time since when it is dead."""
        for version in self._revocations:
            dead = self.dead_ns(NodeId(version))
            if dead:
                yield NodeId(version), dead
        for name, cuts in self._containments.items():
            principal = NodeId(name)
            if kind_of(principal) is NodeKind.SESSION and not self._act_after(principal, cuts[0]):
                yield principal, cuts[0].entry.time_ns

    def _ended(self) -> Iterator[tuple[NodeId, tuple[int, ...]]]:
        """Yield people and devices with the times at which they were cut off for good."""
        for name, cuts in self._containments.items():
            principal = NodeId(name)
            if kind_of(principal) in {NodeKind.PERSON, NodeKind.DEVICE}:
                good = (cut for cut in cuts if not self._act_after(principal, cut))
                yield principal, tuple(cut.entry.time_ns for cut in good)

    def _take(self, index: int, entry: Entry) -> None:
        for read in self.activity.take(index, entry):
            self.estate.meet(read.version)
        if entry.kind != "request":
            actors_of(entry)  # raises InvalidRequest for a caller that is no node
        if entry.entity and entry.name:
            self.estate.names[node(NodeKind.PERSON, entry.entity)] = entry.name
        record = ev.record_of(entry)
        if record is None:
            return
        _check_nodes(record)
        filed: Filed[ev.Record] = Filed(index, entry, record)
        self._filed.setdefault(type(record), []).append(filed)
        pair = (type(record), getattr(record, "version", ""), getattr(record, "system", ""))
        self._about.setdefault(pair, []).append(filed)
        if isinstance(record, ev.Scope):
            self.estate.take(index, entry.time_ns, record)
        if isinstance(record, ev.Opened | ev.Widened):
            self._take_case(index, entry, record)

    def _take_case(self, index: int, entry: Entry, record: ev.Opened | ev.Widened) -> None:
        case = self.cases[record.case]
        case.from_ns = min(case.from_ns, record.from_ns)
        case.subjects.update(dict.fromkeys(map(parse_node, record.subjects), index))
        for subject in case.subjects:
            self.estate.meet(subject)
        case.bases.append(record.basis)
        if isinstance(record, ev.Opened) and case.opening is None:
            case.opening = Filed(index, entry, record)


def _edges(index: int, actors: Iterable[NodeId], made: NodeId, time_ns: int) -> Iterator[Edge]:
    """Yield an edge from each actor to what it made, which it did at one instant."""
    for actor in actors:
        if actor != made:
            yield Edge(actor, EdgeKind.MADE, made, time_ns, time_ns + 1, f"entry {index}")


def of_name(endpoint: str) -> str:
    """Return host:port of an endpoint, without the address of one of several of that name."""
    return endpoint.partition(" (")[0]


def _check_nodes(record: ev.Record) -> None:
    """Raise InvalidRequest if a field that must name a node does not."""
    for field_name in _NODES:
        value = getattr(record, field_name, None)
        if value or (value == "" and field_name == "principal"):
            parse_node(value)
