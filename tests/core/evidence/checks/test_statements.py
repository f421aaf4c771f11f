"""Statements of people: one person's word closes nothing, and two close it."""

from typing import Any

import pytest

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.checks.table import CHECKS
from ironkeep.core.evidence.claim import ClaimId, Status
from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.evidence.sworn import Basis
from ironkeep.core.evidence.verdict import Outcome, Verdict, decide
from tests.support.incident.sample_case import (
    ALICE,
    CASE,
    DATABASE,
    END_AT,
    OLD,
    UNPLACED,
    Line,
    SampleCase,
    at,
    request,
    sample_case,
)  # fmt: skip

WAIVER = ev.Exempted(CASE, OLD, "dora", "the partner rotates on Monday", at(END_AT + 1))


def verdict_of(case: SampleCase) -> Verdict:
    return decide(case.evidence())[0]


def checks(case: SampleCase) -> set[str]:
    return {item.check for item in verdict_of(case).open_items()}


def confirmed(seconds: int, who: str, **values: Any) -> Line:
    """Return a confirmation of all statements of the case by somebody."""
    record = ev.Confirmed(CASE, (), **values)
    return Line(seconds, f"confirmed by {who}", record, {"entity": who, "accessor": f"{who}-token"})


def unconfirmed() -> SampleCase:
    """Return the sample with only the given statements left to confirm."""
    return sample_case().without("confirmed")


def place_of(case: SampleCase, name: str) -> str:
    """Return the entry of a line, as a confirmation names it."""
    return f"entry:{[line.name for line in case.placed().lines].index(name)}"


def all_but(case: SampleCase, name: str) -> SampleCase:
    """Return a case in which everything but one line is confirmed."""
    left = place_of(case, name)
    rest = (f"entry:{number}" for number in range(len(case.lines)))
    return case.changed("confirmed", items=tuple(each for each in rest if each != left))


def by_word() -> SampleCase:
    return sample_case().changed("revoked", measured=False)


SPOILS: dict[str, tuple[SampleCase, str]] = {
    "revocation sworn by one": (by_word(), "revoked"),
    "explanation sworn by one": (sample_case(), "explained"),
    "root check sworn by one": (sample_case(), "root:policies"),
}
"""For each check: a case, and the one statement in it that is not confirmed."""


def spoilt(name: str) -> SampleCase:
    return all_but(*SPOILS[name])


@pytest.mark.parametrize("name", SPOILS)
def test_one_person_alone_is_named(name: str) -> None:
    verdict = verdict_of(spoilt(name))
    assert verdict.outcome is Outcome.NOT_PROVEN
    (item,) = verdict.open_items()
    assert (item.check, item.subject) == (name, place_of(*SPOILS[name]))
    assert item.words.startswith("only person responder-entity states ")


@pytest.mark.parametrize("name", SPOILS)
def test_without_its_check_one_person_alone_would_do(name: str) -> None:
    rest = [check for check in CHECKS if check.name != name]
    verdict, _ = decide(spoilt(name).evidence(), rest)
    assert verdict.open_items() == ()
    assert verdict.outcome is Outcome.PROVEN


def test_a_revocation_of_another_case_counts_once_confirmed_there() -> None:
    elsewhere = by_word().changed("revoked", case="8").without("confirmed")
    named = (place_of(elsewhere, "revoked"),)
    rest = confirmed(100, "auditor")
    assert checks(elsewhere.with_lines(rest)) == {"revocation sworn by one"}
    words = [item.words for item in verdict_of(elsewhere.with_lines(rest)).open_items()]
    assert "has to confirm it in case 8" in words[0]
    there = Line(99, "there", ev.Confirmed("8", named), {"entity": "auditor"})
    assert verdict_of(elsewhere.with_lines(there, rest)).outcome is Outcome.PROVEN


def test_a_measured_credential_and_one_sworn_by_two_are_told_apart() -> None:
    measured = verdict_of(sample_case())
    assert [each.basis for each in measured.credentials] == [Basis.MEASURED]
    assert (measured.tally.measured, measured.tally.sworn) == (1, 0)
    sworn = verdict_of(by_word())
    assert sworn.outcome is Outcome.PROVEN
    assert [each.basis for each in sworn.credentials] == [Basis.SWORN]
    assert sworn.credentials[0].measurable
    assert (sworn.tally.measured, sworn.tally.sworn) == (0, 1)


def test_a_credential_that_one_person_vouches_for_is_open() -> None:
    verdict = verdict_of(spoilt("revocation sworn by one"))
    assert (verdict.tally.open, verdict.tally.sworn) == (1, 0)


def test_a_claim_names_the_entries_that_are_a_persons_word() -> None:
    claims = {claim.id: claim for claim in verdict_of(sample_case()).claims}
    assert (
        len(claims[ClaimId.ROOT].sworn) == len(ev.ROOT_ITEMS) == len(claims[ClaimId.ROOT].entries)
    )
    assert claims[ClaimId.REVOKED].sworn == ()
    assert claims[ClaimId.REVOKED].entries != ()
    assert len(claims[ClaimId.PERSISTENCE].sworn) == 1


@pytest.mark.parametrize(
    "line",
    [
        confirmed(100, "responder-entity"),
        confirmed(100, "another", people=("responder-entity",)),
        confirmed(100, "another", people=("alice-entity",)),
        confirmed(100, "alice-entity"),
        confirmed(100, ""),
        confirmed(79, "auditor"),
        Line(100, "another case", ev.Confirmed("8", ()), {"entity": "auditor"}),
    ],
    ids=["the same", "by a token of the same", "by a token of somebody exposed", "exposed",
         "nobody", "before it was stated", "of another case"],
)  # fmt: skip
def test_a_confirmation_that_does_not_count(line: Line) -> None:
    case = unconfirmed().with_lines(line)
    assert "root check sworn by one" in checks(case)


def test_a_statement_by_somebody_exposed_takes_two_others() -> None:
    waiver = Line(95, "waiver", WAIVER, {"entity": "alice-entity"})
    case = sample_case().without("probed").with_lines(waiver)
    assert verdict_of(case).exemptions == ()


def test_a_statement_of_nobody_takes_two_people() -> None:
    nobody = {"entity": "", "accessor": "root-token"}
    waiver = Line(95, "waiver", WAIVER, nobody)
    case = sample_case().without("probed").with_lines(waiver)
    assert verdict_of(case).exemptions == ()
    more = case.with_lines(confirmed(100, "third"))
    assert verdict_of(more).outcome is Outcome.EXCEPTIONS


def test_a_later_explanation_by_one_replaces_one_by_two() -> None:
    again = Line(99, "again", ev.Explained(CASE, DATABASE, "key role app", "carol", "no, mine"))
    case = sample_case().with_lines(again)
    assert verdict_of(case).outcome is Outcome.PROVEN
    assert "explanation sworn by one" in checks(all_but(case, "again"))


def test_with_an_exemption_the_verdict_is_one_with_exceptions() -> None:
    waiver = Line(95, "waiver", WAIVER)
    verdict = verdict_of(sample_case().without("probed").with_lines(waiver))
    assert verdict.outcome is Outcome.EXCEPTIONS
    assert {claim.status for claim in verdict.claims} == {Status.CLOSED}
    assert [each.basis for each in verdict.credentials] == [Basis.EXEMPT]
    assert (verdict.tally.exempt, verdict.tally.until_ns) == (1, at(END_AT + 1))
    refused = next(claim for claim in verdict.claims if claim.id is ClaimId.REFUSED)
    assert refused.exempt == 1


def test_an_exemption_in_force_counts_until_it_ends_even_if_nothing_needs_it() -> None:
    case = sample_case().with_lines(Line(95, "waiver", WAIVER))
    verdict = verdict_of(case)
    assert verdict.outcome is Outcome.EXCEPTIONS
    assert [each.words for each in verdict.exemptions] == ["nothing is open there now"]
    assert [each.basis for each in verdict.credentials] == [Basis.MEASURED]
    assert (verdict.tally.measured, verdict.tally.exempt, verdict.tally.waived) == (1, 0, 1)
    ends = ev.Exempted(CASE, OLD, "dora", "not needed any more", at(97))
    ended = verdict_of(case.with_lines(Line(96, "ends", ends)))
    assert (ended.outcome, ended.exemptions) == (Outcome.PROVEN, ())


def test_an_exemption_by_one_is_without_effect_and_named() -> None:
    waiver = Line(99, "waiver", WAIVER)
    case = sample_case().without("probed").with_lines(waiver)
    verdict = verdict_of(all_but(case, "waiver"))
    assert checks(all_but(case, "waiver")) == checks(sample_case().without("probed"))
    (waits,) = verdict.waiting
    assert (f"entry:{waits.entry}", waits.item) == (place_of(case, "waiver"), OLD)
    assert waits.words.startswith("only person responder-entity states ")
    assert (verdict.exemptions, verdict.tally.exempt) == ((), 0)


def test_an_exemption_by_one_of_what_is_closed_changes_nothing() -> None:
    verdict = verdict_of(all_but(sample_case().with_lines(Line(99, "waiver", WAIVER)), "waiver"))
    assert (verdict.outcome, verdict.waiting) == (Outcome.PROVEN, ())


def test_an_exemption_by_one_that_would_cover_nothing_does_not_wait() -> None:
    """A second person would confirm it in vain: what has failed takes no exemption."""
    case = sample_case().changed("watched", successes=1).with_lines(Line(99, "waiver", WAIVER))
    verdict = verdict_of(all_but(case, "waiver"))
    assert (verdict.outcome, verdict.waiting) == (Outcome.DISPROVEN, ())


def test_an_exemption_of_something_else_is_counted_apart() -> None:
    gap = f"{DATABASE}#pg_authid"
    waiver = ev.Exempted(CASE, gap, "dora", "looked at by hand", at(END_AT + 9))
    case = sample_case().changed("swept", gaps=("pg_authid",))
    verdict = verdict_of(case.with_lines(Line(95, "waiver", waiver)))
    assert verdict.outcome is Outcome.EXCEPTIONS
    assert (verdict.tally.measured, verdict.tally.exempt, verdict.tally.waived) == (1, 0, 1)


def test_a_person_let_in_again_may_vouch() -> None:
    back = Line(93, "back", ev.Readmitted(CASE, ALICE, "dora", "new laptop"))
    login = request(94, "login", "", path="auth/userpass/login/alice", issued="alice-third")
    case = unconfirmed().with_lines(back, login, confirmed(100, "alice-entity"))
    assert "root check sworn by one" not in checks(case)


def test_a_link_does_not_make_a_person_two() -> None:
    """Somebody whom an exposed person holds is exposed, and counts for nobody."""
    held = ev.Linked(*UNPLACED, ALICE, EdgeKind.HOLDS, ("person:second",), at(0), "made by her")
    case = unconfirmed().with_lines(Line(5, "held", held), confirmed(100, "second"))
    assert "root check sworn by one" in checks(case)
