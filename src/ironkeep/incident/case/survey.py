"""The survey: which stored secrets a principal could have read under the policies of the time.

The policies are those of the principal's tokens (`case/holdings`). Each policy text applies from
the time at which it was written. A mount that was moved counts as readable by each of its paths.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Final, TypeVar

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, name_of, secret_version
from ironkeep.core.evidence.reach import FOREVER, EdgeKind
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.policy.acl import Acl, compile_acl
from ironkeep.core.policy.builtin import DEFAULT_POLICY_NAME, ROOT_POLICY_NAME
from ironkeep.core.policy.policy import ROOT_POLICY, Policy, parse_policy
from ironkeep.core.policy.template import TemplateContext
from ironkeep.credentials.actor import actor_of
from ironkeep.credentials.listing import Kept
from ironkeep.credentials.scope import MAX_TARGETS
from ironkeep.identity import entities as identity
from ironkeep.identity.entities import Entity
from ironkeep.incident.case.naming import Names
from ironkeep.incident.evidence.brief import Brief
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.effects import Steps, pause
from ironkeep.plugin.entries import MORE
from ironkeep.plugin.mount import Mount

T = TypeVar("T")

IN_A_TURN: Final = 16
"""Secrets looked at in one turn, which takes a millisecond: thousands of them are looked at while
others wait for their reads."""
MORE_OF_IT: Final = 4
"""So many policies of the time, or versions, count as one more secret."""

SURVEYED: Final = frozenset({NodeKind.PERSON, NodeKind.SESSION})

WRITTEN_IN_A_TURN: Final = MAX_TARGETS
"""Targets of the records written in one turn: some 3 ms."""
RECORD: Final = 16
"""A record costs as much as so many targets, beside its own."""


class Survey:
    """Computes which secrets one principal could read since the start of the case."""

    def __init__(
        self,
        call: Call,
        brief: Brief,
        names: Names,
        principal: NodeId,
        policies: frozenset[str],
    ) -> None:
        self._call: Final = call
        self._house: Final[House] = call.use(House)
        self._names: Final = names
        self._principal: Final = principal
        self._case: Final = brief.case
        self._from_ns: Final = min(brief.from_ns, call.now_ns)
        person = kind_of(principal) is NodeKind.PERSON
        self._entity: Final = EntityId(name_of(principal)) if person else EntityId("")
        self._policies: Final = policies
        self.unknown: Final[list[str]] = []
        """Mounts in sealed segments, whose readable secrets are unknown."""

    def link(self, until_ns: int) -> Steps[int]:
        """Link every secret version that was readable until until_ns; return their number.

        until_ns 0 means that access continues. The work is spread over turns: root can read every
        secret of the vault. The turn in which it begins must not have written anything.
        """
        spans = yield from self._spans(until_ns)
        room = WRITTEN_IN_A_TURN
        for (start, end), targets in spans.items():
            for at in range(0, len(targets), MAX_TARGETS):
                some = targets[at : at + MAX_TARGETS]
                if room < RECORD + len(some):
                    yield from pause()
                    room = WRITTEN_IN_A_TURN
                self._write(start, end, some)
                room -= RECORD + len(some)
        self._conclude(until_ns)
        return len({target for targets in spans.values() for target in targets})

    def _spans(self, until_ns: int) -> Steps[dict[tuple[int, int], list[NodeId]]]:
        """Return the readable versions by the span of time in which they were readable.

        The span begins when reading was allowed, even where a version was written later: it could
        not be read before, and the versions of many keys then share one record.
        """
        acls = yield from self._acls()
        moments = [moment for moment, _ in acls]
        spans: dict[tuple[int, int], list[NodeId]] = {}
        ends = [*moments[1:], until_ns]
        room = IN_A_TURN
        for mount in self._known_mounts():
            past = self._house.mounts.past(self._call.tx, mount, self._from_ns)
            for kept in self._names.kept(mount):
                room -= 1 + (len(acls) + len(kept.versions)) // MORE_OF_IT
                if room < 0:
                    yield from pause()
                    room = IN_A_TURN
                paths = {_path_at(each, mount, kept) for each in past}
                allowed = list[bool]()
                for number, (_, acl) in enumerate(acls, start=1):
                    allowed.append(acl is not None and any(_reads(acl, path) for path in paths))
                    if number % IN_A_TURN == 0:
                        yield from pause()
                for span in _joined(moments, ends, allowed):
                    for served in kept.versions:
                        both = _overlap(span, (served.from_ns, served.until_ns))
                        version = secret_version(mount.uuid, kept.path, served.number)
                        if both is not None:
                            spans.setdefault((span[0], both[1]), []).append(version)
        return spans

    def _known_mounts(self) -> Iterable[Mount]:
        """Yield the mounts whose contents are known, and collect the others in `unknown`."""
        for mount in self._names.mounts():
            if self._names.is_sealed(mount):
                self.unknown.append(mount.path)
            else:
                yield mount

    def _conclude(self, until_ns: int) -> None:
        """Journal that the survey is complete.

        If the contents of a mount are unknown, journal nothing, so that the claim stays open.
        """
        if self.unknown:
            return
        record = ev.Surveyed(
            self._case,
            self._principal,
            self._from_ns,
            until_ns or self._call.now_ns,
            tuple(sorted(self._policies)),
        )
        self._house.scope.note(record, self._call.now_ns, actor_of(self._call))

    def _write(self, start: int, end: int, targets: list[NodeId]) -> None:
        names = ", ".join(sorted(self._policies)[:8])
        basis = f"policies of that time: {names}"
        record = ev.Linked(
            *ev.UNPLACED, self._principal, EdgeKind.MAY_READ, tuple(targets), start, basis, end
        )
        self._house.scope.write(record, self._call.now_ns, actor_of(self._call))

    def _acls(self) -> Steps[list[tuple[int, Acl | None]]]:
        """Return the ACL at the start, and at each later instant at which it changed.

        A policy may have been written thousands of times, and each text takes some milliseconds to
        parse and as many to compile: a turn each.
        """
        tx, house = self._call.tx, self._house
        people: list[tuple[int, Entity | None]] = [(0, None)]
        if self._entity:
            starts = house.history.since(tx, identity.KIND, self._entity, self._from_ns)
            people += [(at, house.identity.at(tx, self._entity, at)) for at, _ in starts]
        names = {*self._policies, DEFAULT_POLICY_NAME}
        names.update(*(person.policies for _, person in people if person is not None))
        said: dict[str, list[tuple[int, Policy | None]]] = {}
        for name in sorted(names):
            parsed: dict[str, Policy] = {}
            for start, text in house.policies.texts_since(tx, name, self._from_ns):
                if text and text not in parsed:
                    parsed[text] = parse_policy(name, text)
                    yield from pause()
                said.setdefault(name, []).append((start, parsed[text] if text else None))
        found: list[tuple[int, Acl | None]] = []
        for moment in self._moments(people, *said.values()):
            at = {name: _at(each, moment) for name, each in said.items()}
            found.append((moment, self._acl(_at(people, moment), at)))
            yield from pause()
        return found

    def _moments(self, *changes: Iterable[tuple[int, object]]) -> list[int]:
        """Return the start, and the later instants of changes up to now."""
        starts = {start for each in changes for start, _ in each}
        later = (each for each in starts if self._from_ns < each <= self._call.now_ns)
        return [self._from_ns, *sorted(later)]

    def _acl(self, person: Entity | None, said: Mapping[str, Policy | None]) -> Acl | None:
        """Return the principal's ACL under some policies; None if it granted nothing."""
        names = self._policies | set(person.policies if person else ())
        # An entry with MORE does not name all policies of its token: assume the widest access.
        if names & {ROOT_POLICY_NAME, MORE}:
            return compile_acl([ROOT_POLICY], TemplateContext())
        found = (said[name] for name in sorted(names | {DEFAULT_POLICY_NAME}))
        parsed = [each for each in found if each is not None]
        try:
            return compile_acl(parsed, person.templates if person else TemplateContext())
        except (InvalidRequest, PermissionDenied):
            # A template value was not allowed in a path, so the token was refused everything.
            return None


def _at(changes: list[tuple[int, T]], moment: int) -> T:
    """Return the value in force at a moment; the first one has always been."""
    return changes[bisect_right(changes, moment, key=itemgetter(0)) - 1][1]


def _path_at(past: Mount, mount: Mount, kept: Kept) -> str:
    """Return the API path that read a secret of a mount as it was in the past.

    A mount can have had another path, and other routes before it was upgraded to versions.
    """
    same = past.options.get("version") == mount.options.get("version")
    return past.path + (kept.read if same else kept.path)


def _reads(acl: Acl, path: str) -> bool:
    decision = acl.decide(path, Operation.READ)
    return decision.allowed or decision.depends_on_data


def _joined(starts: list[int], ends: list[int], allowed: list[bool]) -> Iterable[tuple[int, int]]:
    """Return the spans in which access was allowed, merging neighbours; end 0 means open."""
    spans: list[tuple[int, int]] = []
    for start, end, yes in zip(starts, ends, allowed, strict=True):
        if yes and spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], end)
        elif yes:
            spans.append((start, end))
    return spans


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int] | None:
    """Return the overlap of two spans, or None; end 0 means open."""
    start = max(one[0], other[0])
    end = min(one[1] or FOREVER, other[1] or FOREVER)
    return (start, 0 if end == FOREVER else end) if start < end else None
