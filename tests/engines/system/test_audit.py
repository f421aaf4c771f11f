"""sys/audit: the journal is read and proven here, and not changed by anybody."""

from base64 import b64decode
from typing import Any

import pytest

from ironkeep.core.errors import IntegrityError, InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.event import decode
from ironkeep.core.evidence.leaf import Disclosed, check_disclosed
from ironkeep.core.operation import Operation
from ironkeep.engines.system.audit import REFUSED
from ironkeep.engines.system.search import MAX_FOUND
from ironkeep.plugin.effects.answer import Answer
from ironkeep.testing.parts import number, part, tables, text
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import ORIGIN, Vault
from ironkeep.tlog.checkpoint import open_checkpoint
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.note import NoteVerifier
from ironkeep.tlog.policy import Policy
from ironkeep.tlog.proof import LogProof, verify_proof

DATA = {"data": {"password": "hunter2"}}


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    vault.read("secret/data/app")
    vault.house.journal.checkpoint()
    return vault


def verifier(vault: Vault) -> NoteVerifier:
    return NoteVerifier(vault.house.journal.key)


def search(vault: Vault, **asked: Any) -> list[dict[str, object]]:
    return tables(vault.read("sys/audit/log/search", data=asked).data, "entries")


def raw(vault: Vault, path: str) -> Answer:
    request = vault.asked(Operation.READ, path, {}, None)
    return vault.settle(vault.pipeline.handle(request))


def test_there_is_one_device_and_it_stays(vault: Vault) -> None:
    listed = vault.read("sys/audit")
    assert set(listed.data) == {"journal/"}
    assert part(listed.data, "journal/", "options") == {"origin": ORIGIN}
    enable = {"type": "file", "options": {"file_path": "/dev/null"}}
    for path in ("file", "journal", "socket/x"):
        assert vault.write(f"sys/audit/{path}", enable).errors == [REFUSED]
    for path in ("journal", "journal/"):
        assert vault.delete(f"sys/audit/{path}").errors == [REFUSED]
    assert vault.delete("sys/audit/none").error is None, "what is not there is off already"
    assert vault.write("sys/audit-hash/journal", {"input": "x"}).error is InvalidRequest
    assert vault.read("sys/audit").data == listed.data
    assert search(vault, path="sys/audit/", op="delete"), "and who tried is on record"


def test_search_by_every_field(vault: Vault) -> None:
    vault.clock.advance(seconds=10)
    after = vault.clock.now_ns()
    vault.read("secret/data/app", token="hvs.nobody")
    read = search(vault, path="secret/data/", op="read", outcome="ok")
    assert [entry["path"] for entry in read] == ["secret/data/app"]
    assert part(read[0], "released", 0, "fields") == ["password"]
    assert search(vault, accessor=read[0]["accessor"], path="secret/", op="read") == read
    refused = search(vault, since_ns=after, path="secret/")
    assert [entry["outcome"] for entry in refused] == ["permission_denied"]
    assert search(vault, until_ns=after, path="secret/", op="read") == read
    assert vault.read("sys/audit/log/search", data={"entity": "nobody"}).error is InvalidRequest
    assert search(vault, first=read[0]["index"], last=number(read[0], "index") + 1) == read


def test_the_newest_are_found_from_the_end(vault: Vault) -> None:
    for count in range(20):
        vault.read(f"secret/data/{count}")
    newest = search(vault, path="secret/", newest=True, limit=3)
    assert [entry["path"] for entry in newest] == [f"secret/data/{n}" for n in (17, 18, 19)]
    assert len(search(vault, limit=5)) == 5
    oldest = search(vault, path="secret/data/", limit=1)
    assert oldest[0]["op"] in ("create", "update")


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"limit": MAX_FOUND + 1}, {"first": -1}, {"limit": "many"}]
)
def test_searches_are_bounded(vault: Vault, asked: dict[str, Any]) -> None:
    assert vault.read("sys/audit/log/search", data=asked).error is InvalidRequest
    assert vault.read("sys/audit/log/search", data={"limit": MAX_FOUND}).error is None


def test_reading_it_needs_sudo(vault: Vault) -> None:
    policy = 'path "sys/audit/*" { capabilities = ["read", "list", "update"] }'
    vault.write("sys/policies/acl/almost", {"policy": policy})
    token = vault.write("auth/token/create", {"policies": ["almost"]}).token
    for path in ("sys/audit", "sys/audit/log/search", "sys/audit/log/proof/1"):
        assert vault.read(path, token=token).error is PermissionDenied


def proven(vault: Vault) -> tuple[LogProof, bytes, Disclosed]:
    index = number(search(vault, path="secret/data/app", op="read")[0], "index")
    data = vault.read(f"sys/audit/log/proof/{index}").data
    leaf, salt, body = (b64decode(text(data, name)) for name in ("leaf", "salt", "entry"))
    return LogProof.parse(text(data, "proof").encode()), leaf, Disclosed(index, salt, body)


def test_a_proof_verifies_without_the_server(vault: Vault) -> None:
    proof, leaf, disclosed = proven(vault)
    key = vault.house.journal.key.format()
    policy = Policy.parse(f"log {key}\nquorum none\n".encode())
    logged = verify_proof(proof, leaf_hash(leaf), policy.log_verifiers(), policy)
    assert logged.index == disclosed.index
    check_disclosed(leaf, disclosed)
    entry = decode(disclosed.body)
    assert (entry.path, entry.released[0].path) == ("secret/data/app", "app")


def test_nothing_else_passes_for_it(vault: Vault) -> None:
    proof, leaf, disclosed = proven(vault)
    policy = Policy.parse(f"log {vault.house.journal.key.format()}\nquorum none\n".encode())
    forged = leaf[:-1] + bytes([leaf[-1] ^ 1])
    with pytest.raises(IntegrityError):
        verify_proof(proof, leaf_hash(forged), policy.log_verifiers(), policy)
    other = Disclosed(disclosed.index, disclosed.salt, disclosed.body.replace(b"app", b"api"))
    with pytest.raises(IntegrityError):
        check_disclosed(leaf, other)


def test_there_is_no_proof_of_what_is_not_signed_yet(vault: Vault) -> None:
    size = vault.house.journal.durable_size
    vault.read("secret/data/app")
    assert vault.read(f"sys/audit/log/proof/{size}").error is NotFound
    vault.house.journal.checkpoint()
    for index in (10**6, -1, 2**62):
        answer = vault.read(f"sys/audit/log/proof/{index}")
        assert answer.error in (NotFound, InvalidRequest), index
    assert vault.defects == []
    assert vault.read("sys/audit/log/proof/x").error is InvalidRequest


def test_the_leaf_that_carries_the_key_is_not_disclosed(vault: Vault) -> None:
    answer = vault.read("sys/audit/log/proof/0")
    assert answer.error is not None
    assert vault.defects == []


def test_checkpoint_and_tiles_are_public_even_while_sealed(vault: Vault) -> None:
    vault.write("sys/seal")
    vault.house.journal.checkpoint()
    head = raw(vault, "sys/audit/log/checkpoint")
    signed = open_checkpoint(head.body or b"", [verifier(vault)], [])
    assert signed.checkpoint.origin == ORIGIN
    size = signed.checkpoint.size
    hashes = raw(vault, f"sys/audit/log/tile/0/000.p/{size}").body or b""
    assert len(hashes) == 32 * size
    bundle = raw(vault, f"sys/audit/log/tile/entries/000.p/{size}").body or b""
    assert b"secret/data" not in bundle
    assert leaf_hash(vault.house.journal.log.leaf(1)) == hashes[32:64]


@pytest.mark.parametrize("path", ["", "0", "0/001", "0/000.p/0", "x/000", "0/../0", "64/000", "é"])
def test_tiles_that_are_none(vault: Vault, path: str) -> None:
    answer = raw(vault, f"sys/audit/log/tile/{path}")
    assert answer.error is not None
    assert vault.defects == []


def test_before_anything_is_signed() -> None:
    assert raw(Vault(PLUGINS), "sys/audit/log/checkpoint").error is NotFound
