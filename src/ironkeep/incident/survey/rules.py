"""The policies of a principal as texts over time: one ruling for each distinct set of them.

Between two changes of a policy or of the person, the same tokens allow the same. Each such period
has a ruling, and periods with the same texts and the same person share one, so that it is asked
once of all paths.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, TypeVar

from ironkeep.core.policy.builtin import ROOT_POLICY_NAME
from ironkeep.core.policy.template import TemplateContext
from ironkeep.identity.entities import Entity
from ironkeep.incident.evidence.brief import Grant
from ironkeep.incident.evidence.readable import Holder, Ruling
from ironkeep.incident.survey.grants import Span, Timeline, joined, overlaps
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.effects import Steps, pause
from ironkeep.plugin.entries import MORE

T = TypeVar("T")

TEXTS_IN_A_TURN: Final = 8
RULINGS_IN_A_TURN: Final = 32

_NOBODY: Final[Timeline] = [(0, None)]
_ROOT: Final = Ruling(((ROOT_POLICY_NAME, 0),), (), Holder())


@dataclass(slots=True)
class Rules:
    """Texts of policies, rulings over them, and the periods in which each ruling was in force."""

    texts: list[str] = field(default_factory=lambda: [""])
    rulings: list[Ruling] = field(default_factory=list)
    periods: list[list[Span]] = field(default_factory=list)
    _texts: dict[str, int] = field(default_factory=lambda: {"": 0})
    _known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def text(self, text: str) -> int:
        """Return the number of a text."""
        number = self._texts.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number

    def add(self, ruling: Ruling, span: Span) -> None:
        """Add a period of a ruling."""
        aliases = tuple(sorted(map(repr, ruling.holder.aliases.items())))
        metadata = tuple(sorted(ruling.holder.metadata.items()))
        key = (ruling.own, ruling.extra, ruling.holder.id, ruling.holder.name, metadata, aliases)
        number = self._known.setdefault(key, len(self.rulings))
        if number == len(self.rulings):
            self.rulings.append(ruling)
            self.periods.append([])
        self.periods[number].append(span)


class Ruler:
    """Makes the rules of a survey."""

    def __init__(self, call: Call, from_ns: int, people: dict[str, Timeline]) -> None:
        self._call: Final = call
        self._house: Final[House] = call.use(House)
        self._from_ns: Final = from_ns
        self._people: Final = people
        self._said: Final[dict[str, list[tuple[int, int | None]]]] = {}
        self._rules: Final = Rules()

    def rules(self, grants: Iterable[Grant]) -> Steps[Rules]:
        """Return the rulings of grants, with the periods in which they were in force."""
        groups: dict[tuple[tuple[str, ...], str], list[Span]] = {}
        for each in grants:
            spans = groups.setdefault((each.policies, each.person), [])
            spans.append(Span(each.from_ns, each.until_ns))
        for (policies, person), spans in sorted(groups.items()):
            yield from self._group(policies, person, joined(spans))
            yield from pause()
        return self._rules

    def _group(self, policies: tuple[str, ...], person: str, spans: list[Span]) -> Steps[None]:
        window = Span(self._from_ns, 0)
        # An entry with MORE does not name all policies of its token: assume the widest access.
        if {ROOT_POLICY_NAME, MORE}.intersection(policies):
            for span in spans:
                for both in overlaps(span, window):
                    self._rules.add(_ROOT, both)
            return
        timeline = self._people.get(person, _NOBODY)
        extra = {name for _, known in timeline if known for name in known.policies}
        names = sorted({*policies, *extra})
        for name in names:
            yield from self._read(name)
        made = 0
        for period, moment in self._periods([timeline, *(self._said[name] for name in names)]):
            for both in (each for span in spans for each in overlaps(span, period, window)):
                known = _at(timeline, moment)
                if known is not None or not person:
                    self._rules.add(self._ruling(policies, known, moment), both)
                made += 1
                if made % RULINGS_IN_A_TURN == 0:
                    yield from pause()

    def _ruling(self, policies: tuple[str, ...], known: Entity | None, moment: int) -> Ruling:
        templates = TemplateContext() if known is None else known.templates
        extra = () if known is None else known.policies
        return Ruling(
            tuple(self._texts(policies, moment)),
            tuple(self._texts(extra, moment)),
            Holder.of(templates),
        )

    def _texts(self, names: Iterable[str], moment: int) -> Iterator[tuple[str, int]]:
        for name in names:
            number = _at(self._said[name], moment)
            if number is not None:
                yield name, number

    def _read(self, name: str) -> Steps[None]:
        """Read what a policy said since the start; each text may take a while to decrypt."""
        if name in self._said:
            return
        said: list[tuple[int, int | None]] = []
        changes = self._house.policies.texts_since(self._call.tx, name, self._from_ns)
        for number, (start, text) in enumerate(changes, start=1):
            said.append((start, self._rules.text(text) if text else None))
            if number % TEXTS_IN_A_TURN == 0:
                yield from pause()
        self._said[name] = said

    def _periods(
        self, changes: Iterable[Iterable[tuple[int, object]]]
    ) -> Iterator[tuple[Span, int]]:
        """Yield the periods between changes since the start, each with its first moment."""
        starts = {start for each in changes for start, _ in each}
        later = (each for each in starts if self._from_ns < each <= self._call.now_ns)
        moments = [self._from_ns, *sorted(later)]
        for start, end in zip(moments, [*moments[1:], 0], strict=True):
            yield Span(start, end), start


def _at(changes: list[tuple[int, T]], moment: int) -> T:
    """Return the value in force at a moment; the first one has always been."""
    return changes[max(bisect_right(changes, moment, key=itemgetter(0)) - 1, 0)][1]
