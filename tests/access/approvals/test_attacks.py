"""Approvals under attack: replayed, bound to something else, given to oneself, raced, guessed."""

from decimal import Decimal
from typing import Any

import pytest

from ironkeep.access.approvals.record import data_of
from ironkeep.app import PLUGINS
from ironkeep.core.errors import (
    InvalidRequest,
    IronkeepError,
    NotFound,
    PermissionDenied,
)
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.kernel.routing import SYS
from ironkeep.plugin.effects.answer import Answer
from ironkeep.plugin.peer import Peer
from ironkeep.plugin.request import Request
from ironkeep.plugin.token import TokenSpec
from ironkeep.testing.parts import text
from ironkeep.testing.vault import Vault
from tests.support.devices.device_estate import DeviceEstate
from tests.support.people.approval_estate import (
    APPROVER,
    OTHER,
    SECRET,
    VALUE,
    Ask,
    Estate,
    alerts,
    approve,
    ask,
    entries,
    estate,
    unwrap,
)
from tests.support.people.people import log_in


def approved(e: Estate) -> Ask:
    asked = ask(e.vault, e.reader)
    assert approve(e.vault, e.ann, asked).error is None
    return asked


def released(vault: Vault) -> int:
    return sum(len(entry.released) for entry in entries(vault))


def token_of(vault: Vault, entity: EntityId, device: DeviceId = DeviceId("")) -> str:
    """Return a token as no login would give it: of any person, on any device."""
    tx = vault.house.state.begin()
    spec = TokenSpec(("approver", "reader"), "x", "auth/x", entity=entity, device=device)
    issued = vault.house.tokens.issue(tx, SYS, spec, vault.clock.now_ns(), vault.entropy)
    tx.merge()
    return issued.token.reveal().decode()


# -- opening: the session, the path and the data are what was asked


def test_a_second_opening_finds_nothing() -> None:
    e = estate()
    asked = approved(e)
    assert unwrap(e.vault, e.reader, asked).error is None
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest
    assert released(e.vault) == 1


def test_of_two_openings_in_one_batch_one_gets_the_secret() -> None:
    e = estate()
    asked = approved(e)
    request = e.vault.asked(
        Operation.UPDATE, "sys/wrapping/unwrap", {"token": asked.token}, e.reader.token
    )
    answers = [e.vault.pipeline.handle(request) for _ in range(2)]
    e.vault.flush()
    assert [a.error for a in answers if isinstance(a, Answer)] == [None, InvalidRequest]
    assert released(e.vault) == 1


@pytest.mark.parametrize("who", ["approver", "second session of the reader", "root", "nobody"])
def test_only_the_session_that_asked_opens_it(who: str) -> None:
    e = estate()
    asked = approved(e)
    tokens = {
        "approver": e.ann.token,
        "second session of the reader": log_in(e.vault, e.reader).token,
        "root": e.vault.root,
    }
    data = {"token": asked.token}
    refused = e.vault.write("sys/wrapping/unwrap", data, token=tokens.get(who))
    assert refused.error in (PermissionDenied, InvalidRequest)
    assert released(e.vault) == 0
    assert unwrap(e.vault, e.reader, asked).error is None


def test_the_wrapping_token_alone_opens_nothing() -> None:
    e = estate()
    asked = approved(e)
    assert e.vault.write("sys/wrapping/unwrap", {}, token=asked.token).error is InvalidRequest
    rewrapped = e.vault.write("sys/wrapping/rewrap", {"token": asked.token})
    assert rewrapped.error is InvalidRequest
    assert e.vault.read(SECRET, token=asked.token).error is PermissionDenied
    assert released(e.vault) == 0


def test_a_session_that_ended_opens_nothing() -> None:
    e = estate()
    asked = approved(e)
    e.vault.write("auth/token/revoke", {"token": e.reader.token})
    assert unwrap(e.vault, e.reader, asked).error is PermissionDenied
    assert released(e.vault) == 0


def test_policy_is_asked_again_when_it_is_opened() -> None:
    e = estate()
    asked = approved(e)
    e.vault.write("sys/policies/acl/reader", {"policy": 'path "x" { capabilities = ["read"] }'})
    assert unwrap(e.vault, e.reader, asked).error is PermissionDenied
    assert released(e.vault) == 0


@pytest.mark.parametrize(
    "data",
    [{"path": OTHER}, {"version": 1}, {"data": {}}, {"grant": "x"}, {"request_path": OTHER}],
    ids=str,
)
def test_what_is_opened_is_what_was_asked_whatever_else_is_sent(data: dict[str, Any]) -> None:
    e = estate()
    asked = approved(e)
    sent = {**data, "token": asked.token}
    e.vault.write("sys/wrapping/unwrap", sent, token=e.reader.token)
    entry = [each for each in entries(e.vault) if each.released][-1]
    assert (entry.path, entry.released[0].path) == (SECRET, "prod/db")


@pytest.mark.parametrize(
    ("op", "path", "data", "wrap"),
    [
        (Operation.READ, OTHER, {}, None),
        (Operation.READ, SECRET, {"version": "1"}, None),
        (Operation.READ, SECRET, {}, 60),
    ],
)
def test_a_grant_is_good_for_the_hashed_request_alone(
    op: Operation, path: str, data: dict[str, Any], wrap: int | None
) -> None:
    """Were a defect to bind a grant to another request, its hash would still not match."""
    e = estate()
    asked = approved(e)
    token = Secret(e.reader.token.encode())
    request = Request(op, path, data, token, wrap_ttl_seconds=wrap, grant=asked.accessor)
    assert e.vault.settle(e.vault.pipeline.handle(request)).error is PermissionDenied
    assert released(e.vault) == 0


def test_a_grant_is_good_for_the_session_alone() -> None:
    e = estate()
    asked = approved(e)
    token = Secret(log_in(e.vault, e.reader).token.encode())
    request = Request(Operation.READ, SECRET, {}, token, grant=asked.accessor)
    assert e.vault.settle(e.vault.pipeline.handle(request)).error is PermissionDenied
    assert released(e.vault) == 0


def test_a_denied_request_opens_nothing_even_after_an_approval() -> None:
    e = estate(approvals=2)
    asked = ask(e.vault, e.reader)
    approve(e.vault, e.ann, asked)
    e.vault.write(f"approval/requests/{asked.accessor}/deny", {}, token=e.ben.token)
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest
    assert released(e.vault) == 0


def test_a_read_that_fails_uses_its_approval_up() -> None:
    e = estate()
    asked = approved(e)
    e.vault.write("secret/delete/prod/db", {"versions": [1]})
    failed = unwrap(e.vault, e.reader, asked)
    assert failed.answer.absent or failed.error is NotFound
    e.vault.write("secret/undelete/prod/db", {"versions": [1]})
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest


def test_a_class_that_got_stricter_meanwhile_holds() -> None:
    e = estate()
    asked = approved(e)
    e.vault.write("sys/classes/secret/data/prod/db", {"class": "custody"})
    assert unwrap(e.vault, e.reader, asked).error is PermissionDenied
    assert released(e.vault) == 0


@pytest.mark.parametrize("rule", [{"approvals": 2}, {"group": "security"}], ids=str)
def test_a_rule_that_demands_more_meanwhile_holds(rule: dict[str, Any]) -> None:
    e = estate()
    asked = approved(e)
    e.vault.write("sys/classes/secret/data/prod/db", {"class": "two-person", **rule})
    assert unwrap(e.vault, e.reader, asked).error is PermissionDenied
    assert released(e.vault) == 0


@pytest.mark.parametrize(
    "path", [SECRET + "/", "secret/data//prod/db", "secret/data/prod//db", "secret/Data/prod/db"]
)
def test_no_spelling_of_a_path_goes_round_its_class(path: str) -> None:
    e = estate()
    e.vault.write("sys/policies/acl/reader", {"policy": 'path "*" { capabilities = ["read"] }'})
    reply = e.vault.read(path, token=e.reader.token)
    assert VALUE.encode() not in (reply.answer.body or b"")


# -- approving: other people, each once


def test_nobody_approves_their_own_request_by_any_session() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    for token in (e.reader.token, log_in(e.vault, e.reader).token):
        assert approve(e.vault, token, asked).errors == ["nobody approves their own request"]
        path = f"approval/requests/{asked.accessor}/approve"
        other = e.vault.write(path, {"number": asked.number}, token=token)
        assert other.error is PermissionDenied


def test_another_name_of_the_same_person_is_the_same_person() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    alias = token_of(e.vault, e.reader.entity)
    assert approve(e.vault, alias, asked).error is PermissionDenied


def test_one_person_with_two_sessions_is_one() -> None:
    e = estate(approvals=2)
    asked = ask(e.vault, e.reader)
    approve(e.vault, e.ann, asked)
    again = approve(e.vault, log_in(e.vault, e.ann).token, asked)
    assert again.errors == ["you have approved this request already"]
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest


def test_a_token_that_the_requester_had_made_is_the_requester() -> None:
    """A role may let its user make tokens of other entities: these speak for who had them made."""
    e = estate()
    asked = ask(e.vault, e.reader)
    house, tx = e.vault.house, e.vault.house.state.begin()
    creator = house.tokens.authenticate(
        tx, Secret(e.reader.token.encode()), e.vault.clock.now_ns(), "127.0.0.1:1"
    )
    spec = TokenSpec(("approver",), "x", "auth/token/create", entity=e.ann.entity)
    made = house.tokens.issue(tx, SYS, spec, e.vault.clock.now_ns(), e.vault.entropy, creator)
    tx.merge()
    refused = approve(e.vault, made.token.reveal().decode(), asked)
    assert refused.errors == ["nobody approves their own request"]


@pytest.mark.parametrize("token", ["root", "orphan without a person"])
def test_a_token_without_a_person_does_not_approve(token: str) -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    made = e.vault.write("auth/token/create-orphan", {"policies": ["approver"]})
    text = e.vault.root if token == "root" else made.token
    assert approve(e.vault, text, asked).error is PermissionDenied


def test_the_number_is_tried_three_times() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    wrong = [number for number in (100, 101, 102, 103) if number != asked.number]
    for number in wrong[:3]:
        assert approve(e.vault, e.ann, asked, number).error is PermissionDenied
    assert approve(e.vault, e.ann, asked).error is NotFound
    assert alerts(e.vault) == ["a request was dropped after too many wrong numbers"]
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest


def test_the_number_is_shown_to_nobody_else() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    one = e.vault.read(f"approval/requests/{asked.accessor}", token=e.ann.token)
    listed = e.vault.list("approval/requests/", token=e.ann.token)
    vaults = e.vault.write(
        "sys/control-group/request", {"accessor": asked.accessor}, token=e.ann.token
    )
    for reply in (one, listed, vaults):
        assert reply.error is None
        assert f":{asked.number}".encode() not in (reply.answer.body or b"").replace(b" ", b"")
    assert all("number" not in entry.audited for entry in entries(e.vault))


def test_a_stranger_to_a_request_learns_nothing_of_it() -> None:
    e = estate(group="security")
    asked = ask(e.vault, e.reader)
    assert e.vault.list("approval/requests/", token=e.ann.token).error is NotFound
    for path, data in (
        (f"approval/requests/{asked.accessor}", None),
        ("sys/control-group/request", {"accessor": asked.accessor}),
    ):
        op = Operation.READ if data is None else Operation.UPDATE
        refused = e.vault.request(op, path, data, token=e.ann.token)
        assert refused.error is PermissionDenied
        assert SECRET.encode() not in (refused.answer.body or b"")


# -- devices


def device_estate() -> tuple[DeviceEstate, Peer, DeviceId, str]:
    """Return an estate where ann asks from a device of hers; its peer, its id, her token."""
    e = DeviceEstate(PLUGINS)
    e.write(SECRET, {"data": {"password": VALUE}})
    e.write("sys/classes/secret/data/prod", {"class": "two-person"})
    e.write("sys/policies/acl/approver", {"policy": APPROVER})
    e.write("sys/policies/acl/reader", {"policy": APPROVER})
    device = e.active("ann")
    peer = e.peer(device)
    return e, peer, DeviceId(device.id), e.login("ann", peer)


def entity_of(e: DeviceEstate, name: str) -> EntityId:
    token = e.login(name)
    return EntityId(text(e.vault.read("auth/token/lookup-self", token=token).data, "entity_id"))


def ask_from(e: DeviceEstate, token: str, peer: Peer) -> Ask:
    reply = e.vault.read(SECRET, token=token, peer=peer)
    assert reply.error is None, reply.body
    number = int(reply.body["warnings"][0].partition("number ")[2][:3])
    return Ask(reply.body["wrap_info"]["token"], reply.body["wrap_info"]["accessor"], number)


def test_a_request_from_a_device_is_opened_from_it_alone() -> None:
    e, peer, _, token = device_estate()
    asked = ask_from(e, token, peer)
    other = token_of(e.vault, entity_of(e, "bob"))
    assert approve(e.vault, other, asked).error is None
    elsewhere = unwrap(e.vault, token, asked)
    assert elsewhere.error is not None
    assert issubclass(elsewhere.error, PermissionDenied)
    theirs = e.peer(e.active("bob"))
    data = {"token": asked.token}
    moved = e.vault.write("sys/wrapping/unwrap", data, token=token, peer=theirs)
    assert moved.error is not None
    opened = e.vault.write("sys/wrapping/unwrap", data, token=token, peer=peer)
    assert opened.data["data"] == {"password": VALUE}


def test_nobody_approves_on_a_device_of_who_asked() -> None:
    e, peer, device, token = device_estate()
    asked = ask_from(e, token, peer)
    bob = token_of(e.vault, entity_of(e, "bob"), device)
    data = {"accessor": asked.accessor, "number": asked.number}
    refused = e.vault.write("sys/control-group/authorize", data, token=bob, peer=peer)
    assert refused.errors == ["nobody approves from a device of the requester: use your own"]


def test_nobody_approves_on_another_device_of_who_asked() -> None:
    e, peer, _, token = device_estate()
    asked = ask_from(e, token, peer)
    second = e.active("ann")
    bob = token_of(e.vault, entity_of(e, "bob"), DeviceId(second.id))
    data = {"accessor": asked.accessor, "number": asked.number}
    refused = e.vault.write("sys/control-group/authorize", data, token=bob, peer=e.peer(second))
    assert refused.errors == ["nobody approves from a device of the requester: use your own"]


def test_who_owns_the_device_of_who_asked_does_not_approve() -> None:
    e, peer, device, _ = device_estate()
    guest = token_of(e.vault, entity_of(e, "zoe"), device)
    e.write("sys/policies/acl/reader", {"policy": 'path "secret/*" { capabilities = ["read"] }'})
    asked = ask_from(e, guest, peer)
    owner = token_of(e.vault, entity_of(e, "ann"))
    refused = approve(e.vault, owner, asked)
    assert refused.errors == ["nobody approves from a device of the requester: use your own"]


# -- the rules themselves


def test_weakening_a_rule_of_two_persons_takes_another_person() -> None:
    e = estate()
    for sent in ({"class": "guarded"}, {"class": "open"}):
        reply = e.vault.write("sys/classes/secret/data/prod", sent, token=e.reader.token)
        assert reply.body["wrap_info"]["creation_path"] == "sys/classes/secret/data/prod"
    reply = e.vault.delete("sys/classes/secret/data/prod", token=e.reader.token)
    info = reply.body["wrap_info"]
    number = int(reply.body["warnings"][0].partition("number ")[2][:3])
    asked = Ask(info["token"], info["accessor"], number)
    assert e.vault.read("sys/classes/secret/data/prod").data["class"] == "two-person"
    approve(e.vault, e.ann, asked)
    assert unwrap(e.vault, e.reader, asked).error is None
    assert e.vault.read("sys/classes/secret/data/prod").error is NotFound
    assert alerts(e.vault) == ["a rule went from class two-person to no rule"]
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest


def test_root_does_not_weaken_a_rule_of_two_persons() -> None:
    e = estate()
    assert e.vault.delete("sys/classes/secret/data/prod").error is PermissionDenied
    weaker = e.vault.write("sys/classes/secret/data/prod", {"class": "open"})
    assert weaker.error is PermissionDenied


def test_fewer_approvals_and_another_group_are_weaker() -> None:
    e = estate(approvals=2, group="security")
    same: dict[str, Any] = {"class": "two-person", "approvals": 2, "group": "security"}
    assert e.vault.write("sys/classes/secret/data/prod", same).error is None
    for change in ({"approvals": 1}, {"group": "anybody"}, {"group": ""}):
        path = "sys/classes/secret/data/prod"
        assert e.vault.write(path, same | change).error is PermissionDenied
    assert e.vault.write("sys/classes/secret/data/prod", same | {"approvals": 3}).error is None


def test_a_weaker_rule_below_does_not_weaken() -> None:
    e = estate()
    e.vault.write("sys/classes/secret/data/prod/db", {"class": "open"})
    assert e.vault.read("sys/classes/secret/data/prod/db").data["effective"] == "two-person"
    assert e.vault.read(SECRET, token=e.reader.token).body["wrap_info"] is not None


# -- hostile input

HOSTILE: tuple[Any, ...] = (
    None, True, -1, 2**80, Decimal("1E+400"), "", "x" * 100_000, "../..", "a/b", "\0", [], {},
    ["x"], {"a": {}}, "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:20])
def test_hostile_values_are_refused_by_name(value: Any) -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    for path, sent in (
        ("sys/control-group/authorize", {"accessor": value, "number": value}),
        ("sys/control-group/authorize", {"accessor": asked.accessor, "number": value}),
        ("sys/control-group/request", {"accessor": value}),
        (f"approval/requests/{asked.accessor}/approve", {"number": value}),
        ("approval/requests/x/deny", {"reason": value}),
        ("sys/wrapping/unwrap", {"token": value}),
    ):
        reply = e.vault.write(path, sent, token=e.ann.token)
        assert reply.error is not None
        assert issubclass(reply.error, IronkeepError)
    assert e.vault.read(SECRET, data={"reason": value}, token=e.reader.token).error in {
        None, InvalidRequest,
    }  # fmt: skip
    assert e.vault.defects == []


def test_data_is_kept_as_it_was_or_refused() -> None:
    kept: dict[str, Any] = {"b": Decimal("1.50"), "a": [1, None, {"c": "é"}]}
    assert data_of(kept) == data_of({"a": kept["a"], "b": kept["b"]})
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"a": deep}
    for bad in ({"x": "\ud800"}, {"x": "y" * 70_000}, {"x": object()}, deep):
        with pytest.raises(InvalidRequest):
            data_of(bad)
