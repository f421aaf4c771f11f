"""The survey: which secrets a principal could have read in the window of a case.

It is asked of what stood then: the principal's tokens and every login that was possible (`grants`),
the policies of each moment (`rules`), and the secrets of each moment (`catalogue`). A process
beside the server decides which paths each distinct set of policies allowed (`readable`); the names
go to it some thousands at a time.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, name_of, secret_version
from ironkeep.core.evidence.reach import FOREVER, EdgeKind
from ironkeep.core.ids import MountUuid
from ironkeep.core.units import SECOND_NS
from ironkeep.credentials.actor import actor_of
from ironkeep.credentials.gone.spans import Span as Served
from ironkeep.credentials.scope import MAX_TARGETS
from ironkeep.incident.evidence.brief import Brief, Grant
from ironkeep.incident.survey.catalogue import Catalogue, Listed
from ironkeep.incident.survey.grants import Logins, Span, Timeline, joined, overlaps
from ironkeep.incident.survey.holdings import Holdings
from ironkeep.incident.survey.rules import Ruler, Rules
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.effects import Steps, pause
from ironkeep.plugin.effects.questions import question_of
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Stood
from ironkeep.store.reserved import MOUNTS

SURVEYED: Final = frozenset({NodeKind.PERSON, NodeKind.SESSION})

PATHS: Final = 4_096
"""Paths in one question to the worker: some 300 KB."""
RULINGS: Final = 64
"""Rulings in one question; a set of policies that changed thousands of times takes several."""
MAX_TEXT: Final = 1 << 20
"""Characters of policies in one question, beyond the first ruling's."""

LOADED_IN_A_TURN: Final = 24
"""Secrets whose versions are read in one turn, some 40 us each."""
MAX_NUMBERS: Final = 1_000
"""Versions that one span may name; a secret that had more removed at once is named as a whole."""
MAX_UNKNOWN: Final = 100
"""Things that are named as not known, beside a count of the others."""
ENDS: Final = 64
"""Distinct ends of the spans of one beginning; each takes records of its own. Versions that were
removed at more times than these count as readable until the next of them."""

WRITTEN_IN_A_TURN: Final = MAX_TARGETS
"""Targets of the records written in one turn: some 3 ms."""
RECORD: Final = 16
"""A record costs as much as so many targets, beside its own."""

Found = dict[Span, dict[NodeId, None]]
"""Readable versions by the span of time in which they were readable."""


class Survey:
    """Computes which secrets one principal could read since the start of the case."""

    def __init__(self, call: Call, brief: Brief, principal: NodeId, held: Holdings) -> None:
        self._call: Final = call
        self._house: Final[House] = call.use(House)
        self._principal: Final = principal
        self._case: Final = brief.case
        self._from_ns: Final = min(brief.from_ns, call.now_ns)
        self._held: Final = held
        self._policies: Final[set[str]] = set()
        self._catalogue: Final = Catalogue(call, self._from_ns)
        self._spans: Final[dict[tuple[int, Span], list[Span]]] = {}
        self._gone: Final[dict[MountUuid, Mount]] = {}
        self._seen: Final[set[NodeId]] = set()
        self.unknown: Final[list[str]] = []
        """What could not be worked out, in words."""

    def link(self, until_ns: int) -> Steps[int]:
        """Link every secret version that was readable until until_ns; return their number.

        until_ns 0 means that access continues. The work is spread over turns: root can read every
        secret of the vault. The turn in which it begins must not have written anything.
        """
        rules = yield from self._rules()
        found = yield from self._found(rules, Span(self._from_ns, until_ns))
        for mount in self._gone.values():
            self._house.scope.mounted(mount, self._call.now_ns)
        room = WRITTEN_IN_A_TURN
        for span, targets in _coarser(found):
            for at in range(0, len(targets), MAX_TARGETS):
                some = targets[at : at + MAX_TARGETS]
                if room < RECORD + len(some):
                    yield from pause()
                    room = WRITTEN_IN_A_TURN
                self._write(span, some)
                room -= RECORD + len(some)
        self._conclude(until_ns)
        return len(self._seen)

    def _rules(self) -> Steps[Rules]:
        """Return the rules by which the principal's tokens, and possible logins, could read."""
        logins = Logins(self._call, self._from_ns)
        grants = set(self._held.grants)
        if kind_of(self._principal) is NodeKind.PERSON:
            own = logins.timeline(name_of(self._principal))
            grants |= yield from logins.grants(own)
            grants |= yield from self._earlier()
        people: dict[str, Timeline] = {}
        for person in sorted({each.person for each in grants} - {""}):
            people[person] = logins.timeline(person)
            yield from pause()
        self._policies.update(name for each in grants for name in each.policies)
        for accessor in self._held.unknown:
            self.unknown.append(
                f"the policies of token {accessor}: no record has what it was issued with"
            )
        self.unknown.extend(logins.unknown)
        return (yield from Ruler(self._call, self._from_ns, people).rules(grants))

    def _earlier(self) -> Steps[set[Grant]]:
        """Return the grants of tokens that a person was issued shortly before the window.

        They may be gone, and have done nothing in the window in which they were good. No token of a
        login lives longer than the limits of its mount, unless it is renewed, which is an act.
        """
        mounts = self._house.mounts.table(self._house.store(self._call.tx, MOUNTS)).by_path
        longest = [int(mount.config.get("max_lease_ttl") or 0) for mount in mounts.values()]
        seconds = max(self._house.settings.max_ttl_seconds, *longest)
        about = {
            "person": str(self._principal),
            "from_ns": max(0, self._from_ns - seconds * SECOND_NS),
            "until_ns": self._from_ns,
        }
        _, answer = yield question_of(self._call, "issued", about)
        if not answer["complete"]:
            self.unknown.append("tokens issued before the window: the journal has too many entries")
        return {msgspec.convert(each, Grant) for each in answer["grants"]}

    def _found(self, rules: Rules, window: Span) -> Steps[Found]:
        """Return the readable versions."""
        found: Found = {}
        some: list[tuple[Listed, Stood]] = []
        for listed in self._catalogue.every():
            if listed is None:
                yield from pause()
                continue
            some += [(listed, stood) for stood in listed.stood]
            if len(some) >= PATHS:
                yield from self._take(rules, some, window, found)
                some = []
        if some:
            yield from self._take(rules, some, window, found)
        self.unknown.extend(self._catalogue.unknown)
        return found

    def _take(
        self, rules: Rules, some: list[tuple[Listed, Stood]], window: Span, found: Found
    ) -> Steps[None]:
        """Add the readable versions of some secrets, each in one state of its mount."""
        paths = tuple(listed.api_path(stood) for listed, stood in some)
        masks = yield from self._ask(rules, paths)
        loaded = 0
        for (listed, stood), mask in zip(some, masks, strict=True):
            spans = self._spans_of(rules, mask, stood, window) if mask else []
            if not spans:
                continue
            last = listed.stood[-1]
            if last.until_ns:
                # A case records the paths of the mounts that stand when it is opened.
                self._gone[listed.uuid] = last.mount
            loaded += 1
            if loaded % LOADED_IN_A_TURN == 0:
                yield from pause()
            for served in self._catalogue.served(listed):
                for span in spans:
                    for both in overlaps(span, Span(served.from_ns, served.until_ns)):
                        # It begins when reading was allowed, even where a version was written
                        # later: the versions of many keys then share one record.
                        versions = found.setdefault(Span(span.from_ns, both.until_ns), {})
                        fresh = dict(self._versions(listed, served))
                        versions |= fresh
                        self._seen.update(fresh)

    def _versions(self, listed: Listed, served: Served) -> Iterator[tuple[NodeId, None]]:
        if served.last - served.first >= MAX_NUMBERS:
            self.unknown.append(
                f"versions {served.first} to {served.last} of {listed.stood[-1].mount.path}"
                f"{listed.path} were readable: they are too many to list one by one"
            )
            return
        for number in range(served.first, served.last + 1):
            yield secret_version(listed.uuid, listed.path, number), None

    def _spans_of(self, rules: Rules, mask: int, stood: Stood, window: Span) -> list[Span]:
        """Return the time in which any ruling of a mask was in force and the mount stood so."""
        key = (mask, Span(stood.from_ns, stood.until_ns))
        known = self._spans.get(key)
        if known is None:
            bits = [number for number in range(mask.bit_length()) if mask >> number & 1]
            spans = (span for number in bits for span in rules.periods[number])
            of = Span(stood.from_ns, stood.until_ns)
            inside = (both for span in spans for both in overlaps(span, of, window))
            known = self._spans[key] = joined(inside)
        return known

    def _ask(self, rules: Rules, paths: tuple[str, ...]) -> Steps[list[int]]:
        """Return, for each path, the rulings that allow it as a mask."""
        masks = [0] * len(paths)
        for first, last in _parts(rules):
            numbers: dict[int, int] = {}
            rulings = []
            for ruling in rules.rulings[first:last]:
                own, extra = (
                    tuple((name, numbers.setdefault(at, len(numbers))) for name, at in said)
                    for said in (ruling.own, ruling.extra)
                )
                rulings.append((own, extra, _plain(ruling.holder)))
            texts = tuple(rules.texts[at] for at in numbers)
            about = {"texts": texts, "rulings": rulings, "paths": paths}
            _, answer = yield question_of(self._call, "readable", about)
            values = [int.from_bytes(mask, "little") << first for mask in answer["masks"]]
            masks = [mask | values[at] for mask, at in zip(masks, answer["which"], strict=True)]
            yield from pause()
        return masks

    def _conclude(self, until_ns: int) -> None:
        """Journal that the survey is complete, and what it could not work out."""
        words = list(dict.fromkeys(self.unknown))
        if len(words) > MAX_UNKNOWN:
            more = len(words) - MAX_UNKNOWN
            words = [*words[:MAX_UNKNOWN], f"{more} more of these"]
        record = ev.Surveyed(
            self._case,
            self._principal,
            self._from_ns,
            until_ns or self._call.now_ns,
            tuple(sorted(self._policies)),
            tuple(words),
        )
        self._house.scope.note(record, self._call.now_ns, actor_of(self._call))

    def _write(self, span: Span, targets: list[NodeId]) -> None:
        names = ", ".join(sorted(self._policies)[:8])
        basis = f"policies of that time: {names}"
        start, end = span
        record = ev.Linked(
            *ev.UNPLACED, self._principal, EdgeKind.MAY_READ, tuple(targets), start, basis, end
        )
        self._house.scope.write(record, self._call.now_ns, actor_of(self._call))


def _parts(rules: Rules) -> Iterator[tuple[int, int]]:
    """Yield [first, last) of the rulings in each question."""
    first, texts = 0, set[int]()
    for number, ruling in enumerate(rules.rulings):
        fresh = texts.union(at for _, at in (*ruling.own, *ruling.extra))
        size = sum(len(rules.texts[at]) for at in fresh)
        if number > first and (number - first >= RULINGS or size > MAX_TEXT):
            yield first, number
            first, fresh = number, {at for _, at in (*ruling.own, *ruling.extra)}
        texts = fresh
    if first < len(rules.rulings):
        yield first, len(rules.rulings)


def _plain(holder: Any) -> Any:
    return (holder.id, holder.name, holder.metadata, holder.aliases)


def _coarser(found: Found) -> Iterator[tuple[Span, list[NodeId]]]:
    """Yield the versions by span, with at most ENDS spans of each beginning."""
    starts: dict[int, list[int]] = {}
    for span in found:
        starts.setdefault(span.from_ns, []).append(span.until_ns or FOREVER)
    for start, ends in starts.items():
        ends.sort()
        width = -(-len(ends) // ENDS)
        for at in range(0, len(ends), width):
            some = ends[at : at + width]
            first, *others = (found[Span(start, 0 if end == FOREVER else end)] for end in some)
            for targets in others:
                first |= targets
            yield Span(start, 0 if some[-1] == FOREVER else some[-1]), list(first)
