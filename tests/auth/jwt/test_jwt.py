"""The auth method `jwt`: the known ways to forge, replay and misuse a token."""

import base64
import hashlib
import hmac
import json
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ironkeep.app import PLUGINS
from ironkeep.auth.jwt import Jwt
from ironkeep.auth.jwt.login import REFUSED
from ironkeep.core.errors import (
    DeviceRefused,
    InvalidCredentials,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Unavailable,
    UpstreamFailed,
)
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.effects.answer import Answer
from ironkeep.plugin.effects.outbound import Outbound
from ironkeep.plugin.peer import Peer
from ironkeep.testing.vault import Reply, Vault
from tests.support.devices.authority import Authority

ISSUER: Final = "https://token.actions.githubusercontent.com"
CONFIG: Final = "auth/jwt/config"
ROLE: Final = "auth/jwt/role/deploy"
RSA: Final = RSAKey.import_key(
    rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
)
OTHER: Final = RSAKey.generate_key(2048)
EC: Final = ECKey.generate_key("P-256")
ED: Final = OKPKey.generate_key("Ed25519")
PUBLIC: Final = RSA.as_pem(private=False).decode()


def jwks(*keys: tuple[RSAKey | ECKey | OKPKey, str]) -> str:
    """Return a key set with ids."""
    return json.dumps({"keys": [{**key.as_dict(private=False), "kid": kid} for key, kid in keys]})


class Issuer:
    """An Outbound that serves a key set, or fails, and counts."""

    def __init__(self, document: str) -> None:
        self.document: str | None = document
        self.asked: list[tuple[str, str]] = []

    def get(self, url: str, ca_pem: str, limit: int) -> bytes:
        assert limit > 0
        self.asked.append((url, ca_pem))
        if self.document is None:
            raise UpstreamFailed("unreachable")
        return self.document.encode()


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started({**PLUGINS, "jwt": Jwt()})
    vault.write("sys/auth/jwt", {"type": "jwt"})
    vault.write(CONFIG, {"jwt_validation_pubkeys": [PUBLIC], "bound_issuer": ISSUER})
    vault.write(
        ROLE,
        {
            "bound_audiences": "ironkeep",
            "user_claim": "repository_id",
            "bound_claims": {"repository_id": "4711", "ref": ["main", "release"]},
            "claim_mappings": {"ref": "ref"},
            "token_policies": "deploy",
        },
    )
    return vault


def claims(vault: Vault, **changed: Any) -> dict[str, Any]:
    now = vault.clock.now_ns() // SECOND_NS
    said = {
        "iss": ISSUER, "aud": "ironkeep", "sub": "repo:acme/shop:ref:main", "ref": "main",
        "repository_id": "4711", "iat": now, "nbf": now, "exp": now + 300, "jti": "one",
    }  # fmt: skip
    return {name: value for name, value in {**said, **changed}.items() if value is not ...}


def signed(vault: Vault, key: Any = RSA, alg: str = "RS256", /, **changed: Any) -> str:
    header = {"alg": alg, **changed.pop("header", {})}
    return jwt.encode(header, claims(vault, **changed), key, algorithms=[alg])


def login(vault: Vault, token: str, role: str = "deploy", peer: Peer | None = None) -> Reply:
    return vault.write("auth/jwt/login", {"role": role, "jwt": token}, token=None, peer=peer)


def why(vault: Vault, token: str) -> str:
    """Assert that a token is refused in the one way; return the reason given to operators."""
    said = vault.write(f"{ROLE}/explain", {"jwt": token}).data
    assert not said["accepted"]
    reply = login(vault, token)
    assert (reply.error, reply.errors) == (InvalidCredentials, [REFUSED])
    return str(said["reason"])


def test_a_workload_logs_in(vault: Vault) -> None:
    assert vault.write(f"{ROLE}/explain", {"jwt": signed(vault)}).data["accepted"]
    auth = login(vault, signed(vault)).auth
    assert auth["policies"] == ["default", "deploy"]
    assert auth["metadata"] == {"ref": "main", "role": "deploy"}
    assert auth["lease_duration"] == 900
    entity = vault.read("auth/token/lookup-self", token=auth["client_token"]).data
    assert entity["display_name"] == "jwt-4711"


@pytest.mark.parametrize(
    ("key", "alg"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "Ed25519")]
)
def test_every_kind_of_key(vault: Vault, key: Any, alg: str) -> None:
    vault.write(CONFIG, {"jwt_validation_pubkeys": [key.as_pem(private=False).decode()]})
    assert login(vault, signed(vault, key, alg)).error is None


def test_the_default_role(vault: Vault) -> None:
    assert login(vault, signed(vault), "").error is InvalidCredentials
    vault.write(CONFIG, {"jwt_validation_pubkeys": [PUBLIC], "default_role": "Deploy"})
    assert login(vault, signed(vault), "").error is None


def b64(raw: bytes | dict[str, Any]) -> str:
    data = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_an_unsigned_token(vault: Vault) -> None:
    for alg in ("none", "None", "NONE", ""):
        body = f"{b64({'alg': alg})}.{b64(claims(vault))}"
        for signature in ("", "AA"):
            assert "algorithm" in why(vault, f"{body}.{signature}")


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_shared_secret(vault: Vault, alg: str) -> None:
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[alg]
    body = f"{b64({'alg': alg})}.{b64(claims(vault))}"
    for secret in (PUBLIC.encode(), PUBLIC.strip().encode(), b""):
        signature = hmac.new(secret, body.encode(), digest).digest()
        assert "algorithm" in why(vault, f"{body}.{b64(signature)}")


def test_hs_cannot_be_allowed(vault: Vault) -> None:
    for bad in ("HS256", "none", "RS256,none", "ES256K"):
        data = {"jwt_validation_pubkeys": [PUBLIC], "jwt_supported_algs": bad}
        assert vault.write(CONFIG, data).error is InvalidRequest


def test_an_algorithm_that_is_not_on_the_list(vault: Vault) -> None:
    vault.write(CONFIG, {"jwt_validation_pubkeys": [PUBLIC], "jwt_supported_algs": "RS256"})
    assert "algorithm" in why(vault, signed(vault, RSA, "PS256"))
    assert login(vault, signed(vault)).error is None


def test_another_key_and_another_kind_of_key(vault: Vault) -> None:
    assert "signature" in why(vault, signed(vault, OTHER))
    assert "signature" in why(vault, signed(vault, EC, "ES256"))


def test_a_token_brings_no_key_of_its_own(vault: Vault) -> None:
    own = OTHER.as_dict(private=False)
    for header in (
        {"jwk": own}, {"jku": "https://thief.example/jwks"}, {"x5u": "https://thief.example/"},
    ):  # fmt: skip
        assert why(vault, signed(vault, OTHER, header=header))


def test_changed_claims_and_broken_tokens(vault: Vault) -> None:
    head, body, tail = signed(vault).split(".")
    other = b64({**claims(vault), "sub": "admin"})
    for bad in (
        f"{head}.{other}.{tail}", f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{tail}.x",
        "", "a.b.c", "....", "é.é.é", "\x00", "x" * 20_000, f"{b64(b'[' * 9000)}.e30.e30",
        f"{head}.{b64(b'[' * 9000)}.{tail}", f"{b64({'alg': ['RS256']})}.{body}.{tail}",
        f"{b64({'alg': 'RS256', 'kid': 5})}.{body}.{tail}",
        f"{b64({'alg': 'RS256', 'crit': ['exp']})}.{body}.{tail}",
        f"{b64({'alg': 'RS256', 'b64': False})}.{body}.{tail}",
    ):  # fmt: skip
        reply = login(vault, bad)
        assert reply.error in {InvalidCredentials, InvalidRequest}
        assert bad == "" or reply.errors == [REFUSED]
    assert vault.defects == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": ...}, "exp is missing"),
        ({"exp": "soon"}, "not a time"),
        ({"exp": True}, "not a time"),
        ({"exp": None}, "not a time"),
        ({"exp": float("inf")}, "not a time"),
        ({"exp": float("nan")}, "not a time"),
        ({"exp": 10**30}, "more than"),
        ({"nbf": float("inf")}, "not a time"),
        ({"iss": ...}, "iss"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": [ISSUER]}, "iss"),
        ({"aud": ...}, "aud"),
        ({"aud": "ironkeep2"}, "aud"),
        ({"aud": ["other", 5]}, "aud"),
        ({"aud": {"ironkeep": 1}}, "aud"),
        ({"repository_id": "4712"}, "repository_id"),
        ({"repository_id": ...}, "repository_id"),
        ({"ref": "main2"}, "ref"),
        ({"ref": ["feature"]}, "ref"),
        ({"ref": {"main": 1}}, "ref"),
    ],
)
def test_what_a_token_must_say(vault: Vault, changed: dict[str, Any], reason: str) -> None:
    assert reason in why(vault, signed(vault, **changed))


def test_an_audience_among_others(vault: Vault) -> None:
    assert login(vault, signed(vault, aud=["other", "ironkeep"])).error is None


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("exp", -59, -60), ("nbf", 60, 61), ("iat", 60, 61), ("exp", 86_400, 86_401)],
)
def test_times_to_the_second(vault: Vault, name: str, good: int, bad: int) -> None:
    now = vault.clock.now_ns() // SECOND_NS
    assert why(vault, signed(vault, **{name: now + bad}))
    assert login(vault, signed(vault, **{name: now + good})).error is None


def test_leeways_are_the_roles_and_bounded(vault: Vault) -> None:
    now = vault.clock.now_ns() // SECOND_NS
    late = signed(vault, exp=now - 100)
    assert "expired" in why(vault, late)
    vault.write(ROLE, {"expiration_leeway": 100})
    assert login(vault, late).error is None
    assert vault.write(ROLE, {"clock_skew_leeway": 300}).error is None
    assert vault.write(ROLE, {"clock_skew_leeway": 301}).error is InvalidRequest


def test_a_token_made_for_more_than_a_day_is_a_password(vault: Vault) -> None:
    now = vault.clock.now_ns() // SECOND_NS
    assert "more than" in why(vault, signed(vault, iat=now - 80_000, exp=now + 80_000))
    assert "more than" in why(vault, signed(vault, iat=..., exp=now + 90_000))


def test_globs_and_pointers(vault: Vault) -> None:
    vault.write(
        ROLE,
        {
            "bound_claims_type": "glob",
            "bound_claims": {"sub": "repo:acme/*:ref:main", "/job/protected": True},
            "user_claim": "/job/name", "user_claim_json_pointer": True,
        },
    )  # fmt: skip
    job = {"name": "deploy", "protected": True}
    assert "protected" in why(vault, signed(vault))
    assert "sub" in why(vault, signed(vault, job=job, sub="repo:evil/acme/x:ref:main"))
    assert "not a name" in why(vault, signed(vault, job={"protected": True}))
    assert login(vault, signed(vault, job=job)).error is None


def test_a_token_logs_in_once(vault: Vault) -> None:
    token = signed(vault)
    assert login(vault, token).error is None
    assert "logged in already" in why(vault, token)
    # Another signature over the same jti is the same token; the same jti elsewhere is not.
    assert "logged in already" in why(vault, signed(vault, exp=claims(vault)["exp"] + 1))
    assert login(vault, signed(vault, jti="two")).error is None


def test_many_logins_at_once_by_one_token(vault: Vault) -> None:
    data = {"role": "deploy", "jwt": signed(vault)}
    requests = [vault.asked(Operation.UPDATE, "auth/jwt/login", data, None) for _ in range(20)]
    answers = [vault.pipeline.handle(request) for request in requests]
    vault.flush()
    assert sum(isinstance(each, Answer) and each.error is None for each in answers) == 1


def test_a_used_token_is_remembered_until_it_is_worth_nothing(vault: Vault) -> None:
    token = signed(vault)
    assert login(vault, token).error is None
    rows = sum(1 for _ in vault.storage.scan(b""))
    for _ in range(5):
        vault.tick(60)
        assert why(vault, token)
    vault.tick(61)
    assert sum(1 for _ in vault.storage.scan(b"")) < rows
    assert "expired" in why(vault, token)


def test_tokens_that_are_presented_again_on_purpose(vault: Vault) -> None:
    vault.write(ROLE, {"jti_single_use": False})
    token = signed(vault)
    assert login(vault, token).error is None
    assert login(vault, token).error is None


def test_a_token_without_jti_is_not_taken_for_a_used_one(vault: Vault) -> None:
    for jti in (..., None, ..., None):
        assert login(vault, signed(vault, jti=jti)).error is None


def test_strangers_learn_neither_roles_nor_reasons(vault: Vault) -> None:
    seq = vault.storage.head().seq
    seen = {
        (reply.error, tuple(reply.errors))
        for reply in (
            login(vault, signed(vault), "nobody"), login(vault, signed(vault, OTHER)),
            login(vault, signed(vault, aud="x")), login(vault, signed(vault, OTHER), "nobody"),
            login(vault, signed(vault, ref="x")),
        )
    }  # fmt: skip
    assert seen == {(InvalidCredentials, (REFUSED,))}
    assert vault.storage.head().seq == seq
    vault.write("sys/auth/empty", {"type": "jwt"})
    reply = vault.write("auth/empty/login", {"role": "a", "jwt": signed(vault)}, token=None)
    assert reply.errors == [REFUSED]


def test_tokens_of_machines_are_short(vault: Vault) -> None:
    for setting in (
        {"token_ttl": 901}, {"token_max_ttl": "1h"}, {"token_period": 60},
        {"token_explicit_max_ttl": 3600},
    ):  # fmt: skip
        assert vault.write(ROLE, setting).error is InvalidRequest
    vault.write(ROLE, {"token_ttl": 600})
    token = login(vault, signed(vault)).token
    vault.clock.advance(seconds=500)
    renewed = vault.write("auth/token/renew-self", {"increment": 3600}, token=token)
    assert renewed.auth["lease_duration"] == 400
    vault.clock.advance(seconds=400)
    assert vault.read("auth/token/lookup-self", token=token).error is PermissionDenied


def test_a_token_is_bound_to_the_callers_certificate(vault: Vault) -> None:
    authority = Authority("ours")
    mine, theirs = authority.peer("worker-1"), authority.peer("worker-1")
    token = login(vault, signed(vault), peer=mine).token
    look = "auth/token/lookup-self"
    assert vault.read(look, token=token, peer=mine).error is None
    for peer in (None, theirs):
        assert vault.read(look, token=token, peer=peer).error is DeviceRefused


def test_a_role_can_demand_a_certificate(vault: Vault) -> None:
    vault.write(ROLE, {"token_bound_peer": "required"})
    assert login(vault, signed(vault)).error is PermissionDenied
    ours, other = Authority("ours"), Authority("ours")
    vault.house.features.devices.client_cas = (ours.certificate.public_bytes(Encoding.DER),)
    # Anybody can sign a certificate of their own: its key proves nothing of who they are.
    assert login(vault, signed(vault), peer=other.peer("worker")).error is PermissionDenied
    assert login(vault, signed(vault), peer=ours.peer("worker")).error is None


@pytest.fixture
def issuer(vault: Vault) -> Issuer:
    found = Issuer(jwks((RSA, "a"), (EC, "b")))
    vault.house.services.provide_as(Outbound, found)
    vault.write(CONFIG, {"jwks_url": "https://issuer.example/keys", "bound_issuer": ISSUER})
    return found


def by_kid(vault: Vault, key: Any = RSA, kid: str = "a", alg: str = "RS256", **rest: Any) -> str:
    return signed(vault, key, alg, header={"kid": kid}, **rest)


def test_published_keys_are_fetched_once(vault: Vault, issuer: Issuer) -> None:
    assert login(vault, by_kid(vault, jti="1")).error is None
    assert login(vault, by_kid(vault, EC, "b", "ES256", jti="2")).error is None
    assert issuer.asked == [("https://issuer.example/keys", "")]
    assert "signature" in why(vault, by_kid(vault, OTHER))
    assert "signature" in why(vault, by_kid(vault, EC, "a", "ES256"))
    assert len(issuer.asked) == 1


def test_a_new_key_is_found_and_invented_ones_make_nobody_work(
    vault: Vault, issuer: Issuer
) -> None:
    assert login(vault, by_kid(vault, jti="1")).error is None
    vault.clock.advance(seconds=30)
    issuer.document = jwks((RSA, "a"), (OTHER, "c"))
    assert login(vault, by_kid(vault, OTHER, "c", jti="2")).error is None
    assert len(issuer.asked) == 2
    for number in range(50):
        for kid in (f"invented-{number}", "../../config", "a' OR 1=1", "\x00", "x" * 5000):
            assert login(vault, by_kid(vault, OTHER, kid)).errors == [REFUSED]
    assert len(issuer.asked) == 2
    vault.clock.advance(seconds=30)
    for number in range(50):
        login(vault, by_kid(vault, OTHER, f"again-{number}"))
    assert len(issuer.asked) == 3


def test_a_withdrawn_key_is_out_of_force_within_the_hour(vault: Vault, issuer: Issuer) -> None:
    assert login(vault, by_kid(vault, jti="1")).error is None
    issuer.document = jwks((OTHER, "c"))
    vault.clock.advance(seconds=3_599)
    assert login(vault, by_kid(vault, jti="2")).error is None
    vault.clock.advance(seconds=1)
    assert login(vault, by_kid(vault, jti="3")).error is InvalidCredentials


def test_while_the_issuer_is_away_its_keys_hold_for_an_hour_more(
    vault: Vault, issuer: Issuer
) -> None:
    assert login(vault, by_kid(vault, jti="1")).error is None
    issuer.document = None
    vault.clock.advance(seconds=7_199)
    assert login(vault, by_kid(vault, jti="2")).error is None
    vault.clock.advance(seconds=1)
    assert login(vault, by_kid(vault, jti="3")).error is Unavailable
    issuer.document = jwks((RSA, "a"))
    assert login(vault, by_kid(vault, jti="3")).error is Unavailable
    vault.clock.advance(seconds=30)
    assert login(vault, by_kid(vault, jti="3")).error is None


@pytest.mark.parametrize("document", ["", "{}", "[]", '{"keys": []}', '{"keys": 5}', "[" * 9000])
def test_an_issuer_that_sends_nonsense(vault: Vault, issuer: Issuer, document: str) -> None:
    issuer.document = document
    assert login(vault, by_kid(vault)).error is Unavailable
    assert vault.defects == []


def test_an_address_that_was_changed_while_keys_were_fetched(vault: Vault, issuer: Issuer) -> None:
    data = {"role": "deploy", "jwt": by_kid(vault)}
    waiting = vault.pipeline.handle(vault.asked(Operation.UPDATE, "auth/jwt/login", data, None))
    vault.write(CONFIG, {"jwks_url": "https://other.example/keys"})
    assert vault.settle(waiting).error is InvalidCredentials
    issuer.document = jwks((OTHER, "a"))
    # Nothing that the old issuer said is believed of the new one.
    vault.clock.advance(seconds=30)
    assert login(vault, by_kid(vault)).error is InvalidCredentials
    assert issuer.asked[-1][0] == "https://other.example/keys"


def test_keys_of_a_set_that_are_not_for_this(vault: Vault) -> None:
    short = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    weak = {"kty": "RSA", "n": b64(short.n.to_bytes(128, "big")), "e": "AQAB"}
    bad = [
        {"kty": "oct", "k": "AAAA"}, RSA.as_dict(private=True), weak,
        {**RSA.as_dict(private=False), "use": "enc"}, {"kty": "RSA", "n": 5}, 5,
        {**RSA.as_dict(private=False), "kid": 5}, {"kty": "EC", "crv": "P-256", "x": "A", "y": "A"},
    ]  # fmt: skip
    for each in bad:
        assert vault.write(CONFIG, {"jwks": json.dumps({"keys": [each]})}).error is InvalidRequest
    good = [*bad, {**EC.as_dict(private=False), "kid": "b"}]
    assert vault.write(CONFIG, {"jwks": {"keys": good}}).error is None
    assert login(vault, by_kid(vault, EC, "b", "ES256")).error is None
    assert login(vault, by_kid(vault, RSA, "b")).error is InvalidCredentials


@pytest.mark.parametrize(
    "data",
    [
        {}, {"jwks_url": "https://a.example", "jwt_validation_pubkeys": [PUBLIC]},
        {"jwks_url": "http://a.example/keys"}, {"jwks_url": "file:///etc/passwd"},
        {"jwks_url": "https://u:p@a.example/"}, {"jwks_url": "https://"}, {"jwks_url": "x"},
        {"jwks_url": "https://a.example", "jwks_ca_pem": "no"}, {"jwks_url": "https://a:b/"},
        {"jwt_validation_pubkeys": ["no key"]}, {"oidc_discovery_url": "https://a.example"},
        {"jwt_validation_pubkeys": [RSA.as_pem(private=True).decode()]}, {"jwks": "no"},
    ],
)  # fmt: skip
def test_what_a_configuration_cannot_be(vault: Vault, data: dict[str, Any]) -> None:
    assert vault.write(CONFIG, data).error is InvalidRequest
    assert vault.read(CONFIG).data["jwt_validation_pubkeys"] == [PUBLIC]


@pytest.mark.parametrize(
    "data",
    [
        {"bound_audiences": []}, {"bound_audiences": [""]}, {"user_claim": ""},
        {"bound_claims_type": "regex"}, {"bound_claims": {"a": {}}}, {"bound_claims": {"a": []}},
        {"claim_mappings": {"ref": "role"}}, {"role_type": "oidc"}, {"groups_claim": "groups"},
        {"token_bound_peer": "maybe"}, {"token_type": "fast"}, {"expiration_leeway": "1h"},
        {"bound_claims": {"a": [None]}}, {"bound_claims": {str(n): "x" for n in range(65)}},
    ],
)  # fmt: skip
def test_what_a_role_cannot_be(vault: Vault, data: dict[str, Any]) -> None:
    before = vault.read(ROLE).data
    assert vault.write(ROLE, data).error is InvalidRequest
    assert vault.read(ROLE).data == before


def test_a_role_without_audience_or_user_is_none(vault: Vault) -> None:
    for data in ({"user_claim": "sub"}, {"bound_audiences": "a"}):
        assert vault.write("auth/jwt/role/new", data).error is InvalidRequest
    assert vault.list("auth/jwt/role/").keys == ["deploy"]
    vault.delete("auth/jwt/role/DEPLOY")
    assert vault.read(ROLE).error is NotFound


def test_no_other_kind_of_key_is_taken_as_pem(vault: Vault) -> None:
    for key in (
        rsa.generate_private_key(65537, 1024).public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
    ):
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        vault.write(CONFIG, {"jwt_validation_pubkeys": [pem]})
        # A key that only agrees on secrets signs nothing.
        assert login(vault, signed(vault, ED, "Ed25519")).error is InvalidCredentials


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [10**400, -(10**400)], ids=["long", "long before"])
def test_a_time_past_every_clock(vault: Vault, claim: str, value: int) -> None:
    assert f"claim {claim} is not a time" in why(vault, signed(vault, **{claim: value}))


def test_half_of_a_surrogate_pair_is_no_text(vault: Vault) -> None:
    def spelt(**changed: Any) -> str:
        payload = json.dumps(claims(vault, **changed)).encode()
        return jws.serialize_compact({"alg": "RS256"}, payload, RSA, algorithms=["RS256"])

    assert "claim ref" in why(vault, spelt(ref="\ud800"))
    # What is not mapped is told to the journal alone, which leaves it out.
    assert login(vault, spelt(sub="\ud800")).error is None
