"""A case from its opening to the proof, as a responder works on it, over the simulated database."""

from collections.abc import Callable
from typing import Any

import pytest

from ironkeep.core.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.pack import Pack, read_statement
from ironkeep.core.operation import Operation
from ironkeep.incident.verifier.reads import Answer, verify_reads
from ironkeep.incident.verifier.verifier import Level, verify_pack
from ironkeep.testing.parts import array, number, part, table, tables, text, texts
from tests.support.incident.incident_estate import Estate, opened

APP = "database/static-creds/app version 2"
KEY = "secret/backup/key version 1"


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def stolen(estate: Estate) -> str:
    """Steal the engineer's session, and read the database password with it."""
    token = estate.login("engineer")
    estate.read_password(token)
    return token


def labels(found: object, kind: str) -> set[str]:
    """The labels of one list of an exposure."""
    return {text(row, "label") for row in tables(found, kind)}


def test_a_case_ends_in_a_proof_that_others_verify(estate: Estate) -> None:
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    estate.evict(case)
    estate.state(case)
    verdict = estate.verdict(case)
    assert (verdict["outcome"], verdict["open_items"]) == ("PROVEN", [])
    report = verify_pack(estate.pack(case), estate.trust())
    assert (report.level, report.proven, report.cosigners) == (Level.VERIFIED, True, ("tower",))
    assert report.withheld == 0
    assert estate.vault.defects == []


def test_exposure_says_what_and_why(estate: Estate) -> None:
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    assert labels(found, "did_read") == labels(found, "could_read") == {APP}
    reached = {row["label"]: row for row in tables(found, "could_reach")}
    system = reached["system postgresql/db.example:5432"]
    assert [step["by"] for step in tables(system, "why")] == ["may-read", "opens"]
    assert reached[APP]["state"] == "exposed"
    assert part(found, "counts", "could_reach") == len(array(found, "could_reach"))


STEPS: list[tuple[str, str, str]] = [
    ("contain", "not contained", "person userpass-engineer"),
    ("rotate", "not revoked", APP),
    ("kill", "sessions not ended", APP),
    ("probe", "not presented", APP),
    ("sweep", "not swept", "system postgresql/db.example:5432"),
]


@pytest.mark.parametrize(("left_out", "check", "label"), STEPS)
def test_a_step_left_out_is_named(estate: Estate, left_out: str, check: str, label: str) -> None:
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    steps = [step for step, _, _ in STEPS]
    if left_out in {"contain", "rotate"}:
        steps = steps[: steps.index(left_out)]
    for step in steps:
        if step != left_out:
            estate.on(case, step)
    estate.state(case)
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    assert (check, label) in opened(verdict)
    todo = tables(estate.get(f"incident/cases/{case}/steps", estate.responder), "steps")
    assert any(step["check"] == check and f"{left_out} {case}" in text(step, "do") for step in todo)
    order = [number(step, "step") for step in todo]
    assert order == sorted(order)


def test_nothing_new_is_made_before_everybody_is_contained(estate: Estate) -> None:
    token = stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    before = estate.system.accounts["app"].password
    early = estate.request(Operation.UPDATE, f"incident/cases/{case}/rotate", {}, estate.responder)
    assert early.error is Conflict
    assert "contain first" in early.errors[0]
    assert estate.system.accounts["app"].password == before
    contained = tables(estate.on(case, "contain"), "contained")
    assert [each["tokens_ended"] for each in contained] == [1]
    gone = estate.request(Operation.READ, "database/static-creds/app", token=token)
    assert gone.error is PermissionDenied


def test_containing_ends_children_and_logins(estate: Estate) -> None:
    token = stolen(estate)
    child = estate.vault.request(
        Operation.UPDATE, "auth/token/create", {"ttl": "1h"}, token=token
    ).token
    estate.read_password(child)
    case = estate.open_case("person:engineer", start="5s")
    assert part(estate.on(case, "contain"), "contained", 0, "tokens_ended") == 2
    for each in (token, child):
        assert estate.request(Operation.READ, "database/static-creds/app", token=each).error
    again = estate.vault.request(
        Operation.UPDATE,
        "auth/userpass/login/engineer",
        {"password": "correct horse battery"},
        token=None,
    )
    assert again.error is PermissionDenied
    # Making a token with a stolen session is a foothold that somebody has to answer for.
    verdict = estate.verdict(case)
    item = next(i for i in tables(verdict, "open_items") if i["check"] == "foothold in vault")
    estate.on(case, "explain", item=item["item"], reason="ended with its parent")
    assert "foothold in vault" not in {check for check, _ in opened(estate.verdict(case))}


def test_a_stolen_token_is_a_case_of_its_own(estate: Estate) -> None:
    token = stolen(estate)
    accessor = estate.get("auth/token/lookup-self", token)["accessor"]
    case = estate.open_case(f"token:{accessor}", start="4s")
    estate.evict(case)
    estate.state(case)
    assert estate.verdict(case)["outcome"] == "PROVEN"
    # The person goes on with a new session: only the token was lost.
    estate.login("engineer")


def test_by_hand(estate: Estate) -> None:
    """What no connector manages is revoked by people, and reported with a receipt."""
    token = estate.login("colleague")
    estate.get("secret/data/app/mail", token)
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    told = {"secret": "secret/app/mail@1", "method": "reset", "receipt": "mail ticket 9"}
    done = tables(estate.on(case, "rotate", **told), "rotated")
    assert [each["detail"] for each in done] == ["as reported: another person has to confirm it"]
    path = f"incident/cases/{case}/rotate"
    for missing in ("method", "receipt"):
        data = {key: value for key, value in told.items() if key != missing}
        assert (
            estate.request(Operation.UPDATE, path, data, estate.responder).error is InvalidRequest
        )
    other = {**told, "secret": "secret/backup/key@1"}
    assert estate.request(Operation.UPDATE, path, other, estate.responder).error is InvalidRequest
    verdict = estate.verdict(case)
    assert ("no verifier", "secret/app/mail version 1") in opened(verdict)
    given = {"item": "secret/app/mail version 1", "reason": "the mail system is gone", "ttl": "24h"}
    estate.on(case, "exempt", **given)
    verdict = estate.verdict(case)
    assert ("no verifier", "secret/app/mail version 1") not in opened(verdict)
    assert {each["owner"] for each in tables(verdict, "exemptions")} == {"userpass-responder"}
    estate.vault.clock.advance(seconds=86_400)
    assert ("no verifier", "secret/app/mail version 1") in opened(estate.verdict(case))


def test_a_start_that_is_empty_is_refused(estate: Estate) -> None:
    """An empty variable of a script must not begin the case now."""
    given = {"title": "t", "subjects": "person:engineer", "basis": "b"}
    for start in ("", " "):
        told = {**given, "start": start}
        answer = estate.request(Operation.UPDATE, "incident/cases", told, estate.responder)
        assert answer.error is InvalidRequest


def test_links_from_metadata_and_by_hand(estate: Estate) -> None:
    custom = {"ironkeep-opens": "system:mail, store:archive", "ironkeep-wraps": "backup/key"}
    estate.must("secret/metadata/app/mail", {"custom_metadata": custom})
    link = {"source": "store:archive", "kind": "backs-up", "targets": "backup:tapes", "basis": "x"}
    estate.must("incident/links", link, estate.responder)
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    reached = labels(found, "could_reach")
    assert {"system mail", "store archive", "backup tapes", KEY} <= reached
    listed = estate.request(Operation.LIST, "incident/links/", token=estate.responder).data
    links = table(listed, "key_info").items()
    name = next(k for k, v in links if part(v, "source") == "store:archive")
    gone = estate.request(Operation.DELETE, f"incident/links/{name}", token=estate.responder)
    assert gone.error is None
    after = estate.request(Operation.LIST, "incident/links/", token=estate.responder).data
    assert name not in texts(after, "keys")
    # It held when the secret leaked, so what it led to stays exposed.
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    assert "backup tapes" in labels(found, "could_reach")


def test_gates_need_all_their_inputs(estate: Estate) -> None:
    gate = {
        "gate": "restore",
        "need": 2,
        "kind": "decrypts",
        "known": "secret/backup/key",
        "live": "database/static-creds/app",
        "targets": "backup:tapes",
        "basis": "how backups are made",
    }
    estate.must("incident/links", gate, estate.responder)
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    assert "backup tapes" not in labels(found, "could_reach")
    again = estate.request(Operation.UPDATE, "incident/links", gate, estate.responder)
    assert again.error is InvalidRequest


def test_widening(estate: Estate) -> None:
    stolen(estate)
    case = estate.open_case("person:engineer", start="2s")
    estate.get("secret/data/app/mail", estate.login("colleague"))
    data = {"basis": "the proxy's log", "subjects": "person:colleague", "start": "10s"}
    widened = estate.on(case, "widen", **data)
    assert len(array(widened, "subjects")) == 2
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    assert {APP, "secret/app/mail version 1"} <= labels(found, "could_read")
    later = {"basis": "x", "start": "1s"}
    path = f"incident/cases/{case}/widen"
    assert estate.request(Operation.UPDATE, path, later, estate.responder).error is InvalidRequest
    listed = estate.request(Operation.LIST, "incident/cases/", token=estate.responder).data
    assert listed["keys"] == [case]
    shown = estate.get(f"incident/cases/{case}", estate.responder)
    assert shown["outcome"] == "NOT PROVEN"


def test_the_window_begins_with_the_case_and_brings_the_scope_along(estate: Estate) -> None:
    estate.vault.clock.advance(seconds=3600)
    stolen(estate)
    case = estate.open_case("person:engineer", start="5s")
    estate.evict(case)
    estate.state(case)
    raw = estate.pack(case)
    pack, _ = read_statement(dsse.decode(raw))
    assert isinstance(pack, Pack)
    (log,) = pack.logs
    assert log.start > 20
    earlier = [each for each in log.entries if each.index < log.start]
    tags = {each.body.partition('"incident":"')[2].partition('"')[0] for each in earlier}
    assert tags >= {"linked", "baselined"}
    assert verify_pack(raw, estate.trust()).proven


@pytest.mark.parametrize(
    "change",
    [
        lambda data: {**data, "start": "yesterday"},
        lambda data: {**data, "start": "2099-01-01T00:00:00Z"},
        lambda data: {**data, "start": "2026-01-01T00:00:00"},
        lambda data: {**data, "subjects": []},
        lambda data: {**data, "subjects": ["nobody at all"]},
        lambda data: {**data, "subjects": ["system:mail"]},
        lambda data: {**data, "subjects": ["person:\ud800"]},
        lambda data: {**data, "subjects": ["x" * 5000]},
        lambda data: {**data, "title": " "},
        lambda data: {**data, "basis": "two\nlines"},
        lambda data: {key: value for key, value in data.items() if key != "basis"},
    ],
)
def test_a_case_that_makes_no_sense_is_refused(
    estate: Estate, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    good = {"title": "t", "subjects": ["person:engineer"], "start": "1s", "basis": "b"}
    stolen(estate)
    reply = estate.request(Operation.UPDATE, "incident/cases", change(good), estate.responder)
    assert reply.error is InvalidRequest
    assert estate.vault.defects == []
    assert estate.must("incident/cases", good, estate.responder)["id"] == "1"


def test_a_case_that_is_not_there(estate: Estate) -> None:
    for case in ("1", "0", "-1", "01", "x", "9" * 30, "٣"):
        reply = estate.request(
            Operation.READ, f"incident/cases/{case}/verdict", token=estate.responder
        )
        assert reply.error is NotFound
    assert estate.request(Operation.LIST, "incident/cases/", token=estate.responder).error
    assert estate.vault.defects == []


def test_what_was_changed_of_the_root_is_shown(estate: Estate) -> None:
    token = stolen(estate)
    child = estate.request(Operation.UPDATE, "auth/token/create", {"ttl": "1h"}, token)
    assert child.error is None
    estate.must("sys/policies/acl/new", {"policy": 'path "x" { capabilities = ["read"] }'})
    case = estate.open_case("person:engineer", start="5s")
    found = estate.get(f"incident/cases/{case}/check-root", estate.responder)
    assert set(found) == set(ev.ROOT_ITEMS)
    created = tables(found, "root:administrators", "changed")
    assert [(one["path"], one["exposed"]) for one in created] == [("auth/token/create", True)]
    assert part(found, "root:policies", "now") == ["new"]
    (changed,) = tables(found, "root:policies", "changed")
    assert changed["path"] == "sys/policies/acl/new"
    assert len(array(found, "root:administrators", "now")) == 1
    told = estate.on(case, "check-root", item="administrators", sound=False)
    assert told["detail"] == "1 changes since the case's start, 1 of them by somebody exposed"


def test_root_items_are_named(estate: Estate) -> None:
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    path = f"incident/cases/{case}/check-root"
    wrong = {"item": "cellar", "sound": True, "detail": "x"}
    assert estate.request(Operation.UPDATE, path, wrong, estate.responder).error is InvalidRequest
    estate.on(case, "check-root", item="policies", sound=False, detail="a stranger's policy")
    assert ("root unsound", ev.ROOT_ITEMS[1]) in opened(estate.verdict(case))


def test_who_read_a_secret_is_stated_for_others(estate: Estate) -> None:
    stolen(estate)
    estate.witness()
    asked = {"start": "1h"}
    for secret, answer, count in (
        ("database/static-creds/app", Answer.READ, 1),
        ("secret/backup/key", Answer.NOT_READ, 0),
    ):
        estate.vault.clock.advance(seconds=1)
        data = {"secret": secret, **asked}
        request = estate.vault.asked(Operation.READ, "incident/did-read", data, estate.responder)
        body = estate.vault.settle(estate.vault.pipeline.handle(request)).body
        assert body is not None
        report = verify_reads(body, estate.trust())
        assert (report.answer, len(report.reads)) == (answer, count), report
    assert estate.vault.defects == []


def asked_of(estate: Estate, secret: str, **data: object) -> tuple[bytes | None, str]:
    """Ask who read a secret; return the statement, and the words of a refusal."""
    estate.vault.clock.advance(seconds=1)
    estate.vault.flush()
    estate.witness()
    given = {"secret": secret, "start": "1h", **data}
    vault = estate.vault
    request = vault.asked(Operation.READ, "incident/did-read", given, estate.responder)
    answer = vault.settle(vault.pipeline.handle(request))
    if answer.error is not None:
        assert answer.error in {NotFound, InvalidRequest}
        return None, (answer.body or b"").decode()
    return answer.body, ""


def test_no_statement_is_signed_about_a_secret_that_never_existed(estate: Estate) -> None:
    for misspelt in (
        "secret/app/mial",
        "secret/app/mail/",
        "secret/app/mial@1",
        "secret/ap/mail",
        "secret/app/mail@9",
        "database/static-creds/app@9",
    ):
        # Attempts to read it, and to remove it, do not make it exist.
        estate.request(Operation.READ, f"secret/data/{misspelt.removeprefix('secret/')}")
        estate.request(Operation.DELETE, f"secret/data/{misspelt.removeprefix('secret/')}")
        made, words = asked_of(estate, misspelt)
        assert made is None
        assert "neither the vault nor its journal knows" in words
        # The responder may not read these secrets, and so is told no names.
        assert "app/mail" not in words.replace(misspelt, "")
    assert "this log is the vault's first" in asked_of(estate, "secret/app/mial", removed=True)[1]
    allowed = 'path "secret/data/*" { capabilities = ["read"] }'
    rules = estate.get("sys/policies/acl/responder")["policy"]
    estate.must("sys/policies/acl/responder", {"policy": f"{rules}{allowed}"})
    assert "did you mean secret/app/mail?" in asked_of(estate, "secret/app/mial")[1]


def test_a_secret_that_was_destroyed_is_answered_for(estate: Estate) -> None:
    for path in ("read/once", "written/only", "deleted/version"):
        estate.must(f"secret/data/{path}", {"data": {"password": "p"}})
    estate.get("secret/data/read/once")
    estate.request(Operation.DELETE, "secret/data/deleted/version")
    for path in ("read/once", "written/only"):
        estate.request(Operation.DELETE, f"secret/metadata/{path}")
    for path, answer in (
        ("read/once", Answer.READ), ("written/only", Answer.NOT_READ),
        ("deleted/version", Answer.NOT_READ), ("deleted/version@1", Answer.NOT_READ),
    ):  # fmt: skip
        made, words = asked_of(estate, f"secret/{path}")
        assert made is not None, words
        assert verify_reads(made, estate.trust()).answer == answer


@pytest.mark.parametrize("secret", ["", "nowhere/x", "secret/app/mail@x@y", "x" * 9_000])
def test_a_secret_that_makes_no_sense_is_refused(estate: Estate, secret: str) -> None:
    estate.witness()
    reply = estate.request(
        Operation.READ, "incident/did-read", {"secret": secret, "start": "1h"}, estate.responder
    )
    assert reply.error in {InvalidRequest, NotFound}
    assert estate.vault.defects == []
