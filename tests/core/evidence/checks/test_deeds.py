"""What exposed principals set up for others, began without an answer, or come back in by."""

from typing import Any

import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, secret_version
from ironkeep.core.evidence.verdict import Outcome, Verdict, decide
from tests.support.incident.sample_case import (
    ALICE,
    CASE,
    MOUNT,
    Line,
    at,
    read_of,
    request,
    sample_case,
)  # fmt: skip

OTHER = secret_version(MOUNT, "other", 1)
BOB = NodeId("person:bob-entity")
BY_ALICE = "session/alice-accessor"


def judged(*lines: Line) -> Verdict:
    return decide(sample_case().with_lines(*lines).evidence())[0]


def found(*lines: Line) -> set[tuple[str, str]]:
    """Return (check, subject) of all open items."""
    return {(item.check, item.subject) for item in judged(*lines).open_items()}


def login(seconds: int, who: str, *makers: str, **fields: Any) -> Line:
    """A login that relied on what makers had written."""
    given = {
        "op": "update", "path": f"auth/userpass/login/{who}", "rule": "login", "accessor": "",
        "issued": f"{who}-second", "audited": {"made_by": list(makers)}, **fields,
    }  # fmt: skip
    return request(seconds, f"login at {seconds}", who, **given)


def maker(acted: int, written: int | None = None, name: str = BY_ALICE) -> str:
    return f"{name}@{at(acted)}@{at(acted if written is None else written)}"


def reads_other(seconds: int, who: str, accessor: str) -> Line:
    return request(
        seconds, f"{who} reads at {seconds}", who, entity="", accessor=accessor,
        released=read_of(1, path="other"),
    )  # fmt: skip


def deed(seconds: int, outcome: str, **fields: Any) -> Line:
    given = {
        "op": "update", "path": "database/static-roles/mine", "request": "r-1",
        "outcome": outcome, **fields,
    }  # fmt: skip
    return request(seconds, f"deed {outcome} {seconds}", "alice", **given)


def test_a_person_who_logs_in_by_a_password_that_somebody_exposed_set_is_exposed() -> None:
    items = found(login(35, "bob", maker(30)), reads_other(36, "bob", "bob-second"))
    assert ("not revoked", OTHER) in items
    assert {("not contained", BOB), ("not contained", "session:bob-second")} <= items


def test_what_was_set_up_before_the_breach_is_not_the_intruders() -> None:
    assert found(login(35, "bob", maker(15))) == set()


def test_a_chain_of_people_who_make_people_is_followed() -> None:
    items = found(
        login(35, "bob", maker(30)),
        login(37, "eve", maker(36, name="session/bob-second")),
        reads_other(38, "eve", "eve-second"),
    )
    assert ("not revoked", OTHER) in items
    assert ("not contained", "person:eve-entity") in items


def test_a_login_before_the_session_was_lost_is_the_makers_own() -> None:
    # The intruder holds alice from second 20 on, and the act is of second 30.
    explained = decide(sample_case().with_lines(login(35, "bob", maker(30))).evidence())[1]
    rows = {row.node: row for row in explained.could_reach}
    assert rows[BOB].exposed_ns == at(30)
    assert [str(step.kind) for step in rows[BOB].why][-1] == "made"


def test_what_was_written_again_after_the_containment_lets_nobody_exposed_in() -> None:
    assert found(login(95, "bob", maker(30, written=60))) == set()
    # Before the containment, at second 41, it is no review.
    assert ("not contained", BOB) in found(login(95, "bob", maker(30, written=40)))


def test_a_person_whose_password_somebody_exposed_set_is_exposed_without_a_login() -> None:
    facts = {"factor_of": "bob-entity", "password_of": "bob"}
    path = "auth/userpass/users/bob/password"
    change = request(35, "change", "alice", op="update", path=path, audited=facts)
    assert ("not contained", BOB) in found(change)
    # Removing a factor gives nobody anything.
    gone = request(35, "removal", "alice", op="delete", path=path, audited=facts)
    assert ("not contained", BOB) not in found(gone)


def test_a_device_that_somebody_exposed_enrolled_is_exposed() -> None:
    line = request(
        35, "enrols", "alice", op="update", path="device/enrol/start", audited={"device": "new"}
    )
    assert ("not contained", "device:new") in found(line)


def test_explaining_the_deed_explains_nothing_of_what_was_read() -> None:
    made = request(35, "makes", "alice", op="update", path="auth/userpass/users/bob")
    items = found(
        made,
        Line(96, "why", ev.Explained(CASE, "", "entry:6", "carol", "removed by us")),
        login(36, "bob", maker(35)),
        reads_other(37, "bob", "bob-second"),
    )
    assert ("foothold in vault", "entry:6") not in items
    assert ("not revoked", OTHER) in items


@pytest.mark.parametrize(
    "makers",
    [["alice"], ["session/x@1"], ["session/x@a@1"], ["token/x@1@1"], ["session/@1@1"]],
)
def test_a_maker_that_makes_no_sense_is_refused(makers: list[str]) -> None:
    with pytest.raises(IntegrityError):
        judged(login(35, "bob", *makers))


def test_a_person_who_was_made_and_is_back_with_a_new_password_is_clean() -> None:
    mount = "users-mount"
    lines = (
        login(35, "bob", maker(30)),
        Line(43, "cut", ev.Contained(CASE, BOB, ("bob-second", "bob-accessor"), (), 0)),
        Line(44, "more", ev.Surveyed(CASE, BOB, at(20), at(43), ("p",), ())),
        Line(
            93, "back",
            ev.Readmitted(CASE, BOB, "dora", "new password", (f"password:{mount}/bob",)),
        ),
        request(
            94, "set", "carol", op="update", path="auth/userpass/users/bob/password",
            mount=mount, audited={"factor_of": "bob-entity", "password_of": "bob"},
        ),
        login(95, "bob", maker(30, written=94), issued="bob-third"),
        reads_other(96, "bob", "bob-third"),
    )  # fmt: skip
    case = sample_case().without("new-read").with_lines(*lines)
    verdict = decide(case.evidence())[0]
    assert [(item.check, item.subject) for item in verdict.open_items()] == []
    assert verdict.outcome is Outcome.PROVEN


# Deeds


def test_a_deed_is_open_whatever_the_answer_was() -> None:
    assert ("unfinished deed", "entry:6") in found(deed(35, "pending"))
    (item,) = judged(deed(35, "pending"), deed(36, "upstream_failed")).open_items()
    assert item.words == (
        "update database/static-roles/mine by somebody exposed ended in upstream_failed, "
        "unexplained"
    )


def test_a_request_that_was_refused_before_it_began_is_no_deed() -> None:
    for outcome in ("permission_denied", "invalid_request", "upstream_failed"):
        assert found(deed(35, outcome)) == set()


def test_a_request_that_ended_well_is_an_act_and_no_unfinished_deed() -> None:
    items = found(deed(35, "pending"), deed(36, "ok"))
    assert items == {("foothold in vault", "entry:7")}


def test_the_end_of_another_request_ends_no_deed() -> None:
    items = found(deed(35, "pending"), deed(36, "ok", request="r-2", path="auth/token/renew"))
    assert items == {("unfinished deed", "entry:6")}


def test_a_deed_is_explained_after_it_and_not_before() -> None:
    why = ev.Explained(CASE, "", "entry:6", "carol", "the role is removed")
    assert found(deed(35, "pending"), Line(95, "why", why)) == set()
    early = ev.Explained(CASE, "", "entry:7", "carol", "the role is removed")
    assert ("unfinished deed", "entry:7") in found(Line(34, "why", early), deed(35, "pending"))


def test_a_deed_that_goes_on_after_the_containment_is_an_act() -> None:
    items = found(deed(45, "pending"))
    assert ("acts again", ALICE) in items


# Readmission


FACTORS = (f"password:{MOUNT}/alice", "passkey:key-1")


def back(*factors: str) -> Line:
    return Line(93, "back", ev.Readmitted(CASE, ALICE, "dora", "new laptop", factors))


def change(seconds: int, who: str = "carol", **fields: Any) -> Line:
    facts = {"factor_of": "alice-entity", "password_of": "alice"}
    given = {"op": "update", "path": "auth/userpass/users/alice", "mount": MOUNT}
    return request(seconds, f"change {seconds}", who, **{**given, "audited": facts, **fields})


def removal(seconds: int, key: str) -> Line:
    facts = {"factor_of": "alice-entity", "credential": key}
    return change(seconds, op="delete", path="auth/passkey/users/alice/x", audited=facts)


def test_each_factor_is_changed_by_somebody_else_after_the_containment() -> None:
    open_items = found(back(*FACTORS))
    assert open_items == {("unchanged factor", f"{ALICE}#{each}") for each in FACTORS}
    assert found(back(*FACTORS), change(90), removal(91, "key-1")) == set()
    assert found(back(*FACTORS), change(94), removal(95, "key-1")) == set()


@pytest.mark.parametrize(
    "line",
    [
        change(38),
        change(94, mount="another"),
        change(94, audited={"factor_of": "alice-entity", "password_of": "other"}),
        change(94, audited={"factor_of": "bob-entity", "password_of": "alice"}),
        change(94, "alice", accessor="alice-fourth"),
        removal(94, "key-2"),
    ],
    ids=["before", "other mount", "other user", "other person", "by herself", "other key"],
)
def test_another_change_is_none(line: Line) -> None:
    assert ("unchanged factor", f"{ALICE}#{FACTORS[0]}") in found(back(FACTORS[0]), line)


def test_a_password_that_is_set_again_undoes_the_change() -> None:
    facts = {"factor_of": "alice-entity", "password_of": "alice", "password_again": True}
    unchanged = {("unchanged factor", f"{ALICE}#{FACTORS[0]}")}
    assert found(back(FACTORS[0]), change(94, audited=facts)) == unchanged
    assert found(back(FACTORS[0]), change(94), change(95, audited=facts)) == unchanged
    assert found(back(FACTORS[0]), change(94, audited=facts), change(95)) == set()
    elsewhere = change(95, mount="another", audited=facts)
    assert found(back(FACTORS[0]), change(94), elsewhere) == set()


def test_a_recovery_and_a_removal_of_the_person_remove_every_passkey() -> None:
    for facts in ({"bound_by": "recovery", "credential": "key-9"}, {"passkeys": "all"}):
        line = change(94, audited={"factor_of": "alice-entity", **facts}, entity="", accessor="")
        kept = {
            each for each in found(back("passkey:key-1"), line) if each[0] != "unattributed record"
        }
        assert kept == set()


def test_a_removed_password_is_no_removed_passkey() -> None:
    items = found(back("passkey:key-1"), change(94, op="delete"))
    assert ("unchanged factor", f"{ALICE}#passkey:key-1") in items


def test_what_is_kept_elsewhere_or_not_on_record_stays_open() -> None:
    elsewhere = f"login:{MOUNT}/alice"
    assert ("unchanged factor", f"{ALICE}#{elsewhere}") in found(back(elsewhere), change(94))
    assert ("unchanged factor", f"{ALICE}#unknown") in found(back(ev.UNKNOWN_FACTOR))


def test_an_act_between_readmission_and_change_is_told() -> None:
    came = Line(93, "login", None, {"path": "auth/userpass/login/x", "issued": "alice-third"})
    act = request(94, "acts", "alice", accessor="alice-third", released=())
    assert found(back(FACTORS[0]), came, act, change(95)) == {("unchanged factor", ALICE)}
    later = request(96, "acts", "alice", accessor="alice-third", released=())
    assert found(back(FACTORS[0]), came, change(95), later) == set()


def test_a_lost_name_counts_since_the_breach_only() -> None:
    assert found(login(35, "bob", f"@{at(10)}@0")) == set()
    assert ("makers unknown", "entry:6") in found(login(35, "bob", f"@{at(25)}@0"))
