"""Tokens: issued, authenticated, renewed, counted, revoked; by Vault's rules."""

import re
from dataclasses import replace

import msgspec
import pytest

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.ids import TokenAccessor
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.identity import tokens
from ironkeep.identity.lifetimes import Limits
from ironkeep.identity.token_issuer import Issued
from ironkeep.identity.token_store import role_origin
from ironkeep.plugin.token import Session, TokenSpec
from ironkeep.store.reserved import TOKENS
from tests.support.services import TOKEN, USERPASS, Services

HERE = "127.0.0.1:4711"


def issue(s: Services, *policies: str, **rest: object) -> Issued:
    spec = TokenSpec(policies=policies, display_name="token", path="auth/token/create", **rest)  # type: ignore[arg-type]
    return s.tokens.issue(s.tx, TOKEN, spec, s.now, s.entropy)


def child(s: Services, parent: Issued, *policies: str, **rest: object) -> Issued:
    return issue(s, *policies, orphan=False, parent=parent.hash, **rest)


def session(s: Services, token: Issued | Secret, remote: str = HERE) -> Session:
    value = token if isinstance(token, Secret) else token.token
    return s.tokens.authenticate(s.tx, value, s.now, remote)


def is_alive(s: Services, token: Issued) -> bool:
    try:
        session(s, token)
    except PermissionDenied:
        return False
    return True


def test_a_service_token_looks_like_vaults() -> None:
    s = Services()
    issued = issue(s, "dev")
    assert re.fullmatch(rb"hvs\.[0-9A-Za-z]{24}", issued.token.reveal())
    assert re.fullmatch(r"[0-9A-Za-z]{24}", issued.record.accessor)
    assert issued.auth() | {"client_token": ""} == {
        "client_token": "",
        "accessor": issued.record.accessor,
        "policies": ["default", "dev"],
        "token_policies": ["default", "dev"],
        "metadata": None,
        "lease_duration": 2764800,
        "renewable": True,
        "entity_id": "",
        "token_type": "service",
        "orphan": True,
        "mfa_requirement": None,
        "num_uses": 0,
    }
    assert issued.warnings == ('Policy "dev" does not exist',)


def test_neither_token_nor_accessor_is_in_a_row_key_and_the_token_in_no_record() -> None:
    s = Services()
    issued = issue(s, "dev", id="my-own-token")
    keys = b"".join(key for key, _ in s.tx.scan(b""))
    store = s.store(s.tx, TOKENS)
    bodies = b"".join(store.get(path) or b"" for path in store.walk())
    assert b"my-own-token" not in keys + bodies
    assert issued.record.accessor.encode() not in keys
    assert s.tokens.store.hash_of(s.tx, Secret(b"my-own-token")) == issued.hash


def test_two_houses_give_one_token_two_hashes() -> None:
    one, two = Services(1), Services(2)
    assert issue(one, id="same").hash != issue(two, id="same").hash


def test_a_session_has_the_policies_of_token_and_entity() -> None:
    s = Services()
    s.policies.put(s.tx, "ops", 'path "secret/x" { capabilities = ["read"] }', s.now)
    entity = s.identity.create(s.tx, s.now, s.entropy, policies=("ops",))
    found = session(s, issue(s, "dev", entity=entity.id))
    assert found.policies == ("default", "dev", "ops")
    assert found.identity_policies == ("ops",)
    assert found.acl.decide("secret/x", Operation.READ).allowed
    own = f"identity/entity/id/{entity.id}"
    assert found.acl.decide(own, Operation.READ).allowed
    assert not found.root


def test_root_needs_no_policy_rows_and_lives_for_ever() -> None:
    s = Services()
    root = issue(s, "root", bound_cidrs=("10.0.0.0/8",))
    s.clock.advance(seconds=10**9)
    assert session(s, root).root
    assert root.record.bound_cidrs == ()
    assert not root.record.renewable
    assert issue(s, "root", "dev", ttl_seconds=5).record.policies == ("root",)


@pytest.mark.parametrize(
    ("policies", "rest"),
    [
        ((), {"num_uses": -1}),
        (("root",), {"type": "batch", "ttl_seconds": 5}),
        ((), {"type": "batch", "num_uses": 1}),
        ((), {"type": "batch", "period_seconds": 1}),
        ((), {"type": "batch", "explicit_max_ttl_seconds": 1}),
        (("response-wrapping",), {}),
        (("a//b",), {}),
        (tuple(f"p{i}" for i in range(257)), {}),
        ((), {"bound_cidrs": ("nowhere",)}),
        ((), {"bound_cidrs": ("10.0.0.0/8",) * 257}),
        ((), {"meta": {"k": "v" * 513}}),
    ],
)
def test_what_is_not_issued(policies: tuple[str, ...], rest: dict[str, object]) -> None:
    s = Services()
    with pytest.raises(InvalidRequest):
        issue(s, *policies, **rest)


@pytest.mark.parametrize("rest", [{"policies": ("root",)}, {"policies": (), "id": "mine"}])
def test_what_no_auth_method_may_issue(rest: dict[str, object]) -> None:
    s = Services()
    spec = TokenSpec(display_name="x", path="auth/userpass/login/x", **rest)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        s.tokens.issue(s.tx, USERPASS, spec, s.now, s.entropy)


def test_a_custom_token_is_taken_once() -> None:
    s = Services()
    issue(s, id="mine")
    with pytest.raises(InvalidRequest, match="duplicate"):
        issue(s, id="mine")


def test_expiry_is_exact_and_not_missed_by_the_cache() -> None:
    s = Services()
    token = issue(s, ttl_seconds=60)
    session(s, token)
    s.clock.advance(ns=60 * SECOND_NS - 1)
    assert is_alive(s, token)
    s.clock.advance(ns=1)
    assert not is_alive(s, token)


def test_a_session_is_kept_while_nothing_changes() -> None:
    s = Services()
    token = issue(s, "dev")
    s.next_request()
    first = session(s, token)
    assert session(s, token) is first
    s.policies.put(s.tx, "dev", 'path "a" { capabilities = ["read"] }', s.now)
    assert session(s, token) is not first


def test_renewal_moves_the_expiry_within_the_maximum() -> None:
    s = Services()
    token = issue(s, ttl_seconds=60, explicit_max_ttl_seconds=100)
    s.clock.advance(seconds=50)
    record, warnings = s.tokens.renew(s.tx, token.hash, 0, Limits(), s.now)
    assert record.expires_ns == s.now + 50 * SECOND_NS
    assert warnings
    assert record.renewed_ns == s.now
    s.clock.advance(seconds=50)
    assert not is_alive(s, token)


def test_a_replayed_renewal_gains_nothing_past_the_maximum() -> None:
    s = Services()
    token = issue(s, ttl_seconds=60, explicit_max_ttl_seconds=100)
    for _ in range(9):
        s.clock.advance(seconds=10)
        s.tokens.renew(s.tx, token.hash, 10_000, Limits(), s.now)
    assert s.tokens.store.load(s.tx, token.hash) is not None
    s.clock.advance(seconds=10)
    assert not is_alive(s, token)
    with pytest.raises(InvalidRequest):
        s.tokens.renew(s.tx, token.hash, 10_000, Limits(), s.now)


def test_a_roles_maximum_holds_for_renewals_too() -> None:
    s = Services()
    token = issue(s, ttl_seconds=60, max_ttl_seconds=90)
    s.clock.advance(seconds=50)
    record, _ = s.tokens.renew(s.tx, token.hash, 0, Limits(), s.now)
    assert record.expires_ns == s.now + 40 * SECOND_NS


def test_a_mounts_maximum_holds_wherever_the_token_is_renewed() -> None:
    s = Services()
    mount = replace(TOKEN, config={"max_lease_ttl": 90})
    plain = TokenSpec(("dev",), "token", "auth/token/create", ttl_seconds=60)
    for spec, most in (plain, 40), (replace(plain, period_seconds=600), 90):
        token = s.tokens.issue(s.tx, mount, spec, s.now, s.entropy)
        s.clock.advance(seconds=50)
        record, _ = s.tokens.renew(s.tx, token.hash, 10_000, Limits(), s.now)
        assert record.expires_ns == s.now + most * SECOND_NS


def test_a_periodic_token_lives_as_long_as_it_is_renewed() -> None:
    s = Services()
    token = issue(s, period_seconds=1800)
    for _ in range(3000):
        s.clock.advance(seconds=1799)
        s.tokens.renew(s.tx, token.hash, 0, Limits(), s.now)
    assert is_alive(s, token)


@pytest.mark.parametrize("rest", [{"renewable": False}, {"policies": ("root",)}])
def test_what_cannot_be_renewed(rest: dict[str, object]) -> None:
    s = Services()
    policies = rest.pop("policies", ())
    token = issue(s, *policies, **rest)  # type: ignore[misc]
    with pytest.raises(InvalidRequest, match="lease is not renewable"):
        s.tokens.renew(s.tx, token.hash, 0, Limits(), s.now)


def test_lookup_in_vaults_shape() -> None:
    s = Services()
    token = issue(s, "dev", ttl_seconds=60, num_uses=3, meta={"k": "v"}, period_seconds=30)
    s.clock.advance(seconds=10)
    data = s.tokens.describe(s.tx, token.record, None, s.now)
    assert data == {
        "id": "",
        "accessor": token.record.accessor,
        "policies": ["default", "dev"],
        "path": "auth/token/create",
        "meta": {"k": "v"},
        "display_name": "token",
        "num_uses": 3,
        "orphan": True,
        "creation_time": 1767225600,
        "creation_ttl": 30,
        "expire_time": "2026-01-01T00:00:30Z",
        "ttl": 20,
        "explicit_max_ttl": 0,
        "entity_id": "",
        "type": "service",
        "renewable": True,
        "issue_time": "2026-01-01T00:00:00Z",
        "period": 30,
    }


def test_find_by_accessor() -> None:
    s = Services()
    token = issue(s)
    assert s.tokens.accessors(s.tx) == [token.record.accessor]
    assert s.tokens.find_accessor(s.tx, token.record.accessor, s.now) == (token.hash, token.record)
    s.tokens.revoke(s.tx, token.hash, s.now)
    assert s.tokens.find_accessor(s.tx, token.record.accessor, s.now) is None
    assert s.tokens.find_accessor(s.tx, "", s.now) is None
    assert s.tokens.accessors(s.tx) == []


def test_revocation_reaches_everything_below_and_leaves_no_row() -> None:
    s = Services()
    before = issue(s, "other")
    rows = len(list(s.tx.scan(b"")))
    root = issue(s, "dev")
    below = child(s, child(s, root), num_uses=2)
    s.tokens.revoke(s.tx, root.hash, s.now)
    assert not is_alive(s, root)
    assert not is_alive(s, below)
    assert is_alive(s, before)
    s.work_off(TOKENS, s.tokens.due)
    assert len(list(s.tx.scan(b""))) == rows


def test_revoking_alone_makes_orphans_of_the_children() -> None:
    s = Services()
    parent = issue(s)
    service, batch = child(s, parent), child(s, parent, type="batch")
    s.tokens.revoke_orphan(s.tx, parent.hash, s.now)
    assert not is_alive(s, parent)
    assert is_alive(s, service)
    assert session(s, service).record.orphan
    assert not is_alive(s, batch)


def test_a_large_tree_is_dead_at_once_and_cleared_by_ticks() -> None:
    s = Services()
    root = issue(s, "dev")
    below = [child(s, root, ttl_seconds=10**6) for _ in range(10 * tokens.STEP)]
    deep = child(s, child(s, below[-1]))
    s.next_request()
    s.tokens.revoke(s.tx, root.hash, s.now)
    assert not any(is_alive(s, token) for token in (*below, deep))
    assert len(s.tokens.accessors(s.tx)) == 9 * tokens.STEP + 2
    s.clock.advance(seconds=1)
    assert s.work_off(TOKENS, s.tokens.due) >= 9
    assert s.tokens.accessors(s.tx) == []
    assert s.due(TOKENS) == []


def test_a_person_with_many_tokens_is_out_at_once_and_cleared_by_ticks() -> None:
    s = Services()
    entity = s.identity.create(s.tx, s.now, s.entropy)
    mine = [issue(s, entity=entity.id, ttl_seconds=10**6) for _ in range(tokens.STEP + 20)]
    s.next_request()
    ended = s.tokens.revoke_entity_before(s.tx, entity.id, s.now, s.now)
    assert set(ended) == {token.hash for token in mine}
    assert not any(is_alive(s, token) for token in mine)
    assert len(s.tokens.accessors(s.tx)) == 20
    s.clock.advance(seconds=1)
    s.work_off(TOKENS, s.tokens.due)
    assert s.tokens.accessors(s.tx) == []


def test_the_tick_removes_what_expired_and_what_is_spent() -> None:
    s = Services()
    spent, kept = issue(s, num_uses=1), issue(s)
    expired = issue(s, ttl_seconds=1)
    s.tokens.use(s.tx, session(s, spent), s.now)
    s.clock.advance(seconds=2)
    s.work_off(TOKENS, s.tokens.due)
    assert s.tokens.accessors(s.tx) == [kept.record.accessor]
    assert s.tokens.store.load(s.tx, expired.hash) is None


def test_tidy_notes_what_a_containment_ended() -> None:
    s = Services()
    old = issue(s, role="bot")
    s.tokens.contain(s.tx, [role_origin(TOKEN.accessor, "bot")], s.now, s.now)
    s.clock.advance(seconds=1)
    new = issue(s)
    assert s.tokens.tidy(s.tx, s.now) == 1
    s.clock.advance(seconds=1)
    s.work_off(TOKENS, s.tokens.due)
    assert s.tokens.store.load(s.tx, old.hash) is None
    assert is_alive(s, new)


def test_who_is_told_of_an_end() -> None:
    s = Services()
    told = []
    s.tokens.on_ended.append(lambda _tx, name, _record: told.append(name))
    token = issue(s)
    s.tokens.revoke(s.tx, token.hash, s.now)
    s.tokens.revoke(s.tx, token.hash, s.now)
    assert told == [token.hash]


def test_a_sealed_vault_forgets() -> None:
    s = Services()
    token = issue(s)
    session(s, token)
    s.tokens.forget()
    assert s.tokens._sessions._known == {}
    assert is_alive(s, token)


def test_generations_are_bounded() -> None:
    s = Services()
    token = issue(s, "dev")
    for _ in range(63):
        token = child(s, token)
    assert is_alive(s, token)
    token = child(s, token)
    assert is_alive(s, token)
    with pytest.raises(InvalidRequest, match="generations"):
        child(s, token)


def test_a_chain_that_got_too_long_all_the_same_is_dead() -> None:
    s = Services()
    last = issue(s, "dev")
    secret, name, record, alive = last.token, last.hash, last.record, 0
    for _ in range(70):
        below = msgspec.structs.replace(record, parent=name, orphan=False)
        secret, name, record = s.tokens.write(s.tx, below, TOKEN.uuid, s.entropy)
        alive += s.tokens.find_accessor(s.tx, record.accessor, s.now) is not None
    assert alive == 64
    with pytest.raises(PermissionDenied):
        session(s, secret)


def test_a_root_token_stays_root_whatever_its_entity_has() -> None:
    s = Services()
    entity = s.identity.create(s.tx, s.now, s.entropy, policies=("ops",))
    found = session(s, issue(s, "root", entity=entity.id))
    assert found.root
    assert found.policies == ("root",)


def test_a_batch_token_fits_into_a_header() -> None:
    s = Services()
    issue(s, type="batch", meta={str(i): "v" * 512 for i in range(4)})
    with pytest.raises(InvalidRequest, match="batch token"):
        issue(s, type="batch", meta={str(i): "v" * 512 for i in range(8)})


def test_an_accessor_names_only_service_tokens() -> None:
    s = Services()
    assert issue(s, type="batch").record.accessor == TokenAccessor("")


def test_a_renewal_that_says_nothing_goes_on_as_the_last_that_did() -> None:
    """A client that renews without an increment must not fall back to a shorter life."""
    s = Services()
    token = issue(s, ttl_seconds=60)
    for increment, seconds in ((0, 60), (3_600, 3_600), (0, 3_600), (120, 120), (0, 120)):
        record, _ = s.tokens.renew(s.tx, token.hash, increment, Limits(), s.now)
        assert record.expires_ns == s.now + seconds * SECOND_NS
    stored = s.tokens.store.load(s.tx, token.hash)
    assert stored is not None
    assert s.tokens.describe(s.tx, stored, None, s.now)["creation_ttl"] == 60
    periodic = issue(s, period_seconds=600)
    for increment in (60, 0):
        record, _ = s.tokens.renew(s.tx, periodic.hash, increment, Limits(), s.now)
        assert record.expires_ns == s.now + 600 * SECOND_NS


def test_the_many_children_of_a_token_revoked_alone_live_on_as_orphans() -> None:
    s = Services()
    above = issue(s)
    parent = child(s, above)
    below = [child(s, parent) for _ in range(3 * tokens.STEP)]
    batch = child(s, parent, type="batch")
    s.next_request()
    s.tokens.revoke_orphan(s.tx, parent.hash, s.now)
    s.next_request()
    assert not is_alive(s, parent)
    assert not is_alive(s, batch)
    assert all(is_alive(s, each) for each in below)
    s.tokens.revoke(s.tx, above.hash, s.now)
    assert all(is_alive(s, each) for each in below), "orphans from the first instant"
    assert s.work_off(TOKENS, s.tokens.due) >= 2
    assert all(is_alive(s, each) for each in below)
    assert s.tokens.store.load(s.tx, parent.hash) is None
    found = [s.tokens.store.load(s.tx, each.hash) for each in below]
    assert all(each is not None and each.orphan and not each.parent for each in found)
