"""Both verifiers of a case that is almost proven, with statements, sweeps and acts that quarrel."""

from random import Random
from typing import Any, Final

import pytest

from ironkeep.core.evidence import records as ev
from tests.incident.verifier.test_second import compare
from tests.support.incident.sample_case import (
    ALICE,
    CASE,
    DATABASE,
    NEW,
    OLD,
    SESSION,
    Line,
    SampleCase,
    at,
    read_of,
    request,
    sample_case,
)  # fmt: skip

ITEMS: Final = ("role x", "role y", "key role app")
EXPOSED: Final = {"entity": "alice-entity", "accessor": "alice-accessor"}


def swept(
    seconds: int, added: tuple[str, ...], acting: tuple[str, ...] = (), host: str = ""
) -> Line:
    found = ev.Swept(CASE, DATABASE, "aa", "bb", at(seconds), added, (), (), acting, (), host)
    return Line(seconds, f"swept at {seconds}", found)


def explained(seconds: int, item: str) -> Line:
    record = ev.Explained(CASE, DATABASE, item, "carol", "ours")
    return Line(seconds, f"explained at {seconds}", record)


def waiver(seconds: int, item: str, **fields: Any) -> Line:
    record = ev.Exempted(CASE, item, "dora", "accepted", at(200))
    return Line(seconds, f"waiver at {seconds}", record, fields)


CASES: Final = {
    "a record by a person and a session, both exposed": sample_case().with_lines(
        Line(95, "alice's", ev.Residue(CASE, "w"), EXPOSED)
    ),
    "explanations by one, stated again in another order": sample_case().with_lines(
        swept(73, ("role x", "role y")),
        *(explained(s, item) for s, item in ((96, "role x"), (97, "role y"), (98, "role x"))),
    ).changed("confirmed", items=("entry:1",)),
    "an explanation from before a difference at a host that is not swept now": sample_case()
    .with_lines(
        swept(44, ("role x",), host="h1"),
        explained(45, "role x"),
        swept(46, ("role x",), host="h2"),
        swept(75, ("role x",), host="h1"),
    ),
    "an explained principal that acts and is not among the differences": sample_case().with_lines(
        swept(73, (), ("role x",)), explained(74, "role x")
    ),
    "an exemption of its own entry": sample_case().with_lines(
        waiver(95, ALICE, **EXPOSED, kind="request", op="update", path="secret/data/a"),
        Line(96, "two", ev.Confirmed(CASE, ()), {"entity": "another"}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_both_judge_alike(name: str) -> None:
    assert compare(CASES[name].evidence()) in {"NOT PROVEN", "DISPROVEN"}


class Quarrel:
    """Draws lines that spoil the sample, or try to mend what is spoilt."""

    def __init__(self, seed: int) -> None:
        self.random: Final = Random(seed)

    def case(self) -> SampleCase:
        """Return the sample without some lines, and with others."""
        case, pick = sample_case(), self.random
        dropped = pick.sample([line.name for line in case.lines], pick.choice((0, 0, 1, 2)))
        makers = (self._waiver, self._waiver, self._sweep, self._said, self._act)
        lines = (pick.choice(makers)(pick.randint(41, 100)) for _ in range(pick.randint(1, 10)))
        return case.without(*dropped).with_lines(*lines)

    def _who(self) -> dict[str, str]:
        names = ("responder-entity", "auditor-entity", "dora", "", "alice-entity")
        return {"entity": self.random.choice(names), "accessor": "some-accessor"}

    def _people(self) -> tuple[str, ...]:
        return self.random.choice(((), ("auditor-entity",), ("responder-entity",)))

    def _waiver(self, seconds: int) -> Line:
        pick = self.random
        items = (OLD, NEW, ALICE, DATABASE, SESSION, *(f"{DATABASE}#{each}" for each in ITEMS))
        item = pick.choice((*items, *items, f"entry:{pick.randrange(30)}", "log:window"))
        until = at(pick.choice((200, 200, 100, pick.randint(40, 110))))
        reason = pick.choice(("why", "why", " "))
        record = ev.Exempted(CASE, item, "dora", reason, until, self._people())
        return Line(seconds, f"waiver {pick.random()}", record, self._who())

    def _sweep(self, seconds: int) -> Line:
        pick = self.random
        host = pick.choice(("h1", "h2", ""))
        added, changed, removed, acting = (
            tuple(pick.sample(ITEMS, pick.choice((0, 0, 1, 2)))) for _ in range(4)
        )
        record = ev.Swept(
            CASE, DATABASE, "aa", "bb", at(seconds), added, changed, removed, acting, (), host
        )
        return Line(seconds, f"sweep {pick.random()}", record)

    def _said(self, seconds: int) -> Line:
        pick = self.random
        entries = tuple(f"entry:{pick.randrange(40)}" for _ in range(9))
        record = pick.choice((
            ev.Confirmed(CASE, (), self._people()),
            ev.Confirmed(CASE, entries, self._people()),
            ev.Explained(CASE, DATABASE, pick.choice(ITEMS), "carol", "why"),
            ev.Readmitted(CASE, ALICE, "owner", "reason", ()),
            ev.Contained(CASE, ALICE, ("alice-accessor",), (), 1),
            ev.Revoked(CASE, OLD, DATABASE, at(seconds), "m", "r", NEW, measured=False),
        ))  # fmt: skip
        return Line(seconds, f"said {pick.random()}", record, self._who())

    def _act(self, seconds: int) -> Line:
        pick = self.random
        path = pick.choice(("secret/data/orders/password", "sys/policies/acl/x"))
        return request(
            seconds, f"act {pick.random()}", pick.choice(("alice", "bob")), path=path,
            op=pick.choice(("read", "update")), released=pick.choice(((), read_of(1), read_of(2))),
            outcome=pick.choice(("ok", "ok", "pending")), rule="r:x",
        )  # fmt: skip


def compare_quarrels(seeds: range) -> None:
    for seed in seeds:
        case = Quarrel(seed).case()
        compare(case.evidence())
        compare(case.evidence(end=Random(seed).randint(42, 100)))


def test_both_judge_quarrels_alike() -> None:
    compare_quarrels(range(100))


@pytest.mark.slow
def test_both_judge_many_quarrels_alike() -> None:
    compare_quarrels(range(150, 2_000))
