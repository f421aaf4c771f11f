"""A brief says of each principal what the case file says, and leaves out no token of theirs."""

import pytest

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.node import PRINCIPALS, NodeId, NodeKind, kind_of, node
from ironkeep.incident.evidence.brief import Brief, Grant, Trail, brief_of, decode, encode
from tests.support.incident.random_case import CASES, RandomCase
from tests.support.incident.sample_case import ALICE, CASE, SESSION, Line, at, request, sample_case

ROBOT = NodeId("session:robot-accessor")
SEEDS = range(80)


def made(*lines: Line) -> Brief:
    """Return the brief of the sample case with further lines."""
    return brief_of(CaseFile(sample_case().with_lines(*lines).evidence()))


def files(seed: int) -> list[CaseFile]:
    """Return the files of the cases of a random log."""
    whole = RandomCase(seed, 80).case().evidence(end=80)
    return [
        CaseFile(ev.Evidence(name, whole.as_of_ns, whole.logs, whole.entries)) for name in CASES
    ]


def tokens_of(file: CaseFile, principal: NodeId, ended: tuple[str, ...]) -> set[str]:
    """Return a principal's tokens, and those that they made, by looking at all acts repeatedly."""
    found = set(ended)
    while True:
        actors = {principal, *(node(NodeKind.SESSION, each) for each in found)}
        acts = [act for act in file.activity.all if not actors.isdisjoint(act.actors)]
        named = {each for act in acts for each in (act.entry.accessor, act.entry.issued) if each}
        if named <= found:
            return found
        found |= named


def followed(brief: Brief, principal: NodeId) -> set[str]:
    """Return a principal's tokens, and those that they made, by the trails."""
    found = set(brief.standings[principal].ended)
    pending = {principal, *(node(NodeKind.SESSION, each) for each in found)}
    while pending:
        fresh = set(brief.trails[pending.pop()].tokens) - found
        found |= fresh
        pending |= {node(NodeKind.SESSION, each) for each in fresh}
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_brief_agrees_with_the_case_file(seed: int) -> None:
    for file in files(seed):
        brief = decode(encode(brief_of(file)))
        assert (brief.case, brief.from_ns) == (file.name, file.case.from_ns)
        assert list(brief.exposed) == list(file.principals)
        assert list(brief.subjects) == list(file.case.subjects)
        assert {each for each in brief.subjects if kind_of(each) in PRINCIPALS} <= set(
            brief.standings
        )
        for each, standing in brief.standings.items():
            cut = file.containment(each)
            acted = cut is None or file.escaped(each) is not None
            assert standing.out_ns == (0 if cut is None or acted else cut.entry.time_ns)
            assert brief.is_barred(each) == (each in file.rows and file.readmission(each) is None)
            assert brief.label(each) == file.estate.label(each)
            assert followed(brief, each) == tokens_of(file, each, standing.ended)


def test_the_random_cases_are_not_trivial() -> None:
    briefs = [brief_of(file) for seed in SEEDS for file in files(seed)]
    standings = [each for brief in briefs for each in brief.standings.values()]
    assert sum(each.is_exposed for each in standings) > 100
    assert sum(each.is_exposed and not each.is_barred for each in standings) > 5
    assert sum(each.out_ns > 0 for each in standings) > 5
    assert sum(bool(each.ended) for each in standings) > 20


def test_the_grants_of_a_token_come_from_its_issue_or_else_from_the_rules_of_its_requests() -> None:
    issue = request(
        22, "login", "alice", op="update", issued="robot-accessor",
        audited={"token_policies": ["bench", "default"], "token_seconds": 60},
    )  # fmt: skip
    used = request(23, "use", "robot", entity="", rule="other:secret/*")
    brief = made(issue, used)
    assert "robot-accessor" in brief.trails[ALICE].tokens
    # A token that another one made may be of its maker's person, or of nobody.
    grants = tuple(
        Grant(("bench", "default"), person, at(22), at(82)) for person in ("", "alice-entity")
    )
    assert brief.trails[ROBOT] == Trail(("robot-accessor",), grants, True)
    unissued = made(request(22, "use", "alice", accessor="robot-accessor"), used)
    grants = (Grant(("other",), ""),)
    assert unissued.trails[ROBOT] == Trail(("robot-accessor",), grants)


def test_many_requests_of_one_token_leave_one_short_trail() -> None:
    few, many = (
        made(*(request(21, f"read {n}", "alice") for n in range(count))) for count in (2, 2_000)
    )
    assert encode(many) == encode(few)


def test_a_principal_that_is_not_in_the_case_is_neither_barred_nor_named() -> None:
    brief, stranger = made(), NodeId("person:somebody")
    assert not brief.is_barred(stranger)
    assert brief.label(stranger) == "person somebody"
    assert brief.label(NodeId("role:auth/approle/backup")) == "role auth/approle/backup"
    assert {ALICE, SESSION} <= set(brief.exposed)
    assert brief.case == CASE
