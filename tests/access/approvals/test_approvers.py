"""Who may approve, and until when: one hand counts once, and an approval ends with its approver."""

from collections.abc import Callable
from typing import Final

import msgspec
import pytest

from ironkeep.access.classes.classes import Rule
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import MountUuid
from ironkeep.identity.people import APART
from ironkeep.store.reserved import MOUNTS
from ironkeep.store.state import Tx
from tests.support.people.approval_estate import (
    APPROVER,
    READER,
    SECRET,
    Estate,
    approve,
    ask,
    estate,
    told,
    unwrap,
)
from tests.support.people.passkeys import MOUNT, PasskeyVault
from tests.support.people.people import person


def _disabled(e: Estate, tx: Tx, now_ns: int) -> None:
    identity = e.vault.house.identity
    entity = identity.get(tx, e.ann.entity)
    assert entity is not None
    identity.update(tx, msgspec.structs.replace(entity, disabled=True), now_ns)


ENDS: Final[dict[str, Callable[[Estate, Tx, int], object]]] = {
    "disabled": _disabled,
    "removed": lambda e, tx, now: e.vault.house.identity.delete(tx, e.ann.entity, now),
    "revoked": lambda e, tx, now: e.vault.house.tokens.revoke_entity_before(
        tx, e.ann.entity, now, now
    ),
}


def _do(e: Estate, deed: Callable[[Estate, Tx, int], object]) -> None:
    tx = e.vault.house.state.begin()
    deed(e, tx, e.vault.clock.now_ns())
    tx.merge()
    e.vault.flush()


@pytest.mark.parametrize("end", ENDS)
def test_an_approval_ends_with_its_approver(end: str) -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    assert approve(e.vault, e.ann, asked).data == {"approved": True}
    _do(e, ENDS[end])
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest
    # Somebody else's takes its place.
    assert approve(e.vault, e.ben, asked).data == {"approved": True}
    assert unwrap(e.vault, e.reader, asked).error is None


def test_a_contained_approver_has_approved_nothing() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    approve(e.vault, e.ann, asked)
    e.vault.clock.advance(seconds=5)
    e.vault.tick(1)
    case = {"title": "t", "subjects": f"person:{e.ann.entity}", "start": "1h", "basis": "b"}
    assert e.vault.write("incident/cases", case).error is None
    assert e.vault.write("incident/cases/1/contain").error is None
    assert unwrap(e.vault, e.reader, asked).error is InvalidRequest


def test_a_session_that_has_merely_ended_takes_no_approval_along() -> None:
    e = estate()
    asked = ask(e.vault, e.reader)
    approve(e.vault, e.ann, asked)
    e.vault.write("auth/token/revoke", {"token": e.ann.token})
    assert unwrap(e.vault, e.reader, asked).error is None


def test_an_approval_ends_with_the_authenticator_that_was_touched_for_it() -> None:
    v = PasskeyVault()
    v.vault.write(SECRET, {"data": {"password": "x"}})
    v.vault.write("sys/policies/acl/reader", {"policy": READER})
    v.vault.write("sys/policies/acl/approver", {"policy": APPROVER})
    v.vault.write("sys/classes/secret/data/prod", {"class": "two-person"})
    reader = v.token(v.person("rob", token_policies=["reader"]))
    ann = v.person("ann", token_policies=["approver"])
    asked, token = told(v.vault.read(SECRET, token=reader)), v.token(ann)
    demand = approve(v.vault, token, asked).answer.step_up.rpartition("/")[2]
    shown = v.vault.read(f"{MOUNT}/step-up/{demand}", token=None).data
    given = v.ask(f"step-up/{demand}", credential=ann.keys[0].get(shown["options"]))
    assert given.error is None
    assert approve(v.vault, token, asked).data == {"approved": True}
    house, tx = v.vault.house, v.vault.house.state.begin()
    entity = v.session(token).record.entity
    used = max(house.features.authenticators.of(tx, entity), key=lambda each: each.used_ns)
    house.features.authenticators.remove(tx, used, "lost", v.vault.clock.now_ns())
    tx.merge()
    v.vault.flush()
    assert unwrap(v.vault, reader, asked).error is InvalidRequest


def test_a_group_is_a_policy_in_any_spelling() -> None:
    e = estate(group="APPROVER")
    assert e.vault.read("sys/classes/secret/data/prod").data["group"] == "approver"
    assert approve(e.vault, e.ann, ask(e.vault, e.reader)).data == {"approved": True}


def test_a_group_that_was_stored_as_it_was_typed_is_the_same() -> None:
    e = estate()

    def store(e: Estate, tx: Tx, now_ns: int) -> None:
        rule = Rule(mounts_of(e)["secret/"], "prod", "two-person", 1, "Approver")
        e.vault.house.features.classes.put(tx, rule, now_ns)

    _do(e, store)
    assert approve(e.vault, e.ann, ask(e.vault, e.reader)).data == {"approved": True}


def mounts_of(e: Estate) -> dict[str, MountUuid]:
    """Return the uuids of all mounts by their paths."""
    house, tx = e.vault.house, e.vault.house.state.begin()
    by_path = house.mounts.table(house.store(tx, MOUNTS)).by_path
    return {path: mount.uuid for path, mount in by_path.items()}


def test_two_who_were_set_up_by_one_person_are_one_hand() -> None:
    e = estate(approvals=2)
    text = 'path "auth/userpass/users/*" { capabilities = ["create", "update"] }'
    e.vault.write("sys/policies/acl/makes", {"policy": text})
    admin = person(e.vault, "admin", ["makes"])
    tokens = []
    for name in ("one", "two"):
        user = {"password": "correct horse battery", "token_policies": "approver"}
        e.vault.write(f"auth/userpass/users/{name}", user, token=admin.token)
        login = {"password": "correct horse battery"}
        reply = e.vault.write(f"auth/userpass/login/{name}", login, token=None)
        tokens.append(reply.token)
    asked = ask(e.vault, e.reader)
    assert approve(e.vault, tokens[0], asked).error is None
    refused = approve(e.vault, tokens[1], asked)
    assert "you count as one: " + APART in refused.errors[0]
    assert approve(e.vault, e.ben, asked).data == {"approved": True}


def test_whom_a_root_token_gave_a_password_anew_is_a_person_of_their_own() -> None:
    e = estate()
    texts = {
        "makes": 'path "auth/userpass/users/*" { capabilities = ["create", "update"] }',
        "opens": 'path "secret/*" { capabilities = ["read"] }',
    }
    for name, text in texts.items():
        e.vault.write(f"sys/policies/acl/{name}", {"policy": text})
    admin = person(e.vault, "admin", ["makes"])
    login = {"password": "correct horse battery"}

    def made(name: str, by: str | None) -> str:
        user = {**login, "token_policies": ["approver", "opens"]}
        e.vault.write(f"auth/userpass/users/{name}", user, **({} if by is None else {"token": by}))
        reply = e.vault.write(f"auth/userpass/login/{name}", login, token=None)
        return reply.token

    one, two = made("one", admin.token), made("two", admin.token)
    asked = told(e.vault.read(SECRET, token=one))
    refused = approve(e.vault, two, asked)
    assert APART in refused.errors[0]
    assert approve(e.vault, made("two", None), asked).data == {"approved": True}


def test_other_names_of_one_person_do_not_flood_approvers() -> None:
    e = estate()
    text = 'path "auth/token/create/ci" { capabilities = ["update"] }'
    e.vault.write("sys/policies/acl/makes", {"policy": text})
    role = {"allowed_entity_aliases": "*", "allowed_policies": "reader", "orphan": True}
    e.vault.write("auth/token/roles/ci", role)
    bob = person(e.vault, "bob", ["reader", "makes"])
    for name in ("a", "b", "c", "d"):
        made = e.vault.write("auth/token/create/ci", {"entity_alias": name}, token=bob.token)
        reply = e.vault.read(SECRET, token=made.token)
        assert (reply.error is None) == (name != "d")
