"""operator and status on a server with TLS, from the first key to a new root token."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironkeep.cli.operator.root import decode
from ironkeep.core.errors import InvalidRequest
from ironkeep.testing.server import ServerProcess
from ironkeep.testing.tls import make_tls


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("operator")
    with ServerProcess.configured(folder, tls=make_tls(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def shares(server: ServerProcess) -> list[str]:
    """Initialise by the command, unseal by it, one share at a time; return the shares."""
    done = server.cli("status")
    assert done.code == 2
    assert "Initialized     false" in done.out
    assert server.cli("operator", "init", "-status").code == 2
    assert "ironkeep operator init" in server.cli("operator", "unseal", "-", given="00").err

    made = server.cli("operator", "init", "-n=3", "-t=2", "-format=json").json()
    assert (made["unseal_shares"], made["unseal_threshold"]) == (3, 2)
    assert server.cli("operator", "init", "-status").code == 0
    shares: list[str] = made["unseal_keys_b64"]
    assert "Sealed          true" in server.cli("status").out

    nonce = server.cli("operator", "unseal", "-field=nonce", "-", given=shares[0] + "\n").out
    again = server.cli("operator", "unseal", "-", given=shares[0] + "\n")
    assert "progress" in again.out
    assert "Unseal Progress    1/2" in server.cli("status").out
    assert "nonce" in server.cli("operator", "unseal", "-reset").err
    reset = ("operator", "unseal", "-reset", f"-nonce={nonce.strip()}", "-field=progress")
    assert server.cli(*reset).out == "0"
    for share in shares[:2]:
        done = server.cli("operator", "unseal", "-format=json", "-", given=share)
    assert done.json()["sealed"] is False
    assert server.cli("status").code == 0
    server.token = made["root_token"]
    return shares


def test_initialising_twice_is_refused(server: ServerProcess, shares: list[str]) -> None:
    done = server.cli("operator", "init")
    assert done.code == 2
    assert "Vault is already initialized" in done.err
    assert shares[0] not in done.out


def test_the_clock_is_compared_and_only_a_step_is_accepted(
    server: ServerProcess, shares: list[str]
) -> None:
    assert shares
    done = server.cli("operator", "clock")
    assert done.code == 0
    assert "Follows           true" in done.out
    assert "Machine's Time" in done.out
    assert server.cli("operator", "clock", "-field=offset").out.strip() == "0"
    refused = server.cli("operator", "clock", "-accept=0")
    assert refused.code == 2
    assert "nothing to accept" in refused.err
    assert "3600" in server.cli("operator", "clock", "-accept=3600").err
    assert server.cli("operator", "clock", "-accept=soon").code == 1


def test_keys_rotate(server: ServerProcess, shares: list[str]) -> None:
    assert shares
    assert server.cli("operator", "key-status", "-field=term").out == "1"
    assert "Success! Rotated key" in server.cli("operator", "rotate").out
    assert server.cli("operator", "key-status", "-field=term").out == "2"


def test_a_root_token_is_made_by_the_holders_and_uncovered_offline(
    server: ServerProcess, shares: list[str]
) -> None:
    root = ("operator", "generate-root")
    assert server.cli(*root, "-", given=shares[0]).code == 1
    otp = server.cli(*root, "-generate-otp").out.strip()
    started = server.cli(*root, "-init", "-otp=-", "-format=json", given=otp).json()
    assert server.cli(*root, "-nonce=other", "-", given=shares[0]).code == 1
    done = server.cli(*root, f"-nonce={started['nonce']}", "-", given=shares[0])
    assert "progress" in done.out
    assert server.cli(*root, "-status", "-field=progress").out == "1"
    done = server.cli(*root, "-field=encoded_token", "-", given=shares[2])
    assert "Operation nonce" in done.err
    encoded = done.out
    offline = {"VAULT_ADDR": "http://127.0.0.1:1"}
    done = server.cli(*root, "-decode", encoded, "-otp", otp, env=offline)
    assert done.out.startswith("Root token: hvs.")
    done = server.cli(*root, f"-decode={encoded}", "-otp=-", "-format=json", given=otp)
    token = done.json()["token"]
    assert server.cli("token", "lookup", "-field=policies", "-", given=token).out == '["root"]'
    assert server.cli(*root, "-init").code == 0
    assert server.cli(*root, "-cancel").code == 0
    assert server.cli(*root, "-status", "-field=started").out == "false"


@pytest.mark.parametrize(
    ("encoded", "otp"),
    [
        (b"", b""),
        (b"!", b"x"),
        (b"QUJD", b"xx"),
        (b"", b"x"),
        (b"/w", b"\x00"),
        ("é".encode(), b"x"),
    ],
)
def test_what_is_no_encoded_token_is_refused(encoded: bytes, otp: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode(encoded, otp)


def test_shares_are_renewed_with_verification(tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path) as server:
        renew(server, server.initialise(3, 2))


def renew(server: ServerProcess, shares: list[str]) -> None:
    rekey = ("operator", "rekey")
    words = ("-init", "-key-shares=2", "-key-threshold=2", "-require-verification")
    nonce = server.cli(*rekey, *words, "-field=nonce").out
    assert server.cli(*rekey, "-status", "-field=n").out == "2"
    assert server.cli(*rekey, f"-nonce={nonce}", "-", given=shares[1]).code == 0
    done = server.cli(*rekey, f"-nonce={nonce}", "-", given=shares[2])
    assert "operator rekey -verify" in done.out
    lines = [line for line in done.out.splitlines() if line.startswith("Key ")]
    fresh = [line.partition(": ")[2] for line in lines]
    assert len(fresh) == 2
    assert server.cli(*rekey, "-verify", "-status", "-field=progress").out == "0"
    for share in fresh:
        done = server.cli(*rekey, "-verify", "-", given=share)
        assert done.code == 0, done.err
    assert "in effect" in done.out

    assert server.cli("operator", "seal").out == "Success! Vault is sealed.\n"
    assert server.cli("status").code == 2
    done = server.cli("read", "secret/x")
    assert done.code == 2
    assert "ironkeep operator unseal" in done.err
    for share in fresh:
        done = server.cli("operator", "unseal", "-", given=share)
    assert done.code == 0
    assert server.cli("status").code == 0


def test_a_rekey_is_cancelled(server: ServerProcess, shares: list[str]) -> None:
    assert shares
    assert server.cli("operator", "rekey", "-init").code == 0
    assert server.cli("operator", "rekey", "-cancel").code == 0
    assert server.cli("operator", "rekey", "-status", "-field=started").out == "false"


def test_the_certificate_is_verified(server: ServerProcess, shares: list[str]) -> None:
    assert shares
    assert server.tls is not None
    stranger = {"VAULT_CACERT": ""}
    done = server.cli("status", env=stranger)
    assert done.code == 1
    assert "-ca-cert=FILE or VAULT_CACERT" in done.err
    assert server.cli("status", f"-ca-cert={server.tls.ca}", env=stranger).code == 0
    assert server.cli("status", "-tls-skip-verify", env=stranger).code == 0
    assert server.cli("status", env={**stranger, "VAULT_SKIP_VERIFY": "true"}).code == 0
    words = (f"-client-cert={server.tls.client_cert}", f"-client-key={server.tls.client_key}")
    assert server.cli("status", *words).code == 0
    assert server.cli("status", "-ca-cert=/nonexistent").code == 1
    assert server.cli("status", f"-ca-cert={server.tls.key}").code == 1


def test_the_wrong_scheme_is_explained(server: ServerProcess, dev: ServerProcess) -> None:
    plain = server.address.replace("https://", "http://")
    done = server.cli("status", f"-address={plain}")
    assert done.code == 1
    assert "https://" in done.err
    done = server.cli("status", "-address=" + dev.address.replace("http://", "https://"))
    assert done.code == 1
    assert f"VAULT_ADDR={dev.address}" in done.err


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path) as server:
        keys = server.initialise()
        server.cli("secrets", "enable", "-version=2", "-path=kept", "kv")
        assert server.cli("kv", "put", "kept/a", "x=1").code == 0
        token = server.token
    with ServerProcess.configured(tmp_path) as server:
        server.token = token
        assert server.cli("operator", "unseal", "-", given=keys[0]).code == 0
        assert server.cli("kv", "get", "-field=x", "kept/a").out == "1"


def test_init_prints_shares_and_advice(tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path) as server:
        assert server.cli("operator", "init", "-n=2", "-t=3").code == 2
        done = server.cli("operator", "init", "-n=1", "-t=1")
        assert done.out.startswith("Unseal Key 1: ")
        assert "Initial Root Token: hvs." in done.out
        key: Any = done.out.splitlines()[0].partition(": ")[2]
        assert json.loads(server.cli("operator", "unseal", "-format=json", key).out)["t"] == 1
