"""A read of class two-person: asked, approved by others, opened once by who asked."""

import pytest

from ironkeep.access.approvals.record import PLACE
from ironkeep.access.approvals.tallies import MAX_AN_HOUR
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied, TooManyRequests
from ironkeep.testing.parts import part, tables
from tests.support.people.approval_estate import (
    OTHER,
    SECRET,
    VALUE,
    alerts,
    approve,
    ask,
    entries,
    estate,
    told,
    unwrap,
)


def test_a_read_waits_for_another_person_and_is_opened_once() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    assert unwrap(e.vault, e.reader, asked).errors == ["request needs further approval"]
    assert approve(e.vault, e.ann, asked).data == {"approved": True}
    opened = unwrap(e.vault, e.reader, asked)
    assert opened.data["data"] == {"password": VALUE}
    entry = [each for each in entries(e.vault) if each.kind == "request"][-1]
    assert (entry.path, entry.op, entry.released[0].path) == (SECRET, "read", "prod/db")
    assert entry.audited["approved_by"] == [e.ann.entity]
    assert entry.audited["approval"] == asked.accessor
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest
    assert e.vault.defects == []


def test_the_answer_to_who_asks_has_vaults_shape_and_no_secret() -> None:
    e = estate()
    reply = e.vault.read(SECRET, token=e.reader.token)
    info = reply.body["wrap_info"]
    assert set(info) == {"token", "accessor", "ttl", "creation_time", "creation_path"}
    assert (info["ttl"], info["creation_path"]) == (900, SECRET)
    assert reply.body["data"] is None
    assert VALUE.encode() not in (reply.answer.body or b"")


def test_vaults_request_route_tells_how_it_stands() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    path, sent = "sys/control-group/request", {"accessor": asked.accessor}
    before = e.vault.write(path, sent, token=e.reader.token).data
    assert before["request_path"] == SECRET
    assert before["request_operation"] == "read"
    assert before["request_data"] == {}
    assert part(before, "request_entity", "id") == e.reader.entity
    assert (before["approved"], before["authorizations"]) == (False, [])
    approve(e.vault, e.ann, asked)
    after = e.vault.write(path, sent, token=e.reader.token).data
    assert after["approved"] is True
    assert [each["entity_id"] for each in tables(after, "authorizations")] == [e.ann.entity]


def test_two_others_are_needed_where_the_rule_says_two() -> None:
    e = estate(approvals=2)
    asked = ask(e.vault, e.reader)
    assert approve(e.vault, e.ann, asked).data == {"approved": False}
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest
    assert approve(e.vault, e.ben, asked).data == {"approved": True}
    assert unwrap(e.vault, e.reader, asked).error is None


def test_the_rule_may_name_a_policy_that_approvers_hold() -> None:
    e = estate(group="security")
    asked = ask(e.vault, e.reader)
    refused = approve(e.vault, e.ann, asked)
    assert refused.errors == ["approvers of this request must hold the policy 'security'"]


def test_the_inbox_shows_what_one_may_decide_on_and_why() -> None:
    e = estate()
    reply = e.vault.read(
        SECRET, data={"reason": "restore drill", "ticket": "OPS-7"}, token=e.reader.token
    )
    asked = told(reply)
    inbox = e.vault.list("approval/requests/", token=e.ann.token).data
    assert inbox["keys"] == [asked.accessor]
    one = e.vault.read(f"approval/requests/{asked.accessor}", token=e.ann.token).data
    assert (one["requester"], one["path"]) == ("reader", SECRET)
    assert (one["reason"], one["ticket"]) == ("restore drill", "OPS-7")
    assert "number" not in one
    own = e.vault.read(f"approval/requests/{asked.accessor}", token=e.reader.token).data
    assert own["number"] == asked.number


def test_what_else_was_asked_today_is_shown() -> None:
    e = estate()
    ask(e.vault, e.reader, OTHER)
    asked = ask(e.vault, e.reader)
    one = e.vault.read(f"approval/requests/{asked.accessor}", token=e.ann.token).data
    assert [each["path"] for each in tables(one, "today")] == [OTHER]


def test_a_denial_ends_it_and_slows_who_asked() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    deny = f"approval/requests/{asked.accessor}/deny"
    assert e.vault.write(deny, {"reason": "no ticket"}, token=e.ann.token).error is None
    assert approve(e.vault, e.ben, asked).error is NotFound
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest
    assert e.vault.read(SECRET, token=e.reader.token).error is TooManyRequests
    e.vault.clock.advance(seconds=600)
    again = ask(e.vault, e.reader)
    assert alerts(e.vault) == []
    e.vault.write(f"approval/requests/{again.accessor}/deny", {}, token=e.ann.token)
    assert alerts(e.vault) == ["requests of one person were denied more than once"]


def test_three_requests_of_one_person_wait_at_once() -> None:
    e = estate()
    asked = [ask(e.vault, e.reader) for _ in range(3)]
    assert e.vault.read(OTHER, token=e.reader.token).error is TooManyRequests
    gone = e.vault.write(f"approval/requests/{asked[0].accessor}/withdraw", token=e.reader.token)
    assert gone.error is None
    ask(e.vault, e.reader, OTHER)


def test_asking_and_withdrawing_floods_nobody() -> None:
    e = estate()
    for _ in range(MAX_AN_HOUR):
        asked = ask(e.vault, e.reader)
        e.vault.write(f"approval/requests/{asked.accessor}/withdraw", token=e.reader.token)
    assert e.vault.read(SECRET, token=e.reader.token).error is TooManyRequests
    e.vault.clock.advance(seconds=3_599)
    assert e.vault.read(SECRET, token=e.reader.token).error is TooManyRequests
    e.vault.clock.advance(seconds=1)
    ask(e.vault, e.reader)


@pytest.mark.parametrize(("seconds", "opens"), [(299, True), (300, False)])
def test_what_was_approved_lapses_unopened(seconds: int, opens: bool) -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    approve(e.vault, e.ann, asked)
    e.vault.clock.advance(seconds=seconds)
    assert (unwrap(e.vault, e.reader, asked).error is None) is opens


@pytest.mark.parametrize(("seconds", "waits"), [(899, True), (900, False)])
def test_what_waits_lapses(seconds: int, waits: bool) -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    e.vault.clock.advance(seconds=seconds)
    assert (approve(e.vault, e.ann, asked).error is None) is waits
    e.vault.tick(1)
    found = e.vault.list("approval/requests/", token=e.ben.token)
    assert (found.error is None) is waits
    rows = e.vault.house.store(e.vault.house.state.begin(), PLACE)
    assert len(rows.list("request")) == waits


def test_the_report_tells_who_approves_without_looking() -> None:
    e = estate()
    for who, seconds in ((e.ann, 1), (e.ben, 30)):
        asked = ask(e.vault, e.reader)
        e.vault.read(f"approval/requests/{asked.accessor}", token=who.token)
        e.vault.clock.advance(seconds=seconds)
        approve(e.vault, who, asked)
    rows = tables(e.vault.read("approval/report").data, "approvers")
    found = {each["name"]: (each["median_look_ms"], each["rubber_stamp"]) for each in rows}
    assert found == {"ann": (1_000, True), "ben": (30_000, False)}


def test_a_token_without_a_person_cannot_ask() -> None:
    e = estate()
    assert e.vault.read(SECRET).error is PermissionDenied


def test_a_request_survives_a_restart() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    later = e.vault.restarted()
    later.unseal()
    assert approve(later, e.ann, asked).error is None
    assert unwrap(later, e.reader, asked).data["data"] == {"password": VALUE}
