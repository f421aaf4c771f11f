"""Each way in which a verdict must not say PROVEN: one spoilt line, one check that notices."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.credential.connector import Probe
from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.checks.table import CHECKS
from ironkeep.core.evidence.claim import ClaimId, Status
from ironkeep.core.evidence.node import NodeId, secret_version
from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.evidence.remediation import RemediationState
from ironkeep.core.evidence.verdict import Outcome, Verdict, decide
from tests.core.evidence.checks.test_statements import SPOILS as STATEMENTS
from tests.support.incident.sample_case import (
    ALICE,
    CASE,
    DATABASE,
    END_AT,
    MOUNT,
    NEW,
    OLD,
    UNPLACED,
    Line,
    SampleCase,
    at,
    read_of,
    request,
    sample_case,
)
from tests.support.incident.spoils import ACTING, FAILING, OTHER, SPOILS, add, link, mirror, probe


def verdict_of(case: SampleCase, end: int | None = None) -> Verdict:
    return decide(case.evidence(end=end))[0]


def test_the_sample_is_proven() -> None:
    verdict = verdict_of(sample_case())
    assert verdict.open_items() == ()
    assert verdict.outcome is Outcome.PROVEN
    assert {claim.status for claim in verdict.claims} == {Status.CLOSED}
    assert [each.state for each in verdict.credentials] == [RemediationState.VERIFIED_DEAD]


def test_there_is_a_spoiler_for_each_check_and_a_check_for_each_claim() -> None:
    assert {*SPOILS, *STATEMENTS, "still current"} == {check.name for check in CHECKS}
    assert {check.claim for check in CHECKS} == set(ClaimId)


LOGIN = {
    "op": "update", "path": "auth/userpass/login/alice", "rule": "login", "accessor": "",
    "issued": "alice-accessor",
}  # fmt: skip


def test_a_login_before_containment_is_an_act_that_leaves_nothing_to_explain() -> None:
    case = add(request(35, "login", "alice", **LOGIN))(sample_case())
    assert verdict_of(case).outcome is Outcome.PROVEN
    # An entry of an earlier version does not name the person; packs with it verify as before.
    old = add(request(35, "login", "alice", **{**LOGIN, "entity": ""}))
    assert verdict_of(old(sample_case())).outcome is Outcome.PROVEN


def test_a_login_after_containment_is_an_act_and_a_refused_one_is_none() -> None:
    refused = {**LOGIN, "outcome": "permission_denied", "issued": ""}
    case = add(request(45, "refused", "alice", **refused))(sample_case())
    assert verdict_of(case).outcome is Outcome.PROVEN
    again = add(request(45, "again", "alice", **{**LOGIN, "issued": "another"}))(sample_case())
    assert "acts again" in {item.check for item in verdict_of(again).open_items()}


@pytest.mark.parametrize("name", SPOILS)
def test_what_is_spoilt_is_named(name: str) -> None:
    spoil, subject = SPOILS[name]
    verdict = verdict_of(spoil(sample_case()))
    wanted = Outcome.DISPROVEN if name in FAILING else Outcome.NOT_PROVEN
    assert verdict.outcome is wanted
    assert (name, subject) in {(item.check, item.subject) for item in verdict.open_items()}


@pytest.mark.parametrize("name", SPOILS)
def test_without_its_check_the_spoilt_line_would_not_be_seen(name: str) -> None:
    spoil, _ = SPOILS[name]
    rest = [check for check in CHECKS if check.name != name]
    verdict, _ = decide(spoil(sample_case()).evidence(), rest)
    assert verdict.open_items() == ()
    assert verdict.outcome is Outcome.PROVEN


def test_an_exemption_clears_what_its_owner_accepts_until_it_expires() -> None:
    waiver = ev.Exempted(CASE, OLD, "dora", "the partner rotates on Monday", at(END_AT + 1))
    case = sample_case().without("probed").with_lines(Line(95, "waiver", waiver))
    verdict = verdict_of(case)
    assert verdict.outcome is Outcome.EXCEPTIONS
    assert [each.owner for each in verdict.exemptions] == ["dora"]
    assert verdict.credentials[0].state is RemediationState.EXEMPT


@pytest.mark.parametrize(
    "flaw",
    [{"owner": " "}, {"reason": ""}, {"expires_ns": at(END_AT)}, {"item": NEW}],
    ids=["no owner", "no reason", "expired", "of another item"],
)
def test_an_exemption_that_lacks_something_clears_nothing(flaw: dict[str, object]) -> None:
    waiver = ev.Exempted(CASE, OLD, "dora", "the partner rotates on Monday", at(END_AT + 1))
    case = sample_case().without("probed").with_lines(Line(95, "waiver", waiver))
    verdict = verdict_of(case.changed("waiver", **flaw))
    assert verdict.outcome is Outcome.NOT_PROVEN
    assert all(each.item != OLD for each in verdict.exemptions)


def test_somebody_exposed_exempts_nothing() -> None:
    waiver = ev.Exempted(CASE, OLD, "dora", "trust me", at(END_AT + 1))
    line = Line(95, "waiver", waiver, {"entity": "alice-entity"})
    assert verdict_of(sample_case().without("probed").with_lines(line)).exemptions == ()


def test_a_later_record_takes_an_exemption_back() -> None:
    waiver = ev.Exempted(CASE, OLD, "dora", "until Monday", at(END_AT + 1))
    ends = ev.Exempted(CASE, OLD, "dora", "ended early", at(96))
    lines = (Line(95, "waiver", waiver), Line(96, "ends", ends))
    case = sample_case().without("probed").with_lines(*lines)
    assert verdict_of(case).outcome is Outcome.NOT_PROVEN


@pytest.mark.parametrize("name", sorted(FAILING))
def test_nothing_exempts_from_what_failed(name: str) -> None:
    spoil, subject = SPOILS[name]
    waiver = ev.Exempted(CASE, subject, "dora", "accepted", at(END_AT + 1))
    verdict = verdict_of(spoil(sample_case()).with_lines(Line(95, "waiver", waiver)))
    assert verdict.outcome is Outcome.DISPROVEN


def test_an_unexplained_principal_that_acts_takes_no_exemption() -> None:
    subject = f"{DATABASE}#principal role svc2"
    waiver = ev.Exempted(CASE, subject, "dora", "accepted", at(END_AT + 1))
    for case in (sample_case(), sample_case().with_lines(Line(95, "waiver", waiver))):
        verdict = verdict_of(ACTING(case))
        (item,) = verdict.open_items()
        assert (item.check, item.subject) == ("not explained", subject)
        assert verdict.outcome is Outcome.DISPROVEN


def test_an_exemption_does_not_cover_what_happens_after_it() -> None:
    """Accepting that somebody was not surveyed does not accept what they do next."""
    spoil, subject = SPOILS["acts again"]
    spoilt = spoil(sample_case())
    early, late = (
        spoilt.with_lines(
            Line(place, "waiver", ev.Exempted(CASE, subject, "dora", "accepted", at(END_AT + 1)))
        )
        for place in (44, 95)
    )
    assert "acts again" in {item.check for item in verdict_of(early).open_items()}
    assert verdict_of(late).outcome is Outcome.EXCEPTIONS


def test_an_exemption_of_a_first_deed_does_not_hide_a_second() -> None:
    spoil, subject = SPOILS["acts again"]
    waiver = ev.Exempted(CASE, subject, "dora", "accepted", at(END_AT + 1))
    again = request(96, "and again", "alice", accessor="")
    case = spoil(sample_case()).with_lines(Line(95, "waiver", waiver), again)
    assert "acts again" in {item.check for item in verdict_of(case).open_items()}


@pytest.mark.parametrize("name", ["not witnessed", "scope cut", "case not opened"])
def test_nothing_exempts_from_the_log_itself(name: str) -> None:
    spoil, subject = SPOILS[name]
    waiver = ev.Exempted(CASE, subject, "dora", "accepted", at(END_AT + 1))
    verdict = verdict_of(spoil(sample_case().with_lines(Line(95, "waiver", waiver))))
    assert verdict.outcome is Outcome.NOT_PROVEN


def test_a_second_revocation_starts_the_proof_again() -> None:
    again = ev.Revoked(CASE, OLD, DATABASE, at(54), "locked", "ALTER ROLE", "")
    alive = Line(53, "alive", probe(Probe.ALIVE))
    case = sample_case().with_lines(alive, Line(54, "again", again))
    named = {item.check for item in verdict_of(case).open_items()}
    assert named == {"not presented", "sessions not ended"}


def test_a_probe_that_began_before_the_revocation_proves_nothing() -> None:
    verdict = verdict_of(sample_case().changed("probed", at_ns=at(49)))
    assert [item.check for item in verdict.open_items()] == ["not presented"]


def test_a_dead_answer_after_an_unknown_one_counts() -> None:
    case = sample_case().changed("probed", state=Probe.UNKNOWN)
    verdict = verdict_of(case.with_lines(Line(53, "again", probe(Probe.DEAD))))
    assert verdict.outcome is Outcome.PROVEN


def test_one_host_that_said_no_does_not_speak_for_another() -> None:
    other = ev.Probed(CASE, OLD, DATABASE, "replica:5432", Probe.UNKNOWN, "", "no route", at(51), 3)
    verdict = verdict_of(sample_case().with_lines(Line(51, "replica", other)))
    assert verdict.open_items()[0].check == "not answered"
    assert "replica:5432" in verdict.open_items()[0].words
    assert verdict.credentials[0].state is RemediationState.REVOKED


def test_a_dead_second_verifier_is_as_good_as_the_first() -> None:
    assert verdict_of(mirror(Probe.DEAD)(sample_case())).outcome is Outcome.PROVEN


def test_a_link_that_was_taken_away_still_names_a_verifier() -> None:
    gone = ev.Unlinked(*UNPLACED, OLD, EdgeKind.OPENS, ("store:archive",))
    case = mirror(Probe.ALIVE)(sample_case()).with_lines(Line(6, "gone", gone))
    assert verdict_of(case).outcome is Outcome.NOT_PROVEN


def test_a_verdict_speaks_of_its_own_time_only() -> None:
    later = sample_case().with_lines(Line(200, "alive", probe(Probe.ALIVE)))
    assert verdict_of(later).outcome is Outcome.PROVEN
    assert verdict_of(sample_case(), end=45).outcome is Outcome.NOT_PROVEN


def test_a_person_let_in_again_may_act_and_receive() -> None:
    case = sample_case().with_lines(
        Line(93, "back", ev.Readmitted(CASE, ALICE, "dora", "new laptop", ())),
        Line(94, "login", None, {"path": "auth/userpass/login/alice", "issued": "alice-third"}),
        request(95, "again", "alice", accessor="alice-third", released=read_of(2)),
    )
    assert verdict_of(case).outcome is Outcome.PROVEN


def test_a_token_made_by_somebody_exposed_is_exposed() -> None:
    case = sample_case().with_lines(
        request(35, "child", "alice", op="update", path="auth/token/create", issued="child")
    )
    subjects = {item.subject for item in verdict_of(case).open_items()}
    assert "session:child" in subjects


def test_what_only_a_token_made_by_somebody_exposed_read_is_exposed() -> None:
    case = sample_case().with_lines(
        request(35, "child", "alice", op="update", path="auth/token/create", issued="child"),
        request(36, "reads", "", accessor="child", released=read_of(1, path="other")),
    )
    subjects = {item.subject for item in verdict_of(case).open_items()}
    assert OTHER in subjects


def test_s1_an_encrypted_key_that_left_is_named_until_it_is_rotated() -> None:
    """The first incident of LastPass, as of the day on which it was closed."""
    key = secret_version(MOUNT, "backup/key", 1)
    wrapping = secret_version(MOUNT, "backup/wrapping", 1)
    access = secret_version(MOUNT, "backup/access", 1)
    repository, backups = "document:repository", "store:backups"
    gate = ev.Gated(
        *UNPLACED, "unwrap", 2, (repository, wrapping), (), EdgeKind.DECRYPTS, key, at(0), "kms"
    )
    data = ev.Gated(
        *UNPLACED, "backup", 2, (key,), (access,), EdgeKind.OPENS, backups, at(0), "bucket"
    )
    first = ev.Opened(*UNPLACED, "1", "source code", (repository,), at(20), "first sign-in")
    second = ev.Opened(*UNPLACED, "2", "vault export", ("person:dave",), at(60), "keylogger")
    estate = (
        Line(3, "mounted", ev.Mounted(*UNPLACED, MOUNT, "secret/")),
        Line(5, "wraps", link(repository, EdgeKind.WRAPS, key)),
        Line(6, "gate", gate),
        Line(7, "data", data),
    )
    closing = (
        *(
            Line(30, each, ev.RootChecked("1", each, sound=True, detail="as expected"))
            for each in ev.ROOT_ITEMS
        ),
        Line(31, "residue", ev.Residue("1", "14 repositories are out")),
        Line(32, "confirmed", ev.Confirmed("1", ()), {"entity": "auditor-entity"}),
    )
    case = SampleCase((*estate, Line(21, "first", first), *closing))
    verdict, exposure = decide(case.evidence("1", 40))
    assert verdict.outcome is Outcome.NOT_PROVEN
    assert [item.label for item in verdict.open_items()] == ["secret/backup/key version 1"]
    assert "encrypted copy" in verdict.open_items()[0].words
    assert [row.node for row in exposure.could_reach] == [repository, key]

    exported = tuple(
        Line(61, each, None, {
            "op": "read", "path": "secret/data/backup", "entity": "dave", "name": "dave",
            "released": read_of(1, path=each),
        })
        for each in ("backup/wrapping", "backup/access")
    )  # fmt: skip
    both_cases = case.with_lines(Line(65, "second", second), *exported)
    for name in ("1", "2"):
        verdict, exposure = decide(both_cases.evidence(name, 70))
        reached = {row.node: row for row in exposure.could_reach}
        assert reached[NodeId(backups)].in_clear_ns == at(61)
        assert reached[key].exposed_ns == at(20)
        assert reached[key].in_clear_ns == at(61)
        assert "secret/backup/key version 1" in {item.label for item in verdict.open_items()}
        assert {step.source for step in reached[NodeId(backups)].why} >= {repository, wrapping}


def test_s2_one_token_believed_unused_among_thousands_is_named() -> None:
    count = 5_000
    tokens = [secret_version(MOUNT, f"token/{number}", 1) for number in range(count)]
    opens = (
        Line(5, str(number), link(token, EdgeKind.OPENS, "store:service"))
        for number, token in enumerate(tokens)
    )
    unused = tokens[4_242]
    rotated = (
        line
        for token in tokens
        if token != unused
        for line in (
            Line(50, "revoked", ev.Revoked(CASE, token, "store:service", at(50), "api", "204")),
            Line(52, "probed", ev.Probed(
                CASE, token, "store:service", "api:443", Probe.DEAD, "401", "refused", at(52), 3,
            )),
            Line(72, "watched", ev.Watched(
                CASE, token, "store:service", at(50), at(90), 0, 0, "access log",
            )),
            Line(90, "compared", ev.Compared(CASE, token, at(90), False, "version 2 is current")),
        )
    )  # fmt: skip
    lost = Line(6, "lost", link("document:dump", EdgeKind.HOLDS, *tokens))
    widened = ev.Widened(*UNPLACED, CASE, ("document:dump",), at(20), "found in a paste")
    case = sample_case().with_lines(*opens, lost, Line(43, "widened", widened), *rotated)
    verdict = verdict_of(case)
    assert verdict.outcome is Outcome.NOT_PROVEN
    assert [item.label for item in verdict.open_items()] == ["secret/token/4242 version 1"]
    assert len(verdict.credentials) == count + 1


def test_s3_an_attacker_who_still_listens_gets_the_new_secret_and_no_proof() -> None:
    case = sample_case().with_lines(
        request(61, "listens", "alice", accessor="alice-hidden", released=read_of(2))
    )
    subjects = {item.subject for item in verdict_of(case).open_items()}
    assert NEW in subjects
    assert ALICE in subjects


def test_s4_a_verifier_that_still_accepts_is_named() -> None:
    items = verdict_of(mirror(Probe.ALIVE)(sample_case())).open_items()
    assert [item.words for item in items] == ["store archive still accepts it"]


def test_a_record_that_makes_no_sense_is_refused() -> None:
    for name, values in (
        ("opened", {"subjects": ("alice",)}),
        ("opens", {"kind": "likes"}),
        ("revoked", {"version": "db"}),
        ("watched", {"successes": -1}),
    ):
        with pytest.raises(IntegrityError):
            decide(sample_case().changed(name, **values).evidence())


@given(st.sets(st.sampled_from(sorted(SPOILS)), min_size=1, max_size=4))
def test_whatever_is_spoilt_together_is_never_proven(names: set[str]) -> None:
    case = sample_case()
    for name in sorted(names):
        case = SPOILS[name][0](case)
    assert verdict_of(case).outcome is not Outcome.PROVEN


@given(
    st.sampled_from(sorted(SPOILS)),
    st.lists(st.tuples(st.integers(21, 99), st.sampled_from(["alice", "bob"]), st.integers(1, 4))),
)
def test_more_reads_never_turn_an_open_case_into_a_proven_one(
    name: str, reads: list[tuple[int, str, int]]
) -> None:
    more = [
        request(seconds, f"read {number}", who, released=read_of(version))
        for number, (seconds, who, version) in enumerate(reads)
    ]
    case = SPOILS[name][0](sample_case()).with_lines(*more)
    assert verdict_of(case).outcome is not Outcome.PROVEN


@given(st.sets(st.sampled_from([line.name for line in sample_case().lines]), min_size=1))
def test_losing_evidence_never_improves_an_open_case(names: set[str]) -> None:
    case = sample_case().with_lines(
        Line(6, "lost", link("document:dump", EdgeKind.HOLDS, OTHER)),
        Line(43, "widened", ev.Widened(*UNPLACED, CASE, ("document:dump",), at(20), "found")),
    )
    assert verdict_of(case.placed().without(*names)).outcome is not Outcome.PROVEN


def test_what_cannot_be_undone_is_said_without_being_asked() -> None:
    archive = "store:archive"
    emulated = ev.Probed(
        CASE, OLD, DATABASE, "db:5432", Probe.DEAD, "", "refused", at(53), 3, emulated=True
    )
    case = sample_case().with_lines(
        Line(5, "archive", link(DATABASE, EdgeKind.HOLDS, archive)),
        Line(53, "emulated", emulated),
    )
    words = " | ".join(verdict_of(case).residue)
    assert "what store archive held could be copied" in words
    assert "system orders-database was an emulator" in words
    assert "orders seen before the breach stay seen" in words


def test_an_entry_of_no_time_that_there_is_is_refused() -> None:
    for time_ns in (-1, (1 << 63) - 1):
        line = Line(60, "odd", None, {"time_ns": time_ns, "kind": "notice"})
        with pytest.raises(IntegrityError, match="out of range"):
            decide(sample_case().with_lines(line).evidence())


def test_an_entry_that_claims_to_be_of_the_future_is_seen_all_the_same() -> None:
    alive = Line(53, "alive", probe(Probe.ALIVE), {"time_ns": at(5_000)})
    checks = {item.check for item in verdict_of(sample_case().with_lines(alive)).open_items()}
    # What follows counts as later than it, so nobody knows that the source was heard in time.
    assert checks == {"worked after revocation", "clock ran back", "source silent"}


@pytest.mark.parametrize(
    ("origin", "first"),
    [("ironkeep.example/audit", True), ("v/audit/a/1", True), ("v/audit/a/2", False),
     ("v/audit/a/10", False), ("v/audit/a/02", False), ("v/audit/a/x2", True)],
)  # fmt: skip
def test_a_log_that_continues_another_is_not_complete_by_itself(origin: str, first: bool) -> None:
    whole = sample_case().with_facts(origin=origin)
    assert decide(whole.evidence())[0].outcome is Outcome.PROVEN
    late = whole.without("mounted", "opens", "baselined", "sourced", "login")
    verdict, _ = decide(late.evidence())
    found = [item.words for item in verdict.open_items() if item.subject == "log:window"]
    assert bool(found) is not first
    assert all("an earlier epoch" in words for words in found)


def test_a_sweep_that_began_before_access_ended_is_none() -> None:
    for began in (40, 50):
        items = verdict_of(sample_case().changed("swept", at_ns=at(began))).open_items()
        assert [item.check for item in items] == ["not swept"]
    assert verdict_of(sample_case().changed("swept", at_ns=at(51))).outcome is Outcome.PROVEN


def test_a_subject_that_is_lost_again_after_a_readmission_is_contained_again() -> None:
    """An earlier case cut her off and let her in again; then another one names her."""
    widened = ev.Widened(*UNPLACED, CASE, (ALICE,), at(20), "the new laptop fell, too")
    lost = sample_case().with_lines(
        Line(92, "back", ev.Readmitted(CASE, ALICE, "dora", "new laptop", ())),
        Line(93, "lost again", widened),
    )
    named = {item.check for item in verdict_of(lost).open_items()}
    assert "not contained" in named
    cut = Line(94, "cut", ev.Contained(CASE, ALICE, (), (), 0))
    assert "not contained" not in {
        item.check for item in verdict_of(lost.with_lines(cut)).open_items()
    }


def test_each_change_of_devices_and_approvals_is_explained_by_itself() -> None:
    path = "approval/requests/x/approve"
    lines = [request(at_, f"a{at_}", "alice", op="update", path=path) for at_ in (35, 36)]
    items = verdict_of(sample_case().with_lines(*lines)).open_items()
    assert [item.subject for item in items] == ["entry:6", "entry:7"]
