"""hvac, unmodified, over real TLS: `cert`, `jwt` and `approle`, and a token that was copied."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import hvac
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate
from joserfc import jwt
from joserfc.jwk import ECKey

from ironkeep.testing.server import ServerProcess
from ironkeep.testing.tls import make_tls
from tests.support.devices.authority import Asked, Authority

Pair = tuple[str, str]
DAY = 86_400


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess.configured(tmp_path, tls=make_tls(tmp_path)) as server:
        server.initialise()
        yield server


@pytest.fixture
def authority() -> Authority:
    from_, until = time.time() - DAY, time.time() + DAY
    return Authority("workloads", *_times(from_, until))


def _times(*seconds: float) -> tuple[datetime, ...]:
    return tuple(datetime.fromtimestamp(int(each), UTC) for each in seconds)


def issued(authority: Authority, folder: Path, name: str) -> Pair:
    """Return the files of a client certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    begins, ends = _times(time.time() - 60, time.time() + 600)
    asked = Asked(name, uris=(f"spiffe://prod.example/{name}",), begins=begins, ends=ends)
    certificate = load_der_x509_certificate(authority.issue(asked, key))
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(cert_file), str(key_file)


def client(server: ServerProcess, pair: Pair | None = None, token: str = "") -> hvac.Client:
    assert server.tls is not None
    return hvac.Client(server.address, token or server.token, cert=pair, verify=str(server.tls.ca))


def test_a_workload_logs_in_by_its_certificate_and_nobody_else_uses_its_token(
    server: ServerProcess, authority: Authority, tmp_path: Path
) -> None:
    root = client(server)
    root.sys.enable_auth_method("cert")
    root.auth.cert.create_ca_certificate_role(
        "web", certificate=authority.pem, allowed_uri_sans="spiffe://prod.example/web*"
    )
    mine, other = issued(authority, tmp_path, "web"), issued(authority, tmp_path, "web2")
    stranger = issued(Authority("workloads", *_times(0, 2**31)), tmp_path, "web3")
    workload = client(server, mine, "none")
    answer = workload.auth.cert.login("web", cert_pem=mine[0], key_pem=mine[1])
    token = answer["auth"]["client_token"]
    assert answer["auth"]["metadata"]["cert_name"] == "web"
    assert client(server, mine, token).lookup_token()["data"]["accessor"]
    for copied_to in (other, None):
        with pytest.raises(hvac.exceptions.Forbidden):
            client(server, copied_to, token).lookup_token()
    # A CA that no role names does not even get through the handshake.
    with pytest.raises((OSError, hvac.exceptions.InvalidRequest)):
        client(server, stranger, "none").auth.cert.login("web")


def test_a_job_logs_in_by_its_platforms_token(
    server: ServerProcess,
) -> None:
    signer, root = ECKey.generate_key("P-256"), client(server)
    root.sys.enable_auth_method("jwt")
    pem = signer.as_pem(private=False).decode()
    root.auth.jwt.configure(jwt_validation_pubkeys=[pem], bound_issuer="https://ci.example")
    root.auth.jwt.create_role(
        "deploy", "sub", [], bound_audiences=["ironkeep"], token_policies=["default"]
    )
    assert root.auth.jwt.read_role("deploy")["data"]["user_claim"] == "sub"
    assert root.auth.jwt.list_roles()["data"]["keys"] == ["deploy"]
    now = int(time.time())
    said = {
        "iss": "https://ci.example", "aud": "ironkeep", "sub": "job-1", "iat": now,
        "exp": now + 60, "jti": "1",
    }  # fmt: skip
    token = jwt.encode({"alg": "ES256"}, said, signer)
    auth = client(server).auth.jwt.jwt_login("deploy", token)["auth"]
    assert auth["lease_duration"] == 900
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client(server).auth.jwt.jwt_login("deploy", token)


def test_an_application_logs_in_by_a_wrapped_secret_id(server: ServerProcess) -> None:
    root = client(server)
    root.sys.enable_auth_method("approle")
    approle = root.auth.approle
    approle.create_or_update_approle("web", token_policies=["default"])
    role_id = approle.read_role_id("web")["data"]["role_id"]
    with pytest.raises(hvac.exceptions.InvalidRequest):
        approle.generate_secret_id("web")
    wrapped = approle.generate_secret_id("web", {"team": "shop"}, wrap_ttl="60s")["wrap_info"]
    secret_id = client(server).sys.unwrap(wrapped["token"])["data"]["secret_id"]
    assert approle.read_secret_id("web", secret_id)["data"]["metadata"] == {"team": "shop"}
    (accessor,) = approle.list_secret_id_accessors("web")["data"]["keys"]
    assert approle.read_secret_id_accessor("web", accessor)["data"]["secret_id_num_uses"] == 1
    auth = client(server).auth.approle.login(role_id, secret_id)["auth"]
    assert auth["metadata"] == {"role_name": "web", "team": "shop"}
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client(server).auth.approle.login(role_id, secret_id)
    assert approle.delete_role("web").status_code == 204
