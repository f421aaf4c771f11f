"""Ways to a PROVEN that would be false, tried on the verdict with what a log could hold."""

import msgspec
import pytest

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import secret_version
from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.evidence.verdict import Outcome, Verdict, decide
from tests.support.incident.sample_case import (
    ALICE,
    BREACH_AT,
    CASE,
    DATABASE,
    MOUNT,
    OLD,
    UNPLACED,
    Line,
    SampleCase,
    at,
    read_of,
    request,
    sample_case,
)

SECOND = "8"


def checks(verdict: Verdict) -> set[tuple[str, str]]:
    return {(item.check, item.subject) for item in verdict.open_items()}


def second_case(*, start: int, opened: int, **contained: int) -> SampleCase:
    """The sample, after which Alice is let in again, reads another secret, and is lost again."""
    basis = "the new laptop was stolen"
    lines = [
        Line(101, "back", ev.Readmitted(CASE, ALICE, "dora", "new laptop")),
        request(120, "another", "alice", accessor="alice-third", released=read_of(1, path="other")),
        Line(opened, "lost", ev.Opened(*UNPLACED, SECOND, "again", (ALICE,), at(start), basis)),
        Line(131, "residue 8", ev.Residue(SECOND, "what was seen stays seen")),
        *(
            Line(132, f"{item} 8", ev.RootChecked(SECOND, item, sound=True, detail="as set up"))
            for item in ev.ROOT_ITEMS
        ),
        *(Line(heard, "beat", ev.Heartbeat("database-log", 11, 0)) for heard in (110, 130)),
        *(
            Line(when, name, ev.Contained(SECOND, ALICE, ("alice-third",), (), 0))
            for name, when in contained.items()
        ),
    ]
    return sample_case().with_lines(*lines)


@pytest.mark.parametrize("start", [105, 95], ids=["after she was back", "before she was back"])
def test_who_was_contained_in_an_earlier_case_is_lost_again(start: int) -> None:
    case = second_case(start=start, opened=125)
    verdict, exposure = decide(case.evidence(SECOND, 140))
    assert secret_version(MOUNT, "other", 1) in {row.node for row in exposure.did_read}
    assert ("not contained", ALICE) in checks(verdict)
    again = second_case(start=start, opened=125, cut=130)
    verdict, exposure = decide(again.evidence(SECOND, 140))
    assert secret_version(MOUNT, "other", 1) in {row.node for row in exposure.did_read}
    assert ("not contained", ALICE) not in checks(verdict)
    assert verdict.outcome is not Outcome.PROVEN


def test_the_first_case_stays_what_it_was() -> None:
    before, _ = decide(sample_case().evidence())
    after, _ = decide(second_case(start=105, opened=125).evidence(end=100))
    assert before.claims[3] == after.claims[3]
    assert after.outcome is Outcome.PROVEN


def test_nobody_lets_themselves_in_again() -> None:
    own = ev.Readmitted(CASE, ALICE, "alice", "it is only me")
    line = Line(93, "own", own, {"entity": "alice-entity", "accessor": ""})
    verdict, _ = decide(sample_case().with_lines(line, request(94, "act", "alice")).evidence())
    assert ("acts again", ALICE) in checks(verdict)
    assert any(check == "record by an exposed principal" for check, _ in checks(verdict))


def test_an_exemption_or_an_explanation_of_another_case_clears_nothing() -> None:
    waiver = ev.Exempted("1", OLD, "dora", "accepted a year ago", at(1_000))
    spoilt = sample_case().without("probed").with_lines(Line(4, "waiver", waiver))
    assert decide(spoilt.evidence())[0].outcome is Outcome.NOT_PROVEN
    other = sample_case().changed("explained", case="1")
    verdict, _ = decide(other.evidence())
    assert {check for check, _ in checks(verdict)} == {"not explained"}
    look = sample_case().changed("root:policies", case="1")
    assert checks(decide(look.evidence())[0]) == {("root not checked", "root:policies")}


def test_a_use_told_after_the_breach_saves_no_presentation() -> None:
    """Otherwise "it only decrypts" said by hand would do for what nobody can present."""
    says = ev.Linked(*UNPLACED, OLD, EdgeKind.WRAPS, ("document:decoy",), 0, "said so")
    for seconds, wanted in ((5, False), (45, True)):
        case = sample_case().without("opens").with_lines(Line(seconds, "says", says))
        verdict, _ = decide(case.evidence())
        assert (("no verifier", OLD) in checks(verdict)) is wanted


def test_a_link_ended_between_the_breach_and_the_read_does_not_hide_the_system() -> None:
    opens = ev.Unlinked(*UNPLACED, f"secret:{MOUNT}/orders/password@*", EdgeKind.OPENS, (DATABASE,))
    case = sample_case().without("swept", "explained").with_lines(Line(25, "gone", opens))
    verdict, exposure = decide(case.evidence())
    assert DATABASE not in {row.node for row in exposure.could_reach}
    assert {check for check, _ in checks(verdict)} == {"scope narrowed"}
    before = sample_case().with_lines(Line(BREACH_AT - 1, "gone", opens))
    assert decide(before.evidence())[0].outcome is Outcome.PROVEN


def test_a_case_that_was_not_opened_yet_has_no_beginning_in_its_scope() -> None:
    evidence = msgspec.structs.replace(sample_case().evidence(), as_of_ns=at(1))
    assert "not opened before" in decide(evidence)[0].scope


@pytest.mark.parametrize("subject", ["person:nobody", "session:typo", "document:typo"])
def test_a_case_on_a_name_that_the_log_does_not_know_proves_nothing(subject: str) -> None:
    case = sample_case().changed("opened", subjects=(subject,))
    verdict, exposure = decide(case.evidence())
    assert [row.node for row in exposure.could_reach] == [subject]
    assert ("subject unknown", subject) in checks(verdict)


@pytest.mark.parametrize(
    ("path", "harmless"),
    [
        ("database/config/orders", False),
        ("secret/data/orders/address", False),
        ("auth/token/create", False),
        ("cubbyhole/notes", True),
        ("auth/token/renew-self", True),
    ],
)
def test_whatever_somebody_exposed_changed_is_explained(path: str, harmless: bool) -> None:
    case = sample_case().with_lines(request(35, "change", "alice", op="update", path=path))
    found = decide(case.evidence())[0].open_items()
    assert {item.check for item in found} == (set() if harmless else {"foothold in vault"})


def test_of_many_writes_at_one_place_the_last_is_explained() -> None:
    writes = [
        request(seconds, f"w{seconds}", "alice", op="update", path="secret/data/orders/address")
        for seconds in (33, 34, 35)
    ]
    case = sample_case().with_lines(*writes)
    first = ev.Explained(CASE, "", "entry:6", "carol", "looked at")
    last = ev.Explained(CASE, "", "entry:8", "carol", "looked at")
    assert checks(decide(case.evidence())[0]) == {("foothold in vault", "entry:8")}
    assert decide(case.with_lines(Line(92, "first", first)).evidence())[0].open_items()
    assert not decide(case.with_lines(Line(92, "last", last)).evidence())[0].open_items()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"released": read_of(4), "rule": "open"}, True),
        ({"op": "update", "path": "secret/data/x", "rule": "app: secret/*"}, True),
        ({"op": "update", "path": "auth/userpass/login/bob", "rule": "login"}, False),
        ({"op": "read", "path": "sys/health", "rule": "open"}, False),
    ],
    ids=["unwrapped", "batch token", "login", "stranger"],
)
def test_what_nobody_is_known_to_have_done_is_named(fields: dict[str, object], named: bool) -> None:
    line = request(35, "nobody", "", **{"entity": "", "accessor": "", **fields})
    found = {check for check, _ in checks(decide(sample_case().with_lines(line).evidence())[0])}
    assert found == ({"unattributed record"} if named else set())
