"""incident: a case worked on from the command line, against a real server."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironkeep.testing.server import Done, ServerProcess

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on which an engineer has read a secret."""
    with ServerProcess.development(tmp_path_factory.mktemp("incident")) as server:
        server.api("POST", "sys/auth/userpass", {"type": "userpass"})
        policy = 'path "secret/data/app" { capabilities = ["read"] }'
        server.api("PUT", "sys/policies/acl/app", {"policy": policy})
        server.api("PUT", "secret/data/app", {"data": {"password": "canary-of-an-incident"}})
        server.api("PUT", "secret/data/key", {"data": {"key": "canary-of-a-key"}})
        user = {"password": PASSWORD, "token_policies": "app"}
        server.api("PUT", "auth/userpass/users/jo", user)
        token = server.api("PUT", "auth/userpass/login/jo", {"password": PASSWORD})
        server.token = token["auth"]["client_token"]
        server.api("GET", "secret/data/app")
        server.token = "root"
        yield server


def person(server: ServerProcess, name: str) -> str:
    """Return the token of a new person who may work on cases."""
    policy = 'path "incident/*" { capabilities = ["create", "read", "update", "list", "sudo"] }'
    server.api("PUT", "sys/policies/acl/cases", {"policy": policy})
    user = {"password": PASSWORD, "token_policies": "cases"}
    server.api("PUT", f"auth/userpass/users/{name}", user)
    login = server.api("PUT", f"auth/userpass/login/{name}", {"password": PASSWORD})
    token: str = login["auth"]["client_token"]
    return token


def incident(server: ServerProcess, *words: str) -> Done:
    return server.cli("incident", *words)


@pytest.fixture(scope="module")
def case(server: ServerProcess) -> str:
    words = ("open", "-title=a laptop fell", "-start=30s", "-basis=last good image", "person:jo")
    done = incident(server, *words, "-format=json")
    assert done.code == 0, done.err
    number: str = done.json()["data"]["id"]
    return number


def test_a_case_from_the_command_line(server: ServerProcess, case: str) -> None:
    assert "a laptop fell" in incident(server, "list").out
    shown = incident(server, "show", case).out
    assert "NOT PROVEN" in shown
    exposure = incident(server, "exposure", case).out
    assert exposure.startswith("Did read (the journal proves it): 1\n")
    assert "secret/app version 1" in exposure
    assert "did-read" in exposure
    # Each secret has one row, at its first level, and the counts say so.
    title = "Could have read (the policies of that time): 1, 1 of them above"
    assert f"{title}, not worked out in full\n" in exposure
    assert "could have read has not been worked out since its survey" in exposure
    steps = incident(server, "steps", case).out
    assert f"ironkeep incident contain {case}" in steps
    verdict = incident(server, "verdict", case)
    assert verdict.code == 3
    assert verdict.out.startswith("NOT PROVEN: open: 1\n")
    assert f"Scope:  case {case}: person userpass-jo" in verdict.out
    contained = incident(server, "contain", case)
    assert contained.code == 0
    assert "person userpass-jo" in contained.out
    by_hand = ("-secret=secret/app@1", "-method=reset", "-receipt=ticket 12")
    assert "revoked" in incident(server, "rotate", case, *by_hand).out
    root = incident(server, "root", case).out
    assert "root:policies: 0 changes since the case's start" in root or "sys/policies" in root
    checked = incident(server, "check-root", case, "policies", "-detail=as set up")
    assert "root:policies" in checked.out
    assert incident(server, "residue", case, "seen stays seen").code == 0
    item = "secret/app version 1"
    exempt = incident(server, "exempt", case, item, "-reason=no verifier", "-ttl=24h")
    assert exempt.code == 0, exempt.err
    assert "confirm" in exempt.out
    # A root token belongs to nobody, so it confirms nothing.
    entry = next(word for word in exempt.out.split() if word.startswith("entry:"))
    confirmed = incident(server, "confirm", case, entry)
    assert confirmed.code == 2
    assert "a confirmation takes a person" in confirmed.err
    server.token = person(server, "amy")
    again = incident(server, "confirm", case, entry)
    server.token = "root"
    assert again.code == 0, again.err
    assert entry in again.out
    assert "canary" not in exposure + verdict.out + contained.out


def test_the_pack_is_written_for_its_owner_and_verified_offline(
    server: ServerProcess, case: str, tmp_path: Path
) -> None:
    pack, keys = tmp_path / "case.pack", tmp_path / "keys.txt"
    done = incident(server, "pack", case, f"-out={pack}")
    assert done.code == 0, done.err
    assert stat.S_IMODE(pack.stat().st_mode) == 0o600
    assert incident(server, "trust", f"-out={keys}").code == 0
    assert incident(server, "trust").out == keys.read_text()
    nowhere = {"VAULT_ADDR": "http://127.0.0.1:1"}
    checked = server.cli("verify", str(pack), f"-trust={keys}", env=nowhere)
    assert checked.code == 3
    # A development server has no witnesses, and a log without any is not proof.
    assert "no quorum of witnesses has cosigned the log" in checked.out
    raw = bytearray(pack.read_bytes())
    raw[len(raw) // 2] ^= 1
    pack.write_bytes(raw)
    assert server.cli("verify", str(pack), f"-trust={keys}", env=nowhere).code == 6


def save(envelope: object, path: Path) -> None:
    """Write a signed envelope in its canonical encoding."""
    path.write_text(json.dumps(envelope, separators=(",", ":")))


def test_what_was_recorded_just_before_is_in_the_pack(
    server: ServerProcess, case: str, tmp_path: Path
) -> None:
    pack = tmp_path / "case.pack"
    for number in range(3):
        # At once, from one process: the next checkpoint is up to a second away.
        said = f"what was seen stays seen, part {number}"
        server.api("PUT", f"incident/cases/{case}/residue", {"words": said})
        save(server.api("GET", f"incident/cases/{case}/pack"), pack)
        assert said in server.cli("verify", str(pack)).out


def test_a_read_just_before_is_in_the_statement(server: ServerProcess, tmp_path: Path) -> None:
    stated, about = tmp_path / "reads", "incident/did-read?secret=secret/seen&start=1h"
    server.api("PUT", "secret/data/seen", {"data": {"key": "canary-that-is-seen"}})
    for number in range(1, 4):
        server.api("GET", "secret/data/seen")
        save(server.api("GET", about), stated)
        checked = server.cli("verify", str(stated))
        assert checked.out.count("token-root") == number, checked.out


def test_opening_and_containing_is_one_document(server: ServerProcess) -> None:
    user = {"password": PASSWORD, "token_policies": "app"}
    server.api("PUT", "auth/userpass/users/lee", user)
    server.api("PUT", "auth/userpass/login/lee", {"password": PASSWORD})
    words = ("open", "-contain", "-title=t", "-start=1s", "-basis=b", "person:lee")
    opened = incident(server, *words, "-format=json")
    data = opened.json()["data"]
    assert [each["principal"] for each in data["contained"]] == ["person userpass-lee"]
    assert opened.err == f"case {data['id']} is open\n"
    again = incident(server, *words, "-field=id")
    assert (again.code, again.out) == (0, str(int(data["id"]) + 1))


def test_no_case_is_an_empty_list(tmp_path: Path) -> None:
    with ServerProcess.development(tmp_path) as fresh:
        done = incident(fresh, "list", "-format=json")
        assert (done.code, done.json()) == (2, [])


def test_a_case_that_contains_at_once(server: ServerProcess) -> None:
    server.api("PUT", "auth/userpass/users/kim", {"password": PASSWORD, "token_policies": "app"})
    server.api("PUT", "auth/userpass/login/kim", {"password": PASSWORD})
    words = ("open", "-contain", "-title=t", "-start=1s", "-basis=b", "person:kim")
    done = incident(server, *words)
    assert done.code == 0, done.err
    assert "Tokens ended" in done.out
    number = done.out.split()[done.out.split().index("id") + 1]
    assert "ironkeep incident contain" not in incident(server, "steps", number).out


def test_a_document_that_a_sealed_segment_may_hold(server: ServerProcess, tmp_path: Path) -> None:
    key = server.api("PUT", "segment/segments/far", {"secret_shares": 1, "secret_threshold": 1})
    options = {"version": "2", "segment": "far"}
    server.api("PUT", "segment/segments/far/unseal", {"key": key["data"]["keys"][0]})
    server.api("PUT", "sys/mounts/far", {"type": "kv", "options": options})
    server.api("PUT", "segment/segments/far/seal", {})
    leak = tmp_path / "short.txt"
    leak.write_text("short and without a secret")
    found = incident(server, "document", str(leak)).out
    assert "not compared with 1 sealed mounts" in found
    assert "submit it in parts" not in found
    server.api("PUT", "segment/segments/far/unseal", {"key": key["data"]["keys"][0]})


def test_documents(server: ServerProcess, tmp_path: Path) -> None:
    cipher = tmp_path / "key.enc"
    cipher.write_bytes(b"ciphertext of the key")
    named = ("-name=copy of the key", "-wraps=secret/key@1", "-opened-by=secret/app@1")
    registered = incident(server, "register-copy", *named, str(cipher))
    assert registered.code == 0, registered.err
    leak = tmp_path / "leak.txt"
    leak.write_text("password: canary-of-an-incident\n")
    found = incident(server, "document", str(leak)).out
    assert found == "document:leak.txt is on record.\n  contains secret/app@1\n"
    assert (
        "registered copy document:copy of the key" in incident(server, "document", str(cipher)).out
    )
    leak.write_text("nothing of ours")
    assert "contains no secret" in incident(server, "document", "-name=other", str(leak)).out


@pytest.mark.usefixtures("case")
def test_what_is_wrong_is_said(server: ServerProcess) -> None:
    missing = incident(server, "verdict", "99")
    assert missing.code == 2
    assert "there is no case" in missing.err
    assert incident(server, "pack", "99").code == 2
    assert incident(server, "open", "person:jo").code == 1
    nobody = ("open", "-title=t", "-start=1h", "-basis=b", "person:nobody")
    assert "no person 'nobody'" in incident(server, *nobody).err
    both = json.loads(incident(server, "list", "-format=json").out)
    assert "99" not in both["data"]["keys"]


def test_a_statement_of_reads_is_written_and_verified_offline(
    server: ServerProcess, tmp_path: Path
) -> None:
    keys = tmp_path / "trust"
    keys.write_text(server.api("GET", "incident/trust")["data"]["trust"])
    nowhere = {"VAULT_ADDR": "http://127.0.0.1:1"}
    # A development server has no witnesses, so that nothing is missing is not proven.
    for secret, code, told in (("secret/app", 4, "READ"), ("secret/key", 3, "NOT PROVEN")):
        made = tmp_path / secret.replace("/", "-")
        done = incident(server, "did-read", secret, "-start=1h", f"-out={made}")
        assert done.code == 0, done.err
        checked = server.cli("verify", str(made), f"-trust={keys}", env=nowhere)
        said = dict(line.split(":", 1) for line in checked.out.splitlines() if ":" in line)
        assert (checked.code, said["Answer"].strip()) == (code, told), checked.out
        assert said["Secret"].strip().startswith("secret:")
        assert f", called {secret}," in said["Secret"]
