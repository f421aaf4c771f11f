"""CAEP in and out: whose word counts, once, and what it does."""

from typing import Any, Final

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OctKey

from ironkeep.access.posture import events as posture_events, receiver as posture_receiver
from ironkeep.access.posture.events import CAEP, COMPLIANCE, TYPE
from ironkeep.access.posture.issuers import MAX_ISSUERS
from ironkeep.access.posture.receiver import MAX_SET, REVOKED
from ironkeep.api.http.wire import parse_body
from ironkeep.core.errors import (
    DeviceRefused,
    InvalidRequest,
    PermissionDenied,
    TooLarge,
    TooManyRequests,
)
from ironkeep.core.operation import Operation
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.parts import text
from ironkeep.testing.vault import Reply
from tests.access.posture.test_posture import PLEX_2022, alerts, tell
from tests.support.devices.device_estate import DeviceEstate
from tests.support.edge import Edge, request, run

MDM: Final = "https://mdm.example"
US: Final = "https://vault.example"


def es256(kid: str = "k1") -> ECKey:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return ECKey.import_key(pem, {"kid": kid})


def jwks(*keys: Any, private: bool = False) -> str:
    listed = [{**key.as_dict(private=private), "kid": key.kid} for key in keys]
    return msgspec.json.encode({"keys": listed}).decode()


class Mdm:
    """An estate with one device, and a pinned issuer that speaks of it."""

    def __init__(self) -> None:
        self.estate: Final = DeviceEstate()
        self.key: Final = es256()
        self.device: Final = self.estate.active("ann")
        self.peer: Final = self.estate.peer(self.device)
        self.token: Final = self.estate.login("ann", self.peer)
        self.number = 0
        self.pin("mdm", MDM, self.key)

    def pin(self, name: str, iss: str, *keys: Any, **more: Any) -> None:
        body = {"iss": iss, "audience": US, "jwks": jwks(*keys), **more}
        self.estate.write(f"device/ssf/issuers/{name}", body)

    def now_s(self) -> int:
        return self.estate.vault.clock.now_ns() // 10**9

    def claims(self, uri: str = COMPLIANCE, event: Any = None, **changes: Any) -> dict[str, Any]:
        self.number += 1
        bad = {"current_status": "not-compliant", "previous_status": "compliant",
               "reason_user": {"en": "the disk is not encrypted"}}  # fmt: skip
        device = {"format": "opaque", "id": self.device.id}
        made = {
            "iss": MDM, "aud": US, "jti": f"j{self.number}", "iat": self.now_s(),
            "sub_id": {"format": "complex", "device": device},
            "events": {uri: bad if event is None else event}, **changes,
        }  # fmt: skip
        return {name: value for name, value in made.items() if value is not None}

    def signed(self, claims: Any, key: Any = None, **header: Any) -> str:
        head = {"alg": "ES256", "typ": TYPE, "kid": "k1", **header}
        head = {name: value for name, value in head.items() if value is not None}
        payload = claims if isinstance(claims, bytes) else msgspec.json.encode(claims)
        return jws.serialize_compact(head, payload, key or self.key, algorithms=[head["alg"]])

    def push(self, token: str) -> Reply:
        reply = self.estate.vault.request(
            Operation.UPDATE, "device/ssf/events", {"set": token}, token=None
        )
        assert not self.estate.vault.defects
        return reply

    def serves(self) -> bool:
        reply = self.estate.vault.read("auth/token/lookup-self", token=self.token, peer=self.peer)
        assert reply.error in (None, DeviceRefused, PermissionDenied)
        return reply.error is None


@pytest.fixture
def mdm() -> Mdm:
    return Mdm()


@pytest.fixture(scope="module")
def unmoved() -> Mdm:
    """One for all tests that are refused, and change nothing."""
    return Mdm()


GOOD: Final = {"current_status": "compliant", "previous_status": "not-compliant"}


def test_an_mdm_takes_a_device_out_and_only_it_lets_it_back(mdm: Mdm) -> None:
    assert mdm.serves()
    reply = mdm.push(mdm.signed(mdm.claims()))
    assert reply.answer.accepted
    assert not mdm.serves()
    refused = mdm.estate.vault.read("auth/token/lookup-self", token=mdm.token, peer=mdm.peer)
    assert "mdm says: the disk is not encrypted" in refused.errors[0]
    # The device's own good report does not overrule it.
    answer = tell(mdm.estate, mdm.device)
    assert answer["compliant"] is False
    assert answer["refused_because"] == ["mdm says: the disk is not encrypted"]
    other = es256("k2")
    mdm.pin("idp", "https://idp.example", other)
    theirs = mdm.claims(event=GOOD, iss="https://idp.example")
    assert mdm.push(mdm.signed(theirs, other, kid="k2")).error is None
    assert tell(mdm.estate, mdm.device)["compliant"] is False
    mdm.estate.vault.clock.advance(seconds=1)
    assert mdm.push(mdm.signed(mdm.claims(event=GOOD))).error is None
    # Its word alone makes nothing compliant: the next report does.
    assert not mdm.serves()
    assert tell(mdm.estate, mdm.device)["compliant"] is True
    assert mdm.serves()


def test_a_good_word_makes_no_bad_device_good(mdm: Mdm) -> None:
    tell(mdm.estate, mdm.device, software=(PLEX_2022,))
    assert mdm.push(mdm.signed(mdm.claims(event=GOOD))).error is None
    assert not mdm.serves()


def test_an_event_counts_once_and_an_older_one_not_after_a_newer(mdm: Mdm) -> None:
    lifted = mdm.signed(mdm.claims(event=GOOD))
    mdm.estate.vault.clock.advance(seconds=1)
    assert mdm.push(lifted).error is None
    assert mdm.push(mdm.signed(mdm.claims())).error is None
    replayed = mdm.push(lifted)
    assert replayed.error is InvalidRequest
    assert "accepted already" in replayed.errors[0]
    held = mdm.signed(mdm.claims(event=GOOD, iat=mdm.now_s() - 5))
    assert mdm.push(held).error is None
    assert tell(mdm.estate, mdm.device)["compliant"] is False


def test_what_is_remembered_against_replay_is_bounded_and_goes(
    mdm: Mdm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posture_receiver, "MAX_AN_HOUR", 2)
    for _ in range(2):
        assert mdm.push(mdm.signed(mdm.claims(event=GOOD))).error is None
    assert mdm.push(mdm.signed(mdm.claims(event=GOOD))).error is TooManyRequests
    house = mdm.estate.vault.house
    mount = next(
        each
        for each in house.mounts.table(house.store(house.state.begin(), MOUNTS)).by_path.values()
        if each.type == "device"
    )
    first = mdm.now_s() // 3_600
    assert house.mount_store(house.state.begin(), mount).list("ssf/taken") == [f"{first}/"]
    mdm.estate.vault.clock.advance(seconds=26 * 3_600)
    assert mdm.push(mdm.signed(mdm.claims(event=GOOD))).error is None
    kept = house.mount_store(house.state.begin(), mount).list("ssf/taken")
    assert kept == [f"{first + 26}/"]


def test_sessions_are_ended_of_a_person_or_of_a_devices_owner(mdm: Mdm) -> None:
    entity = mdm.estate.vault.read("auth/token/lookup-self", token=mdm.token, peer=mdm.peer).data[
        "entity_id"
    ]
    user = {"format": "complex", "user": {"format": "iss_sub", "iss": US, "sub": entity}}
    assert mdm.push(mdm.signed(mdm.claims(REVOKED, {}, sub_id=user))).error is None
    assert not mdm.serves()
    assert len(alerts(mdm.estate, "sessions-revoked")) == 1
    mdm.estate.vault.clock.advance(seconds=1)
    token = mdm.estate.login("ann", mdm.peer)
    assert mdm.push(mdm.signed(mdm.claims(REVOKED, {}))).error is None
    reply = mdm.estate.vault.read("auth/token/lookup-self", token=token, peer=mdm.peer)
    assert reply.error is PermissionDenied


def test_an_issuer_does_no_more_than_it_may_and_unknown_events_do_nothing(mdm: Mdm) -> None:
    mdm.pin("mdm", MDM, mdm.key, may="sessions")
    assert mdm.push(mdm.signed(mdm.claims())).error is None
    assert mdm.push(mdm.signed(mdm.claims(f"{CAEP}credential-change", {}))).error is None
    assert mdm.serves()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"iss": "https://evil.example"}, PermissionDenied),
        ({"iss": None}, PermissionDenied),
        ({"aud": "https://other.example"}, InvalidRequest),
        ({"aud": None}, InvalidRequest),
        ({"aud": [US.upper()]}, InvalidRequest),
        ({"jti": None}, InvalidRequest),
        ({"jti": ""}, InvalidRequest),
        ({"jti": "x" * 257}, InvalidRequest),
        ({"jti": 7}, InvalidRequest),
        ({"iat": None}, InvalidRequest),
        ({"iat": True}, InvalidRequest),
        ({"iat": "now"}, InvalidRequest),
        ({"iat": 0}, InvalidRequest),
        ({"iat": 2**62}, InvalidRequest),
        ({"events": None}, InvalidRequest),
        ({"events": []}, InvalidRequest),
        ({"events": {COMPLIANCE: 1}}, InvalidRequest),
        ({"events": {COMPLIANCE: {}}}, InvalidRequest),
        ({"events": {COMPLIANCE: {"current_status": "fine"}}}, InvalidRequest),
        ({"sub_id": None}, InvalidRequest),
        ({"sub_id": {"device": {"format": "opaque", "id": "../x"}}}, InvalidRequest),
        ({"sub_id": {"device": {"format": "email", "email": "a@b"}}}, InvalidRequest),
        ({"sub_id": {"device": {"format": "opaque", "id": "\x00"}}}, InvalidRequest),
    ],
    ids=str,
)
def test_what_is_not_for_us_or_no_event_does_nothing(
    unmoved: Mdm, change: dict[str, Any], error: type[Exception]
) -> None:
    assert unmoved.push(unmoved.signed(unmoved.claims(**change))).error is error
    assert unmoved.serves()


def test_only_a_pinned_key_of_a_signature_algorithm_signs(mdm: Mdm) -> None:
    good = mdm.signed(mdm.claims())
    head, payload, signature = good.split(".")
    stolen_name = mdm.signed(mdm.claims(), es256())
    point = mdm.key.as_dict(private=False)["x"]
    shared = OctKey.import_key({"kty": "oct", "k": point, "kid": "k1"})
    confused = mdm.signed(mdm.claims(), shared, alg="HS256")
    none = "eyJhbGciOiJub25lIiwidHlwIjoic2VjZXZlbnQrand0In0"
    other = mdm.signed(mdm.claims(jti="other")).split(".")[1]
    for token in (
        stolen_name, confused, f"{none}.{payload}.", f"{none}.{payload}.{signature}",
        f"{head}.{other}.{signature}", f"{head}.{payload}.", f"{head}.{payload}.{signature[:-4]}",
        mdm.signed(mdm.claims(), kid="k9"), mdm.signed(mdm.claims(), es256("k9"), kid="k9"),
    ):  # fmt: skip
        assert mdm.push(token).error is PermissionDenied, token
    assert mdm.serves()
    assert mdm.push(good).error is None


def test_an_ordinary_token_is_no_event(mdm: Mdm) -> None:
    for typ in ("JWT", None, "at+jwt"):
        assert mdm.push(mdm.signed(mdm.claims(), typ=typ)).error is InvalidRequest
    assert mdm.serves()


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c", "\ud800.a.b", "é.é.é", "e30.e30.e30", "[" * 1_000]
)
def test_what_is_no_token_is_refused(unmoved: Mdm, token: str) -> None:
    assert unmoved.push(token).error in (InvalidRequest, PermissionDenied)
    assert unmoved.push("a" * (MAX_SET + 1)).error is TooLarge


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b"null", b"[" * 4_000])
def test_a_payload_that_is_no_object_is_refused(unmoved: Mdm, payload: bytes) -> None:
    assert unmoved.push(unmoved.signed(payload)).error in (InvalidRequest, PermissionDenied)


def test_pinned_keys_are_public_strong_and_named(mdm: Mdm) -> None:
    weak = '{"keys":[{"kty":"RSA","kid":"w","e":"AQAB","n":"' + "q" * 171 + '"}]}'
    nameless = msgspec.json.encode({"keys": [mdm.key.as_dict(private=False) | {"kid": None}]})
    shared = jwks(OctKey.import_key("secret-secret-secret-secret-1234", {"kid": "s"}), private=True)
    for bad in (
        "", "{}", "[]", '{"keys":[]}', '{"keys":[1]}', "[" * 5_000, "\ud800", weak,
        jwks(mdm.key, private=True),
        jwks(mdm.key).replace('"kid":"k1"', '"kid":["k1"]'),
        jwks(mdm.key, mdm.key), nameless.decode(), shared,
        jwks(*(es256(f"k{number}") for number in range(17))),
    ):  # fmt: skip
        body = {"iss": "x", "audience": US, "jwks": bad}
        reply = mdm.estate.refused("device/ssf/issuers/other", body)
        assert reply.error is InvalidRequest, bad[:60]
    assert not mdm.estate.vault.defects
    body = {"iss": "x", "audience": US, "jwks": " " * 40_000}
    assert mdm.estate.refused("device/ssf/issuers/other", body).error is TooLarge


def test_issuers_are_pinned_by_sudo_once_each_and_few(mdm: Mdm) -> None:
    body = {"iss": "x", "audience": US, "jwks": jwks(mdm.key)}
    user = mdm.estate.login("bob")
    path = "device/ssf/issuers/other"
    assert mdm.estate.refused(path, body, token=user).error is PermissionDenied
    assert mdm.estate.refused(path, {**body, "iss": MDM}).error is InvalidRequest
    for wrong in ({"iss": ""}, {"audience": "a\n"}, {"may": "everything"}, {"may": ""}):
        assert mdm.estate.refused(path, {**body, **wrong}).error is InvalidRequest
    for number in range(MAX_ISSUERS - 1):
        mdm.estate.write(f"device/ssf/issuers/i{number}", {**body, "iss": f"x{number}"})
    assert mdm.estate.refused(path, body).error is InvalidRequest
    assert mdm.estate.vault.read("device/ssf/issuers/mdm").data["may"] == ["compliance", "sessions"]
    assert len(mdm.estate.vault.list("device/ssf/issuers/").keys) == MAX_ISSUERS


def test_an_issuer_that_goes_takes_its_blocks_along(mdm: Mdm) -> None:
    mdm.push(mdm.signed(mdm.claims()))
    assert tell(mdm.estate, mdm.device)["compliant"] is False
    mdm.estate.vault.delete("device/ssf/issuers/mdm")
    assert mdm.push(mdm.signed(mdm.claims())).error is PermissionDenied
    assert tell(mdm.estate, mdm.device)["compliant"] is True


def test_a_push_is_taken_from_the_wire_as_it_comes() -> None:
    assert parse_body(b"a.b.c\r\n", b"application/secevent+jwt; charset=x") == {"set": "a.b.c"}
    assert parse_body(b"\xff.b", b"application/secevent+jwt") == {"set": "\ufffd.b"}


def test_a_push_over_http_is_answered_as_rfc_8935_says(mdm: Mdm) -> None:
    token = mdm.signed(mdm.claims()).encode()

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        kind = "Content-Type: application/secevent+jwt"
        asked = request("POST", "device/ssf/events", "", kind, body=token)
        taken = await client.ask(asked)
        assert (taken.status, taken.body) == (202, b"")
        again = await client.ask(asked)
        assert again.status == 400
        assert again.errors == ["invalid_request: this event was accepted already"]

    edge = run(scenario, mdm.estate.vault)
    assert not edge.defects
    assert not mdm.serves()


# -- out


def verified(estate: DeviceEstate, token: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(
        estate.vault.request(Operation.READ, "device/ssf/jwks", token=None).body
    )
    found = jws.deserialize_compact(token, keys, algorithms=["ES256"])
    assert found.headers()["typ"] == TYPE
    claims: dict[str, Any] = msgspec.json.decode(found.payload)
    return claims


def polled(estate: DeviceEstate, **body: Any) -> dict[str, Any]:
    reply = estate.vault.request(Operation.UPDATE, "device/ssf/poll", body)
    assert reply.error is None
    document: dict[str, Any] = reply.body
    return document


def test_each_change_of_a_verdict_is_told_signed_until_it_is_acknowledged() -> None:
    estate = DeviceEstate()
    device = estate.active("ann")
    tell(estate, device)
    tell(estate, device)
    tell(estate, device, software=(PLEX_2022,))
    first, second = (verified(estate, each) for each in polled(estate)["sets"].values())
    assert first["events"][COMPLIANCE]["current_status"] == "compliant"
    assert second["events"][COMPLIANCE]["current_status"] == "not-compliant"
    assert second["sub_id"]["device"]["sub"] == device.id
    assert "CVE-2020-5741" in second["events"][COMPLIANCE]["reason_user"]["en"]
    page = polled(estate, maxEvents=1)
    assert list(page["sets"]) == [first["jti"]]
    assert page["moreAvailable"] is True
    assert list(polled(estate, ack=first["jti"])["sets"]) == [second["jti"]]
    assert polled(estate, ack=[second["jti"]]) == {"sets": {}, "moreAvailable": False}
    user = estate.login("ann")
    assert estate.refused("device/ssf/poll", {}, token=user).error is PermissionDenied


def test_the_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posture_events, "MAX_KEPT", 2)
    estate = DeviceEstate()
    device = estate.active("ann")
    for number in range(5):
        tell(estate, device, disk_encrypted=number % 2 == 0)
    told = [verified(estate, each) for each in polled(estate)["sets"].values()]
    statuses = [each["events"][COMPLIANCE]["current_status"] for each in told]
    assert statuses == ["not-compliant", "compliant"]


def opaque(name: str) -> dict[str, str]:
    return {"format": "opaque", "id": name}


def entity_of(mdm: Mdm, token: str, peer: Any = None) -> str:
    found = mdm.estate.vault.read("auth/token/lookup-self", token=token, peer=peer)
    return text(found.data, "entity_id")


@pytest.mark.parametrize("user", ["another", "nobody", "unreadable"])
def test_a_subject_of_two_people_ends_nobody(mdm: Mdm, user: str) -> None:
    bob = mdm.estate.login("bob")
    named = {
        "another": opaque(entity_of(mdm, bob)), "nobody": opaque("nobody"),
        "unreadable": {"format": "email", "email": "bob@example.com"},
    }[user]  # fmt: skip
    subject = {"format": "complex", "user": named, "device": opaque(mdm.device.id)}
    event = mdm.claims(REVOKED, {}, sub_id=subject)
    assert mdm.push(mdm.signed(event)).error is InvalidRequest
    for token, peer in ((bob, None), (mdm.token, mdm.peer)):
        seen = mdm.estate.vault.read("auth/token/lookup-self", token=token, peer=peer)
        assert seen.error is None


def test_a_subject_of_one_person_and_their_device_ends_their_sessions(mdm: Mdm) -> None:
    ann = entity_of(mdm, mdm.token, mdm.peer)
    subject = {"format": "complex", "user": opaque(ann), "device": opaque(mdm.device.id)}
    assert mdm.push(mdm.signed(mdm.claims(REVOKED, {}, sub_id=subject))).error is None
    seen = mdm.estate.vault.read("auth/token/lookup-self", token=mdm.token, peer=mdm.peer)
    assert seen.error is PermissionDenied


@pytest.mark.parametrize("first", [True, False])
def test_a_set_with_one_bad_event_does_nothing_and_may_come_again(mdm: Mdm, first: bool) -> None:
    """The mark of having been taken and the deed are kept together, or not at all."""
    token = mdm.estate.login("ann")
    subject = {"format": "complex", "user": opaque(entity_of(mdm, token))}
    good: tuple[str, Any] = (REVOKED, {})
    bad: tuple[str, Any] = (COMPLIANCE, {"current_status": "not-compliant"})
    events = dict([good, bad] if first else [bad, good])
    sent = mdm.claims(sub_id=subject, events=events)
    for _ in range(2):
        refused = mdm.push(mdm.signed(sent))
        assert "names a device" in refused.errors[0]
        seen = mdm.estate.vault.read("auth/token/lookup-self", token=token)
        assert seen.error is None
    assert mdm.push(mdm.signed({**sent, "events": {REVOKED: {}}})).error is None
    assert mdm.estate.vault.read("auth/token/lookup-self", token=token).error is not None
