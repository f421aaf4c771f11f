"""Who has an authenticator touches it for each approval, over the hash of the request."""

import json

from ironkeep.core.errors import PermissionDenied, StepUpNeeded
from ironkeep.core.webauthn.step_up import STATEMENT
from ironkeep.plugin.effects.answer import Answer
from tests.support.people.approval_estate import (
    APPROVER,
    OTHER,
    READER,
    SECRET,
    VALUE,
    Ask,
    approve,
    entries,
    told,
    unwrap,
)
from tests.support.people.passkeys import MOUNT, PasskeyVault, Person


def ready() -> tuple[PasskeyVault, str, Person]:
    """Return a vault, the token of somebody who reads, and an approver with an authenticator."""
    v = PasskeyVault()
    for path in (SECRET, OTHER):
        v.vault.write(path, {"data": {"password": VALUE}})
    v.vault.write("sys/policies/acl/reader", {"policy": READER})
    v.vault.write("sys/policies/acl/approver", {"policy": APPROVER})
    v.vault.write("sys/classes/secret/data/prod", {"class": "two-person"})
    reader = v.token(v.person("rob", token_policies=["reader"]))
    return v, reader, v.person("ann", token_policies=["approver"])


def ask(v: PasskeyVault, token: str, path: str = SECRET) -> Ask:
    return told(v.vault.read(path, token=token))


def touch(v: PasskeyVault, who: Person, answer: Answer) -> None:
    """Give the touch that an answer asks for."""
    demand = answer.step_up.rpartition("/")[2]
    shown = v.vault.read(f"{MOUNT}/step-up/{demand}", token=None).data
    signed = who.keys[0].get(shown["options"])
    given = v.ask(f"step-up/{demand}", credential=signed)
    assert given.error is None, given.body


def test_an_approval_takes_a_touch_and_its_entry_holds_the_evidence() -> None:
    v, reader, ann = ready()
    asked, token = ask(v, reader), v.token(ann)
    first = approve(v.vault, token, asked)
    assert first.error is StepUpNeeded
    touch(v, ann, first.answer)
    assert approve(v.vault, token, asked).data == {"approved": True}
    entry = [each for each in entries(v.vault) if each.path == "sys/control-group/authorize"][-1]
    statement = json.loads(str(entry.audited[STATEMENT]))
    digest = entry.audited["approval_digest"]
    assert statement["path"] == f"approval/requests/{asked.accessor} {digest}"
    assert unwrap(v.vault, reader, asked).data["data"] == {"password": VALUE}
    opened = [each for each in entries(v.vault) if each.released][-1]
    assert opened.audited["approval_digest"] == digest
    assert opened.audited["approval_touch"] == [entry.audited[STATEMENT]]


def test_a_touch_for_one_request_approves_no_other() -> None:
    v, reader, ann = ready()
    one, other, token = ask(v, reader), ask(v, reader, OTHER), v.token(ann)
    touch(v, ann, approve(v.vault, token, one).answer)
    assert approve(v.vault, token, other).error is StepUpNeeded
    assert unwrap(v.vault, reader, other).error is not None


def test_a_touch_approves_once_and_from_its_session() -> None:
    v, reader, ann = ready()
    asked, token = ask(v, reader), v.token(ann)
    touch(v, ann, approve(v.vault, token, asked).answer)
    assert approve(v.vault, v.token(ann), asked).error is StepUpNeeded
    assert approve(v.vault, token, asked).error is None


def test_a_touch_is_not_asked_before_the_number_is_right() -> None:
    v, reader, ann = ready()
    asked = ask(v, reader)
    wrong = 100 if asked.number != 100 else 101
    assert approve(v.vault, v.token(ann), asked, wrong).error is PermissionDenied
