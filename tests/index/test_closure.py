"""A verdict from the closed entries is that from the whole window, and from any set between."""

from random import Random

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.verdict import Outcome, decide
from ironkeep.index.closure import collect, wanted
from ironkeep.index.finder import Scan
from ironkeep.index.terms import release
from tests.support.incident.random_case import CASES, RandomCase, window
from tests.support.incident.sample_case import (
    CASE,
    MOUNT,
    UNPLACED,
    Line,
    at,
    read_of,
    request,
    sample_case,
)


def drawn(seed: int, start: int, lines: int = 60, end: int | None = None) -> list[ev.Evidence]:
    """Return the evidence of each case of a random log, whose window starts at an index."""
    case = RandomCase(seed, lines).case().with_facts(start=start)
    whole = case.evidence(end=lines if end is None else end)
    return [
        msgspec.structs.replace(whole, case=name, entries=window(whole, start)) for name in CASES
    ]


def before(evidence: ev.Evidence) -> ev.Evidence:
    """Return what is known without a query: the entries up to the first of the window."""
    first = evidence.log.start
    kept = tuple(each for each in evidence.entries if each[0] <= first)
    return msgspec.structs.replace(evidence, entries=kept)


def closed_of(whole: ev.Evidence) -> ev.Evidence:
    """Return the closed entries; the case file that has them follows from them."""
    steps = collect(before(whole), Scan(whole.entries, whole.log.size))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            file: CaseFile = end.value
            assert file.entries == CaseFile(file.evidence).entries
            return file.evidence


def check_same(whole: ev.Evidence) -> int:
    """Compare the verdicts; return how many entries the closed set leaves out."""
    closed = closed_of(whole)
    assert decide(closed) == decide(whole)
    left_out = len(whole.entries) - len(closed.entries)
    # A set between the two is as good, and asks for nothing more.
    rest = sorted({index for index, _ in whole.entries} - {index for index, _ in closed.entries})
    some = {*Random(7).sample(rest, len(rest) // 2), *(index for index, _ in closed.entries)}
    between = tuple(each for each in whole.entries if each[0] in some)
    middle = msgspec.structs.replace(whole, entries=between)
    assert decide(middle) == decide(whole)
    scan = Scan(whole.entries, whole.log.size)
    for term, bound in wanted(CaseFile(closed)).items():
        found = {index for index, _ in scan.find([term], whole.log.start, bound)}
        assert found <= {index for index, _ in closed.entries}
    return left_out


@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(10, 90))
def test_the_closed_entries_decide_as_the_whole_window(seed: int, start: int, end: int) -> None:
    for whole in drawn(seed, start, end=end):
        try:
            decide(whole)
        except IntegrityError:
            continue
        check_same(whole)


@pytest.mark.parametrize("seed", range(60))
def test_long_logs(seed: int) -> None:
    for whole in drawn(seed, 50, 250):
        check_same(whole)


def test_the_logs_are_not_trivial() -> None:
    """Many random cases expose something, and leave entries out of the closed set."""
    exposed = left_out = 0
    for seed in range(30):
        for whole in drawn(seed, 20, 120):
            exposed += len(decide(whole)[1].could_reach) > 2
            left_out += check_same(whole) > 5
    assert exposed > 20
    assert left_out > 20


def test_reads_by_strangers_are_left_out() -> None:
    busy = [
        request(second, f"busy {second}", f"robot{second % 7}", released=read_of(version))
        for second in range(22, 100)
        for version in (1, 2)
        if version == 1 or second > 50
    ]
    case = sample_case().with_lines(*busy)
    whole = case.evidence()
    closed = closed_of(whole)
    assert decide(closed) == decide(whole)
    assert decide(closed)[0].outcome is Outcome.PROVEN
    assert len(closed.entries) < len(whole.entries) - 100
    revoked = next(i for i, e in whole.entries if e.audited.get(ev.TAG) == "revoked")
    assert wanted(CaseFile(closed))[release(MOUNT, "orders/password", 2)] == revoked


def test_an_early_delivery_to_a_stranger_is_found() -> None:
    case = sample_case().with_lines(request(45, "early", "bob", released=read_of(2)))
    whole = case.evidence()
    check_same(whole)
    closed = closed_of(whole)
    items = {item.check for item in decide(closed)[0].open_items()}
    assert "delivered early" in items


def test_chains_of_tokens_are_followed() -> None:
    chain = [
        request(21, f"make {n}", f"t{n}", entity="", op="update", issued=f"t{n + 1}-accessor")
        for n in range(300)
    ]
    last = request(22, "read", "t300", entity="", released=read_of(1))
    first = request(21, "make", "alice", op="update", issued="t0-accessor")
    whole = sample_case().with_lines(first, *chain, last).evidence()
    check_same(whole)
    assert "session:t300-accessor" in CaseFile(whole).held


def test_acts_of_nobody_and_logins_of_exposed_sessions_are_found() -> None:
    nobody = request(44, "unwrapped", "", entity="", accessor="", released=read_of(9))
    login = request(21, "login", "", entity="", accessor="", op="update", issued="alice-accessor")
    whole = sample_case().with_lines(nobody, login).evidence()
    closed = closed_of(whole)
    assert decide(closed) == decide(whole)
    kept = [entry for _, entry in closed.entries]
    assert any(entry.issued for entry in kept)
    assert any(entry.released and not entry.accessor for entry in kept)


@pytest.mark.parametrize("worked", [False, True])
def test_what_a_session_did_that_nobody_knows_to_hold_is_found(worked: bool) -> None:
    given = {
        "op": "update",
        "rule": "open",
        "issued": "loose",
        "entity": "",
        "accessor": "",
        "audited": {"handed_out": True},
    }
    lines = [
        request(44, "unwrapped", "", **given),
        Line(45, "ended", ev.Contained(CASE, "session:loose", (), ("loose",), 0)),
    ]
    if worked:
        lines.append(request(47, "used", "", entity="", accessor="loose", released=()))
    whole = sample_case().with_lines(*lines).evidence()
    check_same(whole)
    items = {item.check for item in decide(closed_of(whole))[0].open_items()}
    assert ("unattributed record" in items) is worked


def test_the_issue_of_a_session_that_never_acted_is_found() -> None:
    login = request(21, "login", "", entity="", accessor="", op="update", issued="idle")
    widened = ev.Widened(*UNPLACED, CASE, ("session:idle",), at(20), "seen in a dump")
    whole = sample_case().with_lines(login, Line(43, "widened", widened)).evidence()
    check_same(whole)
    closed = closed_of(whole)
    assert "subject unknown" not in {item.check for item in decide(closed)[0].open_items()}
