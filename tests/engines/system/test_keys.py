"""sys/rotate, rekey, generate-root, key-status, and sys/tools."""

import hashlib
from base64 import b64decode, b64encode
from typing import Any

import pytest

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.event import Entry
from ironkeep.core.operation import Operation
from ironkeep.engines.system.tools import MAX_RANDOM
from ironkeep.seal.root_generation import TOKEN_CHARS
from ironkeep.seal.upkeep import MIN_INTERVAL_SECONDS, MIN_OPERATIONS
from ironkeep.store.keyring import MAX_OPERATIONS
from ironkeep.testing.parts import number, text
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Reply, Vault

OPERATOR = 'path "sys/*" { capabilities = ["create", "read", "update", "delete"] }'


@pytest.fixture
def vault() -> Vault:
    vault = Vault(PLUGINS)
    vault.initialise(shares=3, threshold=2)
    vault.unseal()
    return vault


@pytest.fixture
def stranger(vault: Vault) -> str:
    """A token with every capability on sys/ but sudo."""
    vault.write("sys/policies/acl/operator", {"policy": OPERATOR})
    return vault.write("auth/token/create", {"policies": ["operator"]}).token


def entries(vault: Vault) -> list[Entry]:
    return [entry for _, entry in vault.house.audit_reader().entries()]


# -- rotate


def test_rotating_adds_a_key_and_keeps_what_was_written(vault: Vault) -> None:
    vault.write("sys/mounts/kv", {"type": "kv"})
    vault.write("kv/before", {"a": "1"})
    assert vault.read("sys/key-status").data["term"] == 1
    for path in ("sys/rotate", "sys/rotate/keyring"):
        assert vault.write(path).error is None
    status = vault.read("sys/key-status")
    assert status.data["term"] == status.body["term"] == 3
    vault.write("kv/after", {"a": "2"})
    again = vault.restarted()
    again.unseal()
    assert (again.read("kv/before").data, again.read("kv/after").data) == ({"a": "1"}, {"a": "2"})
    assert again.read("sys/key-status").data["term"] == 3


def test_the_uses_of_a_key_are_counted(vault: Vault) -> None:
    before = number(vault.read("sys/key-status").data, "encryptions")
    vault.write("sys/policies/acl/x", {"policy": OPERATOR})
    assert number(vault.read("sys/key-status").data, "encryptions") > before


def test_when_it_rotates_by_itself(vault: Vault) -> None:
    config = vault.read("sys/rotate/config").data
    assert config == {"max_operations": MAX_OPERATIONS, "interval": 0, "enabled": True}
    vault.write("sys/rotate/config", {"interval": "24h"})
    assert vault.read("sys/rotate/config").data["max_operations"] == MAX_OPERATIONS
    vault.tick(MIN_INTERVAL_SECONDS - 10)
    assert vault.read("sys/key-status").data["term"] == 1
    vault.tick(20)
    assert vault.read("sys/key-status").data["term"] == 2
    vault.write("sys/rotate/config", {"enabled": False})
    vault.tick(2 * MIN_INTERVAL_SECONDS)
    assert vault.read("sys/key-status").data["term"] == 2


@pytest.mark.parametrize(
    ("data", "fine"),
    [
        ({"max_operations": MIN_OPERATIONS}, True),
        ({"max_operations": MIN_OPERATIONS - 1}, False),
        ({"max_operations": MAX_OPERATIONS}, True),
        ({"max_operations": MAX_OPERATIONS + 1}, False),
        ({"interval": MIN_INTERVAL_SECONDS}, True),
        ({"interval": MIN_INTERVAL_SECONDS - 1}, False),
        ({"interval": 0}, True),
    ],
)
def test_bounds_of_rotation(vault: Vault, data: dict[str, Any], *, fine: bool) -> None:
    before = vault.read("sys/rotate/config").data
    assert (vault.write("sys/rotate/config", data).error is None) is fine
    assert (vault.read("sys/rotate/config").data == {**before, **data}) is fine


# -- rekey


def start(vault: Vault, **more: Any) -> Any:
    wish = {"secret_shares": 2, "secret_threshold": 2, **more}
    return vault.write("sys/rekey/init", wish).body


def give(vault: Vault, key: str, nonce: str, path: str = "sys/rekey/update", **rest: Any) -> Reply:
    return vault.write(path, {"key": key, "nonce": nonce}, **rest)


def test_rekeying_replaces_the_shares(vault: Vault) -> None:
    status = start(vault)
    assert (status["started"], status["t"], status["n"], status["progress"]) == (True, 2, 2, 0)
    assert give(vault, vault.keys[0], status["nonce"]).body["progress"] == 1
    done = give(vault, vault.keys[2], status["nonce"])
    assert done.body["complete"] is True
    last = [entry for entry in entries(vault) if entry.kind == "request"][-1]
    assert (last.released[0].path, last.released[0].fields) == ("unseal-keys", ("keys",))
    assert vault.read("sys/rekey/init").body["started"] is False
    old = vault.restarted()
    for key in vault.keys[:2]:
        old.write("sys/unseal", {"key": key}, token=None)
    assert old.read("sys/seal-status", token=None).body["sealed"] is True
    for key in done.body["keys"]:
        old.write("sys/unseal", {"key": key}, token=None)
    assert old.read("sys/seal-status", token=None).body["sealed"] is False


def test_a_stranger_neither_starts_nor_watches_nor_cancels(vault: Vault, stranger: str) -> None:
    status = start(vault)
    attempts = (
        (Operation.READ, "sys/rekey/init"), (Operation.UPDATE, "sys/rekey/init"),
        (Operation.DELETE, "sys/rekey/init"), (Operation.UPDATE, "sys/rekey/update"),
        (Operation.DELETE, "sys/rekey/verify"), (Operation.UPDATE, "sys/generate-root/attempt"),
        (Operation.DELETE, "sys/generate-root/attempt"), (Operation.UPDATE, "sys/rotate"),
        (Operation.UPDATE, "sys/generate-root/update"),
    )  # fmt: skip
    for op, path in attempts:
        for token in (None, "hvs.x", stranger):
            assert vault.request(op, path, {"key": vault.keys[0]}, token=token).error is (
                PermissionDenied
            )
    assert vault.read("sys/rekey/init").body["nonce"] == status["nonce"]


def test_a_rekey_can_be_cancelled(vault: Vault) -> None:
    status = start(vault)
    give(vault, vault.keys[0], status["nonce"])
    assert vault.delete("sys/rekey/init").error is None
    assert give(vault, vault.keys[1], status["nonce"]).error is InvalidRequest
    again = start(vault)
    assert again["nonce"] != status["nonce"]
    assert give(vault, vault.keys[0], status["nonce"]).error is InvalidRequest


def test_with_verification_the_old_shares_stay_until_the_new_are_given_back(vault: Vault) -> None:
    status = start(vault, require_verification=True)
    give(vault, vault.keys[0], status["nonce"])
    done = give(vault, vault.keys[1], status["nonce"]).body
    assert done["verification_required"] is True
    nonce = done["verification_nonce"]
    path = "sys/rekey/verify"
    assert give(vault, done["keys"][0], nonce, path).body["progress"] == 1
    restarted = vault.delete(path).body
    assert (restarted["progress"], restarted["nonce"] != nonce) == (0, True)
    first, second = done["keys"]
    assert give(vault, first, restarted["nonce"], path).body["complete"] is False
    assert give(vault, second, restarted["nonce"], path).body["complete"] is True
    again = vault.restarted()
    for key in done["keys"]:
        again.write("sys/unseal", {"key": key}, token=None)
    assert again.read("sys/mounts").error is None


def test_there_is_no_backup(vault: Vault) -> None:
    assert vault.read("sys/rekey/backup").errors == ["no backed-up keys found"]
    assert vault.delete("sys/rekey/backup").error is InvalidRequest
    refused = vault.write("sys/rekey/init", {"secret_shares": 1, "secret_threshold": 2})
    assert refused.error is InvalidRequest


# -- generate-root


def uncovered(encoded: str, otp: str) -> str:
    raw = b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(a ^ b for a, b in zip(raw, otp.encode(), strict=True)).decode()


@pytest.mark.parametrize("own", [True, False])
def test_shares_make_a_root_token(vault: Vault, *, own: bool) -> None:
    wish = {"otp": "x" * TOKEN_CHARS} if own else {}
    begun = vault.write("sys/generate-root/attempt", wish).body
    assert (begun["started"], begun["required"], begun["otp"] == "") == (True, 2, own)
    assert vault.read("sys/generate-root/attempt").body["otp"] == "", "it is told once"
    path = "sys/generate-root/update"
    assert give(vault, vault.keys[1], begun["nonce"], path).body["progress"] == 1
    done = give(vault, vault.keys[0], begun["nonce"], path).body
    assert done["complete"] is True
    token = uncovered(done["encoded_token"], wish.get("otp") or begun["otp"])
    made = vault.read("auth/token/lookup-self", token=token).data
    assert (made["policies"], made["ttl"]) == (["root"], 0)
    issued = [entry.issued for entry in entries(vault) if entry.path == path]
    assert issued == ["", made["accessor"]], "the journal names the new root token"


def test_an_attempt_is_cancelled_and_begun_once(vault: Vault) -> None:
    vault.write("sys/generate-root/attempt", {})
    assert vault.write("sys/generate-root/attempt", {}).error is InvalidRequest
    vault.delete("sys/generate-root/attempt")
    assert vault.read("sys/generate-root/attempt").body["started"] is False
    for otp in ("short", "x" * (TOKEN_CHARS + 1), "é" * TOKEN_CHARS):
        assert vault.write("sys/generate-root/attempt", {"otp": otp}).error is InvalidRequest
    assert give(vault, vault.keys[0], "", "sys/generate-root/update").error is InvalidRequest


def test_wrong_shares_make_nothing(vault: Vault) -> None:
    begun = vault.write("sys/generate-root/attempt", {}).body
    path = "sys/generate-root/update"
    give(vault, vault.keys[0], begun["nonce"], path)
    wrong = vault.keys[1][:-4] + f"{int(vault.keys[1][-4:-2], 16) ^ 1:02x}" + vault.keys[1][-2:]
    assert give(vault, wrong, begun["nonce"], path).error is not None
    assert vault.read("sys/generate-root/attempt").body["progress"] == 1
    assert give(vault, vault.keys[0], "another nonce", path).error is InvalidRequest


# -- tools


@pytest.mark.parametrize("path", ["tools/random", "tools/random/platform", "tools/random/all/32"])
def test_random_bytes(vault: Vault, path: str) -> None:
    first, second = (text(vault.write(f"sys/{path}").data, "random_bytes") for _ in range(2))
    assert first != second
    assert len(b64decode(first)) == 32


def test_random_bytes_are_bounded(vault: Vault) -> None:
    made = vault.write("sys/tools/random", {"bytes": 8, "format": "hex"}).data
    assert len(bytes.fromhex(text(made, "random_bytes"))) == 8
    for size, fine in ((0, False), (1, True), (MAX_RANDOM, True), (MAX_RANDOM + 1, False)):
        assert (vault.write("sys/tools/random", {"bytes": size}).error is None) is fine
    for wrong in ({"format": "octal"}, {"source": "dice"}):
        assert vault.write("sys/tools/random", wrong).error is InvalidRequest


@pytest.mark.parametrize(
    ("end", "count"),
    [("/1", 1), ("/16", 16), ("/platform/7", 7), ("/seal/5", 5), ("/all", 32), ("", 32)],
)
def test_the_path_says_how_many_random_bytes(vault: Vault, end: str, count: int) -> None:
    assert len(b64decode(text(vault.write(f"sys/tools/random{end}").data, "random_bytes"))) == count


@pytest.mark.parametrize(
    "end", ["0", "131073", "9" * 4_000, "-1", "1e3", "\u0661", "platform/0", "dice/3"]
)
def test_a_path_that_says_no_number_of_random_bytes(vault: Vault, end: str) -> None:
    assert vault.write(f"sys/tools/random/{end}").error is InvalidRequest
    assert vault.defects == []


def test_hashes(vault: Vault) -> None:
    sent = {"input": b64encode(b"abc").decode()}
    spelt = vault.write("sys/tools/hash", sent).data["sum"]
    assert spelt == hashlib.sha256(b"abc").hexdigest()
    other = vault.write("sys/tools/hash/sha3-512", {**sent, "format": "base64"}).data
    assert b64decode(text(other, "sum")) == hashlib.sha3_512(b"abc").digest()
    for wrong in ({"input": "é"}, {"input": "!"}, {**sent, "algorithm": "md5"}):
        assert vault.write("sys/tools/hash", wrong).error is InvalidRequest
