"""What attackers get from where they stand: attacker.py tries from each position but the thief's.

One server for all, on which somebody honest reads meanwhile and afterwards. Each secret holds a
word of its own, looked for in everything that the attacker was answered.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.attacks.client import BOUND
from tests.attacks.database import HUNG, MARK, plain
from tests.attacks.page import PAGES
from tests.attacks.premises import CLASSES, NOTHING, SECONDS, Premises, Report, word
from tests.attacks.stranger import ADDRESSES, GUESSES
from tests.connectors.hostile import Server

from ironkeep.core import webauthn
from ironkeep.testing.device_estate import PASSWORD
from ironkeep.testing.server import ServerProcess
from ironkeep.testing.tls import make_tls

pytestmark = pytest.mark.timeout(SECONDS)
WORKERS: Final = 8
"""More than are hashed at once: guesses that were begun before the honest login came."""
BUDGET: Final = 4
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
        process.initialise()
        made = Premises(process, folder)
        with made.server:
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
    assert report.let_in("N8", "an honest login") == 1
    answered = report.statuses("N8", "answered before")
    assert answered.total() - answered[0] <= ADDRESSES + WORKERS < ADDRESSES * GUESSES
    # What is admitted: a name whose password was guessed too often is locked, as in Vault.
    assert report.let_in("N10") == 0
    assert premises.plain.send("GET", "auth/token/lookup-self", token=victim)[0] == 200


def test_a_client_gets_its_budget_and_nothing_that_is_others(premises: Premises) -> None:
    maker = premises.policy("maker", MAKES)
    token, _ = premises.user("carl", [maker], BUDGET)
    role = {"token_bound_cidrs": [BOUND], "allowed_policies": [maker], "orphan": True}
    premises.post("auth/token/roles/bound", role)
    bound = premises.post("auth/token/create/bound", {"policies": [maker]})
    desk = premises.post("auth/token/create", {"policies": [premises.policy("desk", DESK)]})
    texts = [word("two-person", 1), word("guarded", 1), "canary-two-person-999-lighthouse"]
    report = premises.attack(
        "client", token=token, bound=bound["auth"]["client_token"], policies=[maker],
        desk=desk["auth"]["client_token"], denied="admin", counts=CLASSES,
        device=premises.server.enrol("hanna").id,
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
    assert report.let_in("C4", "asked for") > 1, "it asked, and made tokens to approve with"
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
    key = pat.keys[0].credentials[-1]
    premises.post(f"{at}/users/tia", {})
    ticket = premises.post(f"{at}/users/tia/ticket")["data"]["ticket"]
    assert premises.post(f"{at}/register/begin", {"ticket": ticket})["data"]["holder"]
    pem = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    report = premises.attack(
        "page", token=token, victim={"name": "ned", "password": PASSWORD}, ticket=ticket,
        passkey={
            "name": "pat", "key": pem.decode(), "credential": webauthn.encode(key.id),
            "handle": webauthn.encode(key.handle), "rp_id": key.rp_id, "counter": key.counter,
        },
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
        premises.post("database/config/main", kept)
        manages = 'path "database/*" { capabilities = ["create", "read", "update", "sudo"] }'
        token, _ = premises.user("dora", [premises.policy("dba", manages)], BUDGET)
        report = premises.attack("database", token=token, connection="main")
    finally:
        theirs.close()
    assert report.secrets == NOTHING
    assert "500" not in {status for row in report.rows for status in row["statuses"]}
    assert MARK not in report.everything
    assert report.let_in("D1", "without its password") == 0
    assert report.let_in("D1", "used afterwards") == 3
    assert report.let_in("D1", "at the attacker's") == 0
    assert report.let_in("D2", "passwords that") == 0
    assert report.let_in("D3", "to the end") == 0
    assert report.let_in("D4", "ended at another") == 1
    assert report.statuses("D4", "ended at another")[-1] == HUNG, "the others hung meanwhile"
    assert report.let_in("D5") == 0
