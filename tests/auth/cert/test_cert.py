"""The auth method `cert`: forged, foreign, expired and swapped certificates."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from ironkeep.app import PLUGINS
from ironkeep.auth.cert import CertMethod
from ironkeep.auth.cert.login import REFUSED
from ironkeep.core.errors import DeviceRefused, InvalidCredentials, InvalidRequest, NotFound
from ironkeep.core.operation import Operation
from ironkeep.plugin.peer import Peer
from ironkeep.testing.parts import part, table, text
from ironkeep.testing.vault import Reply, Vault
from tests.support.devices.authority import Asked, Authority

ROLE = "auth/cert/certs/web"
SPIFFE = "spiffe://prod.example/ns/web/sa/shop"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("workloads", *around())


def around() -> tuple[datetime, datetime]:
    """Return a time before and one after what test vaults take for now."""
    now = datetime.fromtimestamp(Vault({}).clock.now_ns() / 1e9, UTC)
    return now - timedelta(days=300), now + timedelta(days=300)


BEGINS, ENDS = around()
NOW = BEGINS + timedelta(days=300)


@pytest.fixture
def vault(authority: Authority) -> Vault:
    vault = Vault.started({**PLUGINS, "cert": CertMethod()})
    vault.write("sys/auth/cert", {"type": "cert"})
    vault.write(ROLE, {"certificate": authority.pem, "token_policies": "web"})
    return vault


def peer(authority: Authority, common_name: str = "shop", **rest: Any) -> Peer:
    return Peer.of(authority.issue(Asked(common_name, **{"begins": BEGINS, "ends": ENDS, **rest})))


def login(vault: Vault, peer: Peer | None, name: str = "", remote: str = "127.0.0.1:1") -> Reply:
    data = {"name": name} if name else {}
    return vault.write("auth/cert/login", data, token=None, peer=peer, remote=remote)


def fails(reply: Reply) -> None:
    assert (reply.error, reply.errors) == (InvalidCredentials, [REFUSED])


def test_a_workload_logs_in(vault: Vault, authority: Authority) -> None:
    mine = peer(authority, uris=(SPIFFE,))
    for name in ("", "web", "WEB"):
        auth = login(vault, mine, name).auth
        assert auth["policies"] == ["default", "web"]
        assert part(auth, "metadata", "cert_name") == "web"
        assert part(auth, "metadata", "common_name") == "shop"
        assert set(table(auth, "metadata")) == {
            "cert_name", "common_name", "serial_number", "subject_key_id", "authority_key_id",
        }  # fmt: skip
        assert text(auth, "metadata", "serial_number").isdecimal()
        assert auth["lease_duration"] == 900
        assert vault.read("auth/token/lookup-self", token=auth["client_token"], peer=mine).data


def test_a_device_that_is_not_enrolled_does_not_come_in_as_a_machine(
    vault: Vault, authority: Authority
) -> None:
    name = vault.house.settings.cluster_name
    for uri, error in (
        (f"spiffe://{name}/device/gone", DeviceRefused),
        ("spiffe://elsewhere/device/gone", None),
        (f"spiffe://{name}/ns/gone", None),
    ):
        assert login(vault, peer(authority, uris=(uri,))).error is error


def test_a_certificate_with_names_that_cannot_be_read(vault: Vault, authority: Authority) -> None:
    x400 = bytes.fromhex("3004a3023000")
    der = odd(authority, x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, x400))
    known = peer(authority)
    fails(login(vault, Peer(der, known.key, known.from_ns, known.until_ns)))
    fails(login(vault, Peer(b"no certificate", known.key, known.from_ns, known.until_ns)))
    assert vault.defects == []


def odd(authority: Authority, extension: x509.ExtensionType) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")]))
        .issuer_name(authority.name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGINS)
        .not_valid_after(ENDS)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(extension, critical=False)
    )
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_without_a_certificate(vault: Vault) -> None:
    fails(login(vault, None))


def test_another_ca_of_the_same_name(vault: Vault, authority: Authority) -> None:
    thief = Authority("workloads", BEGINS, ENDS)
    assert thief.certificate.subject == authority.certificate.subject
    fails(login(vault, peer(thief)))
    fails(login(vault, peer(thief), "web"))


def test_a_ca_of_another_role_opens_that_role_alone(vault: Vault, authority: Authority) -> None:
    other = Authority("others", BEGINS, ENDS)
    vault.write("auth/cert/certs/other", {"certificate": other.pem, "token_policies": "other"})
    fails(login(vault, peer(other), "web"))
    ours, theirs = login(vault, peer(authority)).auth, login(vault, peer(other)).auth
    assert (ours["policies"], theirs["policies"]) == (["default", "web"], ["default", "other"])
    # One name, signed by two CAs, is not one machine.
    assert ours["entity_id"] != theirs["entity_id"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ends": NOW - timedelta(seconds=1)},
        {"begins": NOW + timedelta(seconds=1)},
        {"usages": ()},
        {"usages": (ExtendedKeyUsageOID.SERVER_AUTH,)},
        {"usages": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)},
        {"is_authority": True},
        {"critical": x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")},
        {"common_name": ""},
        {"common_name": "a\nb"},
    ],
)
def test_a_certificate_that_is_not_good(
    vault: Vault, authority: Authority, wrong: dict[str, Any]
) -> None:
    name = wrong.get("common_name", "shop")
    rest = {key: value for key, value in wrong.items() if key != "common_name"}
    if name == "":
        key = ec.generate_private_key(ec.SECP256R1())
        fails(login(vault, Peer.of(nameless(authority, key))))
    else:
        fails(login(vault, peer(authority, name, **rest)))
    assert login(vault, peer(authority)).error is None
    assert vault.defects == []


def nameless(authority: Authority, key: ec.EllipticCurvePrivateKey) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGINS)
        .not_valid_after(ENDS)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_certificate_ends_while_the_server_runs(vault: Vault, authority: Authority) -> None:
    mine = peer(authority, ends=NOW + timedelta(seconds=60))
    token = login(vault, mine).token
    vault.clock.advance(seconds=61)
    fails(login(vault, mine))
    reply = vault.read("auth/token/lookup-self", token=token, peer=mine)
    assert reply.error is DeviceRefused


def test_a_ca_that_has_ended(vault: Vault) -> None:
    old = Authority("old", BEGINS, NOW - timedelta(seconds=1))
    vault.write("auth/cert/certs/old", {"certificate": old.pem})
    fails(login(vault, peer(old), "old"))


def test_a_leaf_signs_nothing(vault: Vault, authority: Authority) -> None:
    """A client's certificate in a role is that client's, and no authority over others."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = authority.issue(Asked("pinned", begins=BEGINS, ends=ENDS), key)
    leaf = x509.load_der_x509_certificate(der)
    pem = leaf.public_bytes(Encoding.PEM).decode()
    vault.write("auth/cert/certs/pinned", {"certificate": pem})
    assert login(vault, Peer.of(der), "pinned").error is None
    fails(login(vault, peer(authority), "pinned"))
    fails(login(vault, peer(authority, "pinned"), "pinned"))
    below = Authority("pinned", BEGINS, ENDS)
    below.key = key  # type: ignore[misc]  # the thief signs by the pinned key
    fails(login(vault, peer(below), "pinned"))


def test_weak_keys(vault: Vault, authority: Authority) -> None:
    key = rsa.generate_private_key(65537, 1024)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")]))
        .issuer_name(authority.name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGINS)
        .not_valid_after(ENDS)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    fails(login(vault, Peer.of(builder.sign(authority.key, hashes.SHA256()).public_bytes(
        Encoding.DER))))  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "pattern", "good", "bad"),
    [
        ("allowed_common_names", "shop-*", {"common_name": "shop-1"}, {"common_name": "xshop-1"}),
        ("allowed_dns_sans", "*.prod.example", {"dns": ("a.prod.example",)}, {"dns": ("x",)}),
        ("allowed_email_sans", "*@example.org", {"emails": ("a@example.org",)}, {}),
        ("allowed_uri_sans", "spiffe://prod.example/ns/web/*", {"uris": (SPIFFE,)},
         {"uris": ("spiffe://dev.example/ns/web/sa/shop",)}),
        ("allowed_uri_sans", "spiffe://prod.example/ns/web/*", {"uris": (SPIFFE,)},
         {"uris": (SPIFFE, "spiffe://dev.example/ns/web/sa/shop")}),
        ("allowed_organizational_units", "eng", {"units": ("eng", "x")}, {"units": ("engine",)}),
        ("allowed_names", "a.example", {"dns": ("a.example",)}, {"dns": ("b.example",)}),
    ],
)  # fmt: skip
def test_names(
    vault: Vault, authority: Authority, setting: str, pattern: str, good: Any, bad: Any
) -> None:
    vault.write(ROLE, {setting: pattern})
    assert login(vault, peer(authority, **good)).error is None
    fails(login(vault, peer(authority, **bad)))


def test_the_token_is_refused_from_every_other_certificate_on_every_route(
    vault: Vault, authority: Authority
) -> None:
    vault.write("sys/policies/acl/web", {"policy": 'path "*" { capabilities = ["sudo", "read", '
                '"create", "update", "delete", "list", "patch"] }'})  # fmt: skip
    mine = peer(authority, uris=(SPIFFE,))
    token = login(vault, mine).token
    swapped = peer(authority, uris=(SPIFFE,))
    routes = [
        (op, path)
        for op in (Operation.READ, Operation.UPDATE, Operation.DELETE, Operation.LIST)
        for path in (
            "secret/data/app", "sys/mounts", "sys/capabilities-self", "auth/token/lookup-self",
            "auth/token/renew-self", "auth/token/revoke-self", "auth/token/create", "sys/seal",
            "cubbyhole/x", ROLE, "sys/policies/acl/web", "sys/leases/lookup/", "sys/tools/random",
        )
    ]  # fmt: skip
    tried = 0
    for other in (swapped, peer(authority, "admin"), None):
        for op, path in routes:
            reply = vault.request(op, path, token=token, peer=other)
            if reply.error is DeviceRefused:
                tried += 1
            else:
                assert reply.error is not None, (op, path)
                assert vault.request(op, path, token=None).error is reply.error, (op, path)
    assert tried > 50
    assert vault.write("auth/token/renew-self", token=token, peer=mine).error is None


def test_a_child_is_bound_as_its_parent(vault: Vault, authority: Authority) -> None:
    policy = 'path "auth/token/create" { capabilities = ["create", "update"] }'
    vault.write("sys/policies/acl/web", {"policy": policy})
    mine = peer(authority)
    token = login(vault, mine).token
    child = vault.write("auth/token/create", token=token, peer=mine).token
    assert vault.read("auth/token/lookup-self", token=child, peer=mine).error is None
    other = vault.read("auth/token/lookup-self", token=child, peer=peer(authority))
    assert other.error is DeviceRefused


def test_addresses(vault: Vault, authority: Authority) -> None:
    vault.write(ROLE, {"token_bound_cidrs": "10.0.0.0/8"})
    fails(login(vault, peer(authority)))
    assert login(vault, peer(authority), remote="10.0.0.1:1").error is None


def test_a_role_taken_away(vault: Vault, authority: Authority) -> None:
    vault.delete("auth/cert/certs/Web")
    fails(login(vault, peer(authority)))
    assert vault.list("auth/cert/certs/").error is NotFound


def test_strangers_do_not_learn_which_roles_there_are(vault: Vault) -> None:
    thief = peer(Authority("workloads", BEGINS, ENDS))
    seq = vault.storage.head().seq
    for name in ("", "web", "none"):
        fails(login(vault, thief, name))
        fails(login(vault, None, name))
    assert vault.storage.head().seq == seq


def test_listeners_hear_of_the_cas(vault: Vault) -> None:
    heard: list[bytes] = []
    vault.house.features.devices.on_trusted = heard.append
    other = Authority("others", BEGINS, ENDS)
    vault.write("auth/cert/certs/other", {"certificate": other.pem})
    assert heard == [other.certificate.public_bytes(Encoding.DER)]
    assert heard[0] in vault.house.features.devices.trusted(vault.house.state.begin())


@pytest.mark.parametrize(
    "data",
    [
        {"certificate": ""}, {"certificate": "no PEM"}, {"token_ttl": "1h"}, {"token_period": 60},
        {"ocsp_enabled": True}, {"required_extensions": "1.2.3:x"}, {"token_type": "fast"},
        {"allowed_names": [str(n) for n in range(257)]}, {"certificate": "x" * 70_000},
    ],
)  # fmt: skip
def test_what_a_role_cannot_be(vault: Vault, data: dict[str, Any]) -> None:
    before = vault.read(ROLE).data
    assert vault.write(ROLE, data).error is InvalidRequest
    assert vault.read(ROLE).data == before


def test_a_ca_with_constraints_that_are_not_checked(vault: Vault, authority: Authority) -> None:
    permitted = x509.NameConstraints([x509.DNSName("prod.example")], None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(authority.name)
        .issuer_name(authority.name)
        .public_key(authority.key.public_key())
        .serial_number(1)
        .not_valid_before(BEGINS)
        .not_valid_after(ENDS)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(permitted, critical=True)
    )
    pem = builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    assert vault.write(ROLE, {"certificate": pem}).error is InvalidRequest


def test_binding_cannot_be_disabled(vault: Vault) -> None:
    assert vault.write("auth/cert/config", {"disable_binding": True}).error is InvalidRequest
    assert vault.write("auth/cert/config", {"disable_binding": False}).error is None
    assert vault.read("auth/cert/config").data == {"disable_binding": False}
