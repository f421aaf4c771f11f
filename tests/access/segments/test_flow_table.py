"""Who may ask whom: every fact must let a caller through, and a violation is an alert."""

from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.access.devices.devices import DeviceRecord
from ironkeep.access.segments.flow_table import located
from ironkeep.access.segments.routes import SegmentEngine
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.policy.flows import FlowRule, Origin, class_refusal, flow_refusal
from ironkeep.core.secret import Secret
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Plugin
from ironkeep.plugin.token import Session
from ironkeep.testing.parts import tables
from ironkeep.testing.plugins import PLUGINS as BASE
from ironkeep.testing.vault import Vault

PLUGINS: Final[dict[str, Plugin]] = {**BASE, "segment": SegmentEngine()}
ONE: Final = {"secret_shares": 1, "secret_threshold": 1}
DATA: Final = {"data": {"v": "1"}}
NAMES: Final = st.sampled_from(["house", "dev", "prod", "backup"])


def make(vault: Vault, name: str, **rest: Any) -> str:
    """Make an open segment with a mount of its name; return its share."""
    share: str = vault.write(f"segment/segments/{name}", {**ONE, **rest}).keys[0]
    options = {"version": "2", "segment": name}
    assert vault.write(f"sys/mounts/{name}", {"type": "kv", "options": options}).error is None
    assert vault.write(f"segment/segments/{name}/unseal", {"key": share}).error is None
    return share


def allow(vault: Vault, source: str, target: str, **rest: Any) -> None:
    assert vault.write(f"segment/flows/{source}/{target}", rest).error is None


def mount_at(vault: Vault, path: str) -> Mount:
    house = vault.house
    table = house.mounts.table(house.store(house.state.begin(), "sys/mounts"))
    return table.by_path[path]


def session_of(vault: Vault, token: str, device: str = "") -> Session:
    """Return a token's session, as if it were bound to a device."""
    tx = vault.house.state.begin()
    secret = Secret(token.encode())
    found = vault.house.tokens.authenticate(tx, secret, vault.clock.now_ns(), "127.0.0.1")
    record = msgspec.structs.replace(found.record, device=DeviceId(device))
    return Session(
        found.hash, record, found.name, found.policies, found.identity_policies, found.acl,
        found.root, {},
    )  # fmt: skip


def enrol(vault: Vault, device: str, *segments: str, **rest: Any) -> None:
    tx = vault.house.state.begin()
    about: dict[str, Any] = {"ownership": "corporate", "key_kind": "tpm", "owner": EntityId("e")}
    record = DeviceRecord(
        id=DeviceId(device), name=device, key=b"k", created_ns=1, state="active",
        segments=segments, **{**about, **rest},
    )  # fmt: skip
    vault.house.features.devices.put(tx, record)
    tx.merge()
    vault.flush()


def refusal(vault: Vault, path: str, session: Session | None, remote: str = "127.0.0.1:1") -> str:
    """Return what the caller is told, "" when nothing is refused."""
    house = vault.house
    now = vault.clock.now_ns()
    refused = house.features.flows.refusal(
        house.state.begin(), mount_at(vault, path), session, remote, now
    )
    return "" if refused is None else refused.say


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def test_without_segments_nothing_is_weighed(vault: Vault) -> None:
    assert refusal(vault, "secret/", None) == ""


def test_across_segments_all_is_refused_that_no_rule_allows(vault: Vault) -> None:
    make(vault, "prod")
    reply = vault.write("prod/data/x", DATA)
    assert reply.error is PermissionDenied
    assert reply.errors == ["no flow rule lets house (by default) ask segment prod"]
    allow(vault, "house", "prod", reason="operators sit there")
    assert vault.write("prod/data/x", DATA).error is None
    assert vault.delete("segment/flows/house/prod").error is None
    assert vault.read("prod/data/x").error is PermissionDenied


def test_a_violation_is_an_alert_and_an_entry(vault: Vault) -> None:
    make(vault, "prod")
    vault.read("prod/data/x")
    entries = [entry for _, entry in vault.house.audit_reader().entries()]
    refused = next(each for each in entries if each.path == "prod/data/x" and each.reason)
    assert refused.reason == "no flow rule lets house (by default) ask segment prod"
    alerts = vault.list("sys/alerts/").keys
    assert len(alerts) == 1


def test_a_caller_in_the_segment_s_network_asks_it_and_no_other(vault: Vault) -> None:
    make(vault, "prod", networks="10.1.0.0/16,fd00:1::/32")
    make(vault, "dev", networks="10.2.0.0/16")
    for remote in ("10.1.2.3:99", "[fd00:1::5]:99", "::ffff:10.1.2.3"):
        assert vault.write("prod/data/x", DATA, remote=remote).error is None, remote
        assert vault.read("dev/data/x", remote=remote).error is PermissionDenied
        assert vault.read("secret/data/x", remote=remote).error is PermissionDenied
    for remote in ("10.2.0.1:5", "10.3.0.1:5", "", "nonsense"):
        assert vault.read("prod/data/x", remote=remote).error is PermissionDenied, remote
    assert vault.read("secret/data/x", remote="10.3.0.1:5").error is NotFound


def test_the_house_is_always_asked_for_what_everybody_needs(vault: Vault) -> None:
    make(vault, "dev", networks="10.2.0.0/16")
    for path in ("auth/token/lookup-self", "segment/flows", "sys/mounts"):
        assert vault.read(path, remote="10.2.0.1:5").error is None


def test_a_rule_for_some_policies_lets_nobody_else_through(vault: Vault) -> None:
    make(vault, "prod")
    allow(vault, "house", "prod", policies="deployer")
    text = 'path "prod/*" { capabilities = ["read", "create", "update"] }'
    for name in ("deployer", "other"):
        vault.write(f"sys/policies/acl/{name}", {"policy": text})
    tokens = {
        name: vault.write("auth/token/create", {"policies": [name]}).token
        for name in ("deployer", "other")
    }
    assert vault.write("prod/data/x", DATA, token=tokens["deployer"]).error is None
    assert vault.read("prod/data/x", token=tokens["other"]).error is PermissionDenied
    assert vault.read("prod/data/x").error is PermissionDenied


def test_each_fact_must_let_through_by_itself(vault: Vault) -> None:
    make(vault, "prod", networks="10.1.0.0/16")
    make(vault, "dev", networks="10.2.0.0/16")
    enrol(vault, "of-prod", "prod")
    enrol(vault, "of-dev", "dev")
    enrol(vault, "of-both", "dev", "prod")
    enrol(vault, "of-none")
    cases = [
        ("of-prod", "10.1.0.1:5", ""),
        ("of-both", "10.1.0.1:5", ""),
        ("of-dev", "10.1.0.1:5", "dev (by device)"),
        ("of-none", "10.1.0.1:5", "house (by device)"),
        ("unknown", "10.1.0.1:5", "house (by device)"),
        ("of-prod", "10.2.0.1:5", "dev (by network)"),
        ("of-prod", "192.0.2.1:5", "house (by network)"),
    ]
    for device, remote, why in cases:
        told = refusal(vault, "prod/", session_of(vault, vault.root, device), remote)
        assert told == (f"no flow rule lets {why} ask segment prod" if why else ""), device


def test_a_segment_takes_only_devices_of_its_classes(vault: Vault) -> None:
    make(vault, "prod", devices="corporate/tpm")
    enrol(vault, "good", "prod")
    enrol(vault, "copied", "prod", key_kind="file")
    enrol(vault, "private", "prod", ownership="personal")
    assert refusal(vault, "prod/", session_of(vault, vault.root, "good")) == ""
    told = refusal(vault, "prod/", session_of(vault, vault.root, "copied"))
    assert "the segment takes corporate/tpm" in told
    assert refusal(vault, "prod/", session_of(vault, vault.root, "private"))
    allow(vault, "house", "prod")
    assert "is not known" in refusal(vault, "prod/", session_of(vault, vault.root))
    assert vault.write("segment/segments/prod", {"devices": "toaster"}).error is InvalidRequest


def login(vault: Vault, name: str = "ann") -> str:
    """Make a userpass method in segment `dev` and log in there, from the house."""
    allow(vault, "house", "dev")
    made = vault.write("sys/auth/devs", {"type": "userpass", "options": {"segment": "dev"}})
    assert made.error is None
    user = {"password": "correct horse", "token_policies": "all"}
    assert vault.write(f"auth/devs/users/{name}", user).error is None
    text = 'path "*" { capabilities = ["read", "create", "update", "sudo"] }'
    vault.write("sys/policies/acl/all", {"policy": text})
    reply = vault.write(f"auth/devs/login/{name}", {"password": "correct horse"}, token=None)
    assert reply.error is None, reply.body
    return reply.token


def test_a_token_of_a_segment_s_auth_method_is_of_the_segment_and_so_are_its_children(
    vault: Vault,
) -> None:
    share = make(vault, "dev")
    make(vault, "prod")
    allow(vault, "house", "prod")
    token = login(vault)
    child = vault.write("auth/token/create", {"ttl": "1h"}, token=token).token
    for held in (token, child):
        assert refusal(vault, "dev/", session_of(vault, held)) == ""
        told = refusal(vault, "prod/", session_of(vault, held))
        assert told == "no flow rule lets dev (by login) ask segment prod"
    vault.write("segment/segments/dev/seal")
    for held in (token, child):
        assert vault.read("auth/token/lookup-self", token=held).error is PermissionDenied
    vault.write("segment/segments/dev/unseal", {"key": share})
    assert vault.read("auth/token/lookup-self", token=child).error is None


def test_a_cut_ends_what_the_segment_issued_for_good(vault: Vault) -> None:
    share = make(vault, "dev")
    token = login(vault)
    user = {"password": "correct horse", "token_type": "batch", "token_policies": "all"}
    vault.write("auth/devs/users/bob", user)
    body = {"password": "correct horse"}
    batch = vault.write("auth/devs/login/bob", body, token=None).token
    for held in (token, batch):
        assert vault.read("auth/token/lookup-self", token=held).error is None
    vault.write("segment/segments/dev/cut")
    vault.clock.advance(seconds=1)
    vault.write("segment/segments/dev/unseal", {"key": share})
    for held in (token, batch):
        assert vault.read("auth/token/lookup-self", token=held).error is PermissionDenied
    again = vault.write("auth/devs/login/bob", body, token=None).token
    assert vault.read("auth/token/lookup-self", token=again).error is None


def test_the_matrix_is_one_table_with_a_history(vault: Vault) -> None:
    make(vault, "prod")
    make(vault, "dev")
    allow(vault, "dev", "prod", reason="first")
    vault.clock.advance(seconds=1)
    allow(vault, "dev", "prod", reason="second")
    vault.clock.advance(seconds=1)
    vault.delete("segment/flows/dev/prod")
    assert vault.read("segment/flows").data == {"rules": [], "default": "deny"}
    told = tables(vault.read("segment/flows-history").data, "matrices")
    reasons = [[rule["reason"] for rule in tables(each, "rules")] for each in told]
    assert reasons == [["first"], ["second"], []]
    assert vault.read("segment/flows/dev/prod").error is NotFound


@pytest.mark.parametrize("pair", ["dev/dev", "house/house", "dev/nowhere", "nowhere/dev"])
def test_rules_that_mean_nothing_are_refused(vault: Vault, pair: str) -> None:
    make(vault, "dev")
    reply = vault.write(f"segment/flows/{pair}", {})
    assert reply.error in (InvalidRequest, NotFound)


@given(
    st.lists(st.builds(FlowRule, NAMES, NAMES), max_size=5),
    st.lists(st.builds(Origin, st.just("x"), st.frozensets(NAMES, min_size=1)), max_size=3),
    NAMES,
)
def test_one_more_fact_never_opens_and_one_more_rule_never_closes(
    rules: list[FlowRule], origins: list[Origin], target: str
) -> None:
    known = origins or [Origin("default", frozenset({"house"}))]
    open_ = flow_refusal(origins, target, rules) is None
    each = [flow_refusal([origin], target, rules) is None for origin in known]
    assert open_ is all(each)
    more = [*rules, FlowRule("house", target)]
    assert not open_ or flow_refusal(origins, target, more) is None


def test_classes_and_addresses_without_segments_say_nothing(vault: Vault) -> None:
    assert class_refusal("prod", (), ()) is None
    assert class_refusal("prod", ("tpm",), ("tpm", "corporate")) is None
    table = vault.house.segments.table(vault.house.state.begin())
    assert located(table, "10.0.0.1:5") == frozenset()
