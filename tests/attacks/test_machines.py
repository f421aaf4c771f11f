"""An attacker who has all files of a build machine, and one who sends the logins nonsense."""

from typing import Any, Final

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from ironkeep.app import PLUGINS
from ironkeep.core.errors import DeviceRefused, InvalidCredentials, IronkeepError
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.peer import Peer
from ironkeep.testing.vault import Vault
from tests.support.devices.authority import Authority

SIGNER: Final = ECKey.generate_key("P-256")
HOSTILE: Final[tuple[Any, ...]] = (
    None, True, -1, 2**63, "", "x" * 100_000, "\0", "\ud800", "../../config", "%00", "a/b", [], {},
    ["x"] * 5_000, {"a": None}, "." * 1_000, "e30.e30.e30", "\u202e", 1.5,
)  # fmt: skip


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    for kind in ("approle", "jwt", "cert"):
        vault.write(f"sys/auth/{kind}", {"type": kind})
    pem = SIGNER.as_pem(private=False).decode()
    vault.write("auth/jwt/config", {"jwt_validation_pubkeys": [pem]})
    vault.write("auth/jwt/role/x", {"bound_audiences": "us", "user_claim": "sub"})
    vault.write("auth/approle/role/x", {"role_id": "x"})
    vault.write("auth/cert/certs/x", {"certificate": Authority("ours").pem})
    vault.write("secret/data/app", {"data": {"password": "hunter2"}})
    vault.write("sys/policies/acl/app", {"policy": 'path "secret/*" { capabilities = ["read"] }'})
    return vault


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("auth/approle/login", ("role_id", "secret_id")),
        ("auth/jwt/login", ("role", "jwt")),
        ("auth/cert/login", ("name",)),
    ],
)
def test_logins_take_any_nonsense_and_give_nothing(
    vault: Vault, path: str, names: tuple[str, ...]
) -> None:
    stranger = Authority("theirs").peer()
    seq = vault.storage.head().seq
    for value in HOSTILE:
        for given in (dict.fromkeys(names, value), *({name: value} for name in names)):
            for fill in ({}, dict.fromkeys(names, "x")):
                reply = vault.write(path, {**fill, **given}, token=None, peer=stranger)
                assert reply.error is not None
                assert issubclass(reply.error, IronkeepError), given
    assert vault.defects == []
    assert vault.storage.head().seq == seq


def test_all_files_of_a_build_machine_open_nothing_elsewhere(vault: Vault) -> None:
    """The platform's token, the vault's token and the secret id were all used where they belong."""
    vault.write("auth/jwt/role/x", {"token_policies": "app"})
    vault.write("auth/approle/role/x", {"token_policies": "app"})
    machine, thief = Authority("ours").peer("build"), Authority("ours").peer("build")
    now = vault.clock.now_ns() // SECOND_NS
    said = {"aud": "us", "sub": "job", "iat": now, "exp": now + 600, "jti": "1"}
    signed = {"role": "x", "jwt": jwt.encode({"alg": "ES256"}, said, SIGNER)}
    wrapped = vault.write("auth/approle/role/x/secret-id", wrap=60).body["wrap_info"]["token"]
    made = vault.write("sys/wrapping/unwrap", token=wrapped).data
    ids = {"role_id": "x", "secret_id": made["secret_id"]}
    tokens = [
        vault.write(path, data, token=None, peer=machine).token
        for path, data in (("auth/jwt/login", signed), ("auth/approle/login", ids))
    ]
    for token in tokens:
        assert vault.read("secret/data/app", token=token, peer=machine).data["data"]
    for elsewhere in (None, thief):
        opened_nothing(vault, tokens, elsewhere)
        for path, data in (("auth/jwt/login", signed), ("auth/approle/login", ids)):
            reply = vault.write(path, data, token=None, peer=elsewhere)
            assert reply.error is InvalidCredentials
    kinds = [
        vault.house.features.alerts.get(vault.house.state.begin(), number)
        for number in vault.house.features.alerts.names(vault.house.state.begin())
    ]
    assert any(each is not None and each.kind == "bound-token" for each in kinds)


def opened_nothing(vault: Vault, tokens: list[str], peer: Peer | None) -> None:
    for token in tokens:
        for op, path in (
            (Operation.READ, "secret/data/app"), (Operation.READ, "auth/token/lookup-self"),
            (Operation.UPDATE, "auth/token/renew-self"), (Operation.UPDATE, "sys/wrapping/wrap"),
            (Operation.UPDATE, "sys/capabilities-self"), (Operation.READ, "cubbyhole/x"),
        ):  # fmt: skip
            assert vault.request(op, path, token=token, peer=peer).error is DeviceRefused
