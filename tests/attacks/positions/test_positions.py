"""What attackers get from where they stand: attacker.py tries from each position but the thief's.

One server for all, on which somebody honest reads meanwhile and afterwards. Each secret holds a
word of its own, looked for in everything that the attacker was answered.
"""

import json
import os
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

import pytest
from joserfc.jwk import ECKey

from ironkeep.core.webauthn import webauthn
from ironkeep.testing.server import ServerProcess
from ironkeep.testing.tls import make_tls
from tests.attacks.positions.administrator import hidden
from tests.attacks.positions.client import BOUND
from tests.attacks.positions.database import HUNG, MARK, plain
from tests.attacks.positions.page import PAGES
from tests.attacks.positions.premises import CLASSES, NOTHING, SECONDS, Premises, Report, word
from tests.attacks.positions.stranger import ADDRESSES
from tests.attacks.positions.touches import lent
from tests.connectors.postgresql.hostile import Server
from tests.support.devices.device_estate import ADMIN, PASSWORD
from tests.support.devices.device_server import DeviceServer

pytestmark = pytest.mark.timeout(SECONDS)
WORKERS: Final = os.cpu_count() or 1
"""Guesses that may have been begun before the honest login came."""
BUDGET: Final = 4
REAL: Final = 3
"""Rules that are taken away behind a harmless one."""
MAKES: Final = """
path "secret/*" { capabilities = ["create", "read", "update", "list"] }
path "auth/token/create*" { capabilities = ["create", "update", "sudo"] }
path "auth/token/roles/*" { capabilities = ["create", "read", "update", "list"] }
path "auth/approle/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/control-group/*" { capabilities = ["create", "update"] }
path "approval/*" { capabilities = ["read", "update", "list"] }
path "device/*" { capabilities = ["create", "read", "update", "list"] }
path "incident/documents" { capabilities = ["create", "update"] }
"""
"""What a client may do that makes other tokens of its own, and asks for everything."""
DBA: Final = """
path "database/*" { capabilities = ["create", "read", "update", "sudo"] }
path "database/static-creds/*" { capabilities = ["deny"] }
"""
DESK: Final = """
path "auth/userpass/users/*" {
  capabilities = ["create", "read", "update"]
  denied_parameters = { "token_policies" = ["admin"] }
}
"""


@pytest.fixture(scope="module")
def premises(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    folder = tmp_path_factory.mktemp("premises")
    with ServerProcess.configured(folder, tls=make_tls(folder)) as process:
        keys = process.initialise(shares=3, threshold=2)
        with DeviceServer(process, folder) as server:
            made = Premises(server, folder, keys)
            made.prepare()
            yield made


def refused(report: Report) -> None:
    """Assert that the attacker got no secret, and that nothing broke."""
    assert report.secrets == NOTHING, report.rows
    assert report.defects == []


def test_a_stranger_on_the_network_gets_nothing(premises: Premises) -> None:
    victim, _ = premises.user("vic", [], 1)
    report = premises.attack("stranger", victim={"name": "vic", "password": PASSWORD})
    refused(report)
    assert report.let_in("N1", "ambiguous") == 0
    assert report.let_in("N1", "control") == 1, "the attacker knows how to be answered"
    assert report.let_in("N2") == 0
    assert report.let_in("N3") == 0
    assert report.let_in("N5") == 0
    assert report.let_in("N6") == 1
    assert report.let_in("N7") == 0
    assert report.statuses("N7")[0] == 0, "an unknown certificate costs nobody the connection"
    assert report.let_in("N8", "an honest login") == 1
    answered = report.statuses("N8", "answered before")
    assert answered.total() - answered[0] <= ADDRESSES + WORKERS
    # What is admitted: a name whose password was guessed too often is locked, as in Vault.
    assert report.let_in("N10") == 0
    assert premises.plain.send("GET", "auth/token/lookup-self", token=victim)[0] == 200


def test_a_stranger_takes_nothing_from_an_unsealing_that_has_begun(premises: Premises) -> None:
    mounts, first = premises.mounts(), premises.keys[0]
    premises.post("sys/seal")
    assert premises.post("sys/unseal", {"key": first})["progress"] == 1
    try:
        report = premises.run("stranger", premises.loot("unsealing", mounts, sealed=True))
    finally:
        still_sealed = premises.post("sys/unseal", {"key": premises.keys[1]})["sealed"]
        if still_sealed:
            premises.post("sys/unseal", {"key": first})  # others share this server
    assert report.step("N9")
    assert report.defects == []
    assert still_sealed is False
    assert premises.read(premises.plain)


def test_a_client_gets_its_budget_and_nothing_that_is_others(premises: Premises) -> None:
    maker = premises.policy("maker", MAKES)
    token, _ = premises.user("carl", [maker], BUDGET)
    asker, _ = premises.user("cora", [maker], 1_000)
    role = {"token_bound_cidrs": [BOUND], "allowed_policies": [maker], "orphan": True}
    premises.post("auth/token/roles/bound", role)
    bound = premises.post("auth/token/create/bound", {"policies": [maker]})
    desk = premises.post("auth/token/create", {"policies": [premises.policy("desk", DESK)]})
    texts = [word("two-person", 1), word("guarded", 1), "canary-two-person-999-lighthouse"]
    report = premises.attack(
        "client", token=token, asker=asker, bound=bound["auth"]["client_token"], policies=[maker],
        desk=desk["auth"]["client_token"], denied="admin", counts=CLASSES,
        device=premises.server.enrol("hanna", premises.honest).id,
        documents=[b64encode(text.encode()).decode() for text in texts],
    )  # fmt: skip
    assert report.defects == []
    assert 0 < report.secrets["open"] <= BUDGET
    assert (report.secrets["guarded"], report.secrets["two-person"]) == (0, 0)
    assert report.let_in("C1", "in a trailer") == 0
    assert report.let_in("C1", "control") == 1
    assert report.let_in("C2", "made and used") > 5, "it made tokens at home"
    assert report.let_in("C2", "from elsewhere") == 0
    assert report.let_in("C3", "who hold") == 0
    assert report.let_in("C4", "asked for") == 1
    assert report.let_in("C4", "tokens that") > 10
    assert report.let_in("C4", "approved by") == 0
    assert report.let_in("C4", "opened") == 0
    assert report.let_in("C6", "matches") == 0
    assert report.let_in("C7") == 0


def test_nothing_that_a_client_laid_by_outlives_its_containment(premises: Premises) -> None:
    maker = premises.policy("maker", MAKES)
    token, entity = premises.user("lena", [maker], 1_000)
    known = {"token": token, "policies": [maker]}
    report = premises.attack("client", "laid", laid=None, **known)
    laid = json.loads((premises.folder / "loot-laid" / "laid.json").read_text())
    assert report.defects == []
    assert len(laid["tokens"]) > 20
    assert len(laid["wraps"]) > 20
    eve = premises.server.login("eve")
    case = {"title": "lena", "subjects": f"person:{entity}", "start": "1h", "basis": "a test"}
    number = premises.post("incident/cases", case, eve)["data"]["id"]
    premises.post(f"incident/cases/{number}/contain", {}, eve)
    report = premises.attack("client", "later", laid=laid, **known)
    refused(report)
    assert report.let_in("C9") == 0


def test_a_page_in_a_browser_reads_nothing_and_locks_out_nobody(premises: Premises) -> None:
    token, _ = premises.user("ned", [premises.policy("maker", MAKES)], BUDGET)
    pat, at = premises.server.person("pat", []), "auth/passkey"
    premises.post(f"{at}/users/tia", {})
    ticket = premises.post(f"{at}/users/tia/ticket")["data"]["ticket"]
    assert premises.post(f"{at}/register/begin", {"ticket": ticket})["data"]["holder"]
    report = premises.attack(
        "page", token=token, victim={"name": "ned", "password": PASSWORD}, ticket=ticket,
        passkey=lent(pat),
    )  # fmt: skip
    refused(report)
    assert report.let_in("B1", "control") == 1
    assert report.let_in("B1", "a valid token, by") == 0
    assert report.let_in("B2", "a form") == 0
    assert report.let_in("B2", "the right password") == 1
    assert report.let_in("B3", "control") == len(PAGES)
    assert report.let_in("B3", "another page may") == 0
    assert report.let_in("B4", "control") == 2
    assert report.let_in("B4", "touches") == 0
    assert report.let_in("B5", "control") == 3
    assert report.let_in("B5", "history") == 0


def test_an_administrator_s_own_database_server_is_shown_nothing(premises: Premises) -> None:
    theirs = Server(plain, password=word("guarded", 0).encode())
    try:
        kept = {
            "plugin_name": "postgresql-database-plugin", "sslmode": "disable", "username": "admin",
            "host": f"127.0.0.1:{theirs.port}", "password": word("guarded", 0),
        }  # fmt: skip
        premises.post("database/config/main", {**kept, "allowed_roles": "*"})
        role = {"db_name": "main", "username": "app", "password": word("guarded", 0)}
        premises.post("database/static-roles/app", {**role, "skip_import_rotation": True})
        token, _ = premises.user("dora", [premises.policy("dba", DBA)], BUDGET)
        report = premises.attack(
            "database", token=token, connection="main", role="app", secret=word("guarded", 0)
        )
    finally:
        theirs.close()
    assert report.secrets == NOTHING
    assert "500" not in {status for row in report.rows for status in row["statuses"]}
    assert MARK not in report.everything
    assert report.let_in("D1", "without its password") == 0
    # Its own server still resets it; this one is no PostgreSQL of which stock could be taken.
    assert report.statuses("D1", "used afterwards") == {204: 1, 502: 1, 404: 1}
    assert report.let_in("D1", "at the attacker's") == 0
    # What is admitted: proofs that a password which somebody chose may be guessed from.
    assert report.let_in("D1", "proofs of") == 1
    assert report.let_in("D1", "the role's password itself") == 0
    assert report.let_in("D2", "passwords that") == 0
    assert report.let_in("D3", "to the end") == 0
    assert report.let_in("D4", "ended at another") == 1
    assert report.statuses("D4", "ended at another")[-1] == HUNG, "the others hung meanwhile"
    assert report.let_in("D5") == 0


def test_one_administrator_alone_weakens_no_rule_and_becomes_nobody(premises: Premises) -> None:
    paula = premises.server.person("paula", [])
    user = {"password": PASSWORD, "token_policies": [premises.policy("everything", ADMIN)]}
    premises.post("auth/userpass/users/ursula", user)
    before = premises.get("sys/classes/secret/two-person")
    report = one_administrator(
        premises, "mal", ["weaken", "take_over"],
        other="paula", key=webauthn.encode(paula.keys[0].credentials[-1].id), colleague="ursula",
    )  # fmt: skip
    assert report.let_in("A1", "the rule on") == 0
    assert premises.get("sys/classes/secret/two-person") == before
    assert report.let_in("A2", "of another person") == 0
    assert report.let_in("A2", "control") == 2
    assert premises.server.touch(paula)


def test_one_administrator_alone_lifts_no_limit_and_opens_no_glass(premises: Premises) -> None:
    admin = premises.policy("everything", ADMIN)
    premises.post("auth/approle/role/web", {"token_policies": [admin]})
    premises.post("sys/classes/auth/approle/role/web", {"class": "two-person"})
    premises.post("device/rules", {"privileged_policies": ["of nobody"]})
    premises.post("sys/auth/guarded", {"type": "userpass", "options": {"token_device": "required"}})
    for path in hidden(REAL):
        premises.post(f"sys/classes/{path}", {"class": "guarded"})
    steps = ["break_glass", "be_a_machine", "lift_limits", "let_in_a_device", "end_everything"]
    report = one_administrator(premises, "moe", [*steps, "hide_changes"], machine="web", real=REAL)
    for step in ("A3", "A5", "A7"):
        assert report.let_in(step) == 0, report.step(step)
    assert report.let_in("A4", "logins") == 0
    assert report.let_in("A6", "by one") == 0
    assert report.let_in("A9") == REAL + 1
    told = [each["path"] for each in premises.alerts()]
    assert all(any(path in each for each in told) for path in hidden(REAL))


def one_administrator(premises: Premises, name: str, steps: list[str], **known: Any) -> Report:
    """Attack as somebody who may do everything, and is alone."""
    admin = premises.policy("everything", ADMIN)
    person = premises.server.person(name, [admin])
    token = premises.server.touch(person)
    report = premises.attack(
        "administrator", name, token=token, entity=premises.entity(token), policies=[admin],
        passkey=lent(person), steps=steps, counts=CLASSES, **known,
    )  # fmt: skip
    refused(report)
    assert report.let_in("A0") > 10, "people and tokens were made"
    assert report.let_in("A8") == 0
    asked = [row["statuses"].get("429", 0) for row in report.rows if row["step"] != "A8"]
    assert not any(asked), "each was refused for what it is, not for asking often"
    return report


def test_a_machine_is_believed_what_it_signed_for_itself_and_now(premises: Premises) -> None:
    server, eve = premises.server, premises.server.login("eve")
    rights = 'path "device/*" { capabilities = ["create", "read", "update"] }'
    enrols = premises.policy("enrols", rights)
    mia, _ = premises.user("mia", [enrols], BUDGET)
    device, gone = server.enrol("mia", mia), server.enrol("mia", mia)
    other = server.enrol("hanna", premises.honest)
    certificate, private = server.certify(gone)
    with server.client(gone) as client:
        bound = server.login("mia", client)
    premises.post(f"device/revoke/{gone.id}", {"reason": "lost"}, eve)
    key = ECKey.generate_key("P-256")
    jwks = json.dumps({"keys": [{**key.as_dict(private=False), "kid": "k1"}]})
    issuer = {"iss": "https://mdm.example", "audience": "https://vault.example", "jwks": jwks}
    premises.post("device/ssf/issuers/mdm", {**issuer, "may": "compliance"})
    idp = json.dumps(
        {"keys": [{**ECKey.generate_key("P-256").as_dict(private=False), "kid": "k1"}]}
    )
    premises.post("device/ssf/issuers/idp", {**issuer, "iss": "https://idp.example", "jwks": idp})
    report = premises.attack(
        "machine", device={"id": device.id, "key": device.key_pem().decode()}, other=other.id,
        entity=premises.entity(premises.honest),
        gone={
            "certificate": certificate.read_text(), "private": private.read_text(), "name": "mia",
            "password": PASSWORD, "tokens": [bound],
        },
        issuer={
            **issuer, "other": "https://idp.example", "now_s": time.time_ns() // 10**9,
            "key": key.as_pem(private=True).decode(),
        },
    )  # fmt: skip
    refused(report)
    assert report.let_in("P1", "control") == 1
    assert report.let_in("P1", "of another") == 0
    assert report.let_in("P2", "taken for") == 0
    assert report.let_in("P2", "control") == 1
    assert report.let_in("P3", "control") == 1
    assert report.let_in("P3", "certificates for another") == 0
    assert report.let_in("P3", "names that") == 0
    assert report.let_in("P4") == 0
    assert report.let_in("P5", "control") == 1
    assert report.let_in("P5", "events of another") == 0
    # What it has no right to say is taken, as the protocol wants, and ends nobody's session.
    assert report.step("P5", "no right to")
    assert premises.read(premises.plain)
