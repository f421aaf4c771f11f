"""What an attacker with a token, a part of one, or a head start would try."""

import base64
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.secret import Secret
from ironkeep.identity.lifetimes import Limits
from ironkeep.identity.token_issuer import Issued
from ironkeep.plugin.token import Session, TokenSpec
from tests.support.services import TOKEN, USERPASS, Services

HERE = "10.0.0.1:4711"


def login(s: Services, name: str = "ann", **rest: object) -> Issued:
    spec = TokenSpec(("dev",), f"userpass-{name}", "auth/userpass/login/x", alias=name, **rest)  # type: ignore[arg-type]
    return s.tokens.issue(s.tx, USERPASS, spec, s.now, s.entropy)


def child(s: Services, parent: Issued, *, creator: Session | None = None, **rest: object) -> Issued:
    values: dict[str, object] = {"orphan": False, "parent": parent.hash} | rest
    spec = TokenSpec(("dev",), "token", "auth/token/create", **values)  # type: ignore[arg-type]
    return s.tokens.issue(s.tx, TOKEN, spec, s.now, s.entropy, creator)


def session(s: Services, token: Issued | Secret, remote: str = HERE) -> Session:
    value = token if isinstance(token, Secret) else token.token
    return s.tokens.authenticate(s.tx, value, s.now, remote)


def is_alive(s: Services, token: Issued | Secret, remote: str = HERE) -> bool:
    try:
        session(s, token, remote)
    except PermissionDenied:
        return False
    return True


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.record.accessor.encode(),
        lambda t: t.hash.encode(),
        lambda t: bytes.fromhex(t.hash),
        lambda t: b"hvs." + t.record.accessor.encode(),
        lambda t: t.token.reveal() + b"\n",
        lambda t: t.token.reveal().upper(),
        lambda t: t.token.reveal()[:-1],
        lambda t: b"hvb." + t.token.reveal()[4:],
        lambda _: b"",
        lambda _: b"\x00" * 5000,
    ],
    ids=[
        "accessor",
        "hash",
        "raw hash",
        "dressed accessor",
        "newline",
        "case",
        "cut",
        "prefix",
        "empty",
        "long",
    ],
)
def test_what_is_no_token(make: Callable[[Issued], bytes]) -> None:
    s = Services()
    token = login(s)
    assert is_alive(s, token)
    assert not is_alive(s, Secret(make(token)))


def test_a_refusal_never_says_why() -> None:
    s = Services()
    unknown, revoked, expired = Secret(b"hvs.x"), login(s), login(s, ttl_seconds=1)
    bound = login(s, bound_cidrs=("127.0.0.1",))
    s.tokens.revoke(s.tx, revoked.hash, s.now)
    s.clock.advance(seconds=2)
    said = set()
    for token in (unknown, revoked, expired, bound):
        with pytest.raises(PermissionDenied) as caught:
            session(s, token)
        said.add(str(caught.value))
    assert said == {"permission denied"}


def test_no_token_is_valid_before_the_first_was_issued() -> None:
    assert not is_alive(Services(), Secret(b"hvs.AAAAAAAAAAAAAAAAAAAAAAAA"))


def test_a_revoked_parent_kills_a_cached_child_within_the_batch() -> None:
    s = Services()
    parent = login(s)
    below = [child(s, parent), child(s, child(s, parent)), child(s, parent, type="batch")]
    assert all(is_alive(s, token) for token in below)
    s.next_request()
    s.tokens.revoke(s.tx, parent.hash, s.now)
    s.next_request()
    assert not any(is_alive(s, token) for token in below)
    with pytest.raises(PermissionDenied, match="bad token"):
        s.tokens.find(s.tx, below[2].token, s.now)


def test_a_childs_life_ends_with_its_parents() -> None:
    s = Services()
    parent = login(s, ttl_seconds=60)
    kid = child(s, parent, period_seconds=3600)
    s.clock.advance(seconds=59)
    assert is_alive(s, kid)
    s.clock.advance(seconds=1)
    assert not is_alive(s, kid)
    assert s.tokens.find_accessor(s.tx, kid.record.accessor, s.now) is None


def test_of_two_requests_in_one_batch_only_one_makes_the_last_use() -> None:
    s = Services()
    token = login(s, num_uses=1)
    s.next_request()
    first, second = session(s, token), session(s, token)
    s.tokens.use(s.tx, first, s.now)
    s.next_request()
    with pytest.raises(PermissionDenied):
        s.tokens.use(s.tx, second, s.now)
    assert not is_alive(s, token)


def test_a_use_counts_even_when_the_request_is_denied() -> None:
    s = Services()
    token = login(s, num_uses=2)
    for _ in range(2):
        account = s.state.begin()
        s.next_request()
        account = s.state.begin()
        handler = account.nested()
        found = s.tokens.authenticate(account, token.token, s.now, HERE)
        s.tokens.use(account, found, s.now)
        handler.put(b"dropped", next(iter(s.tx.scan(b"")))[1])
        account.merge()
    assert not is_alive(s, token)


def test_the_last_use_may_be_resumed_by_its_own_request_only() -> None:
    s = Services()
    token = login(s, num_uses=1)
    s.tokens.use(s.tx, session(s, token), s.now)
    again = s.tokens.authenticate(s.tx, token.token, s.now, HERE, resuming=True)
    assert again.hash == token.hash
    assert not is_alive(s, token)


def test_a_token_is_bound_to_its_addresses_cached_or_not() -> None:
    s = Services()
    token = login(s, bound_cidrs=("10.0.0.0/24",))
    for _ in range(2):
        assert is_alive(s, token, "10.0.0.9:1")
        assert is_alive(s, token, "[::ffff:10.0.0.9]:1")
        for spoofed in ("10.0.1.9:1", "", "10.0.0.9, 10.0.1.9", "[fd00::1]:1", "localhost:1"):
            assert not is_alive(s, token, spoofed)


def test_everything_of_a_person_dies_at_once() -> None:
    s = Services()
    service, batch = login(s), login(s, type="batch")
    orphan = child(s, service, creator=session(s, service), orphan=True)
    grandchild = child(s, orphan, creator=session(s, orphan))
    offspring = child(s, grandchild, creator=session(s, grandchild), orphan=True)
    batch_orphan = child(s, service, creator=session(s, service), orphan=True, type="batch")
    other = login(s, "bob")
    mine = [service, batch, orphan, grandchild, offspring, batch_orphan]
    assert all(is_alive(s, token) for token in mine)
    s.clock.advance(seconds=5)
    ended = s.tokens.revoke_entity_before(s.tx, service.record.entity, s.now, s.now)
    assert not any(is_alive(s, token) for token in mine)
    assert set(ended) >= {service.hash, orphan.hash, offspring.hash}
    assert is_alive(s, other)
    s.clock.advance(seconds=1)
    assert is_alive(s, login(s))


def test_a_token_issued_at_the_very_instant_of_the_epoch_is_dead() -> None:
    s = Services()
    token = login(s, type="batch")
    s.tokens.revoke_entity_before(s.tx, token.record.entity, s.now, s.now)
    assert not is_alive(s, token)


def test_tokens_issued_after_the_epoch_stay() -> None:
    s = Services()
    old = login(s)
    cut = s.now
    s.clock.advance(seconds=1)
    new = login(s)
    assert s.tokens.revoke_entity_before(s.tx, old.record.entity, cut, s.now) == [old.hash]
    assert not is_alive(s, old)
    assert is_alive(s, new)


def test_deleting_a_person_does_not_revive_what_the_person_made() -> None:
    s = Services()
    token = login(s)
    orphan = child(
        s,
        token,
        creator=session(s, token),
        orphan=True,
        type="batch",
    )
    s.tokens.revoke_entity_before(s.tx, token.record.entity, s.now, s.now)
    s.identity.delete(s.tx, token.record.entity, s.now)
    assert not is_alive(s, orphan)
    s.tokens.revoke_entity_before(s.tx, token.record.entity, s.now + 1, s.now)


@pytest.mark.parametrize("kind", ["service", "batch"])
def test_a_disabled_or_deleted_person_has_no_token(kind: str) -> None:
    s = Services()
    token = login(s, type=kind)
    entity = s.identity.get(s.tx, token.record.entity)
    assert entity is not None
    assert is_alive(s, token)
    s.identity.update(s.tx, msgspec.structs.replace(entity, disabled=True), s.now)
    assert not is_alive(s, token)
    s.identity.update(s.tx, msgspec.structs.replace(entity, disabled=False), s.now)
    assert is_alive(s, token)
    s.identity.delete(s.tx, entity.id, s.now)
    assert not is_alive(s, token)


def test_a_child_with_anothers_alias_dies_with_its_parents_person() -> None:
    s = Services()
    parent = login(s, "ann")
    bob = login(s, "bob")
    kid = child(s, parent, entity=bob.record.entity)
    s.tokens.revoke_entity_before(s.tx, parent.record.entity, s.now, s.now)
    assert not is_alive(s, kid)
    assert is_alive(s, bob)


def test_a_token_renewed_by_a_thief_stays_dead() -> None:
    s = Services()
    token = login(s)
    s.tokens.renew(s.tx, token.hash, 0, Limits(), s.now)
    s.tokens.revoke_entity_before(s.tx, token.record.entity, s.now, s.now)
    with pytest.raises(InvalidRequest):
        s.tokens.renew(s.tx, token.hash, 0, Limits(), s.now)
    assert not is_alive(s, token)


@given(st.data())
def test_no_changed_batch_token_opens(data: st.DataObject) -> None:
    s = Services()
    token = login(s, type="batch").token.reveal()
    position = data.draw(st.integers(4, len(token) - 1))
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="
    byte = data.draw(st.sampled_from(alphabet).filter(lambda b: b != token[position]))
    changed = token[:position] + bytes([byte]) + token[position + 1 :]
    assert not is_alive(s, Secret(changed))


def test_a_batch_token_has_one_spelling() -> None:
    s = Services()
    token = login(s, type="batch").token.reveal()
    raw = base64.urlsafe_b64decode(token[4:] + b"=" * (-len(token[4:]) % 4))
    for other in (
        b"hvb." + base64.urlsafe_b64encode(raw) + b"=",
        b"hvb." + base64.urlsafe_b64encode(raw + b"\x00").rstrip(b"="),
        token + b"==",
        b"hvb. " + token[4:],
    ):
        assert not is_alive(s, Secret(other)) or other == token


def test_a_batch_token_of_another_house_does_not_open() -> None:
    one, two = Services(1), Services(2)
    token = login(one, type="batch")
    login(two)
    assert not is_alive(two, token)


def test_a_hostile_name_cannot_widen_a_templated_policy() -> None:
    s = Services()
    text = 'path "secret/{{identity.entity.name}}/*" { capabilities = ["read"] }'
    s.policies.put(s.tx, "dev", text, s.now)
    token = login(s)
    entity = s.identity.get(s.tx, token.record.entity)
    assert entity is not None
    s.identity.update(s.tx, msgspec.structs.replace(entity, name="+"), s.now)
    with pytest.raises(PermissionDenied):
        session(s, token)


def test_an_identity_policy_called_root_grants_nothing() -> None:
    s = Services()
    token = login(s)
    entity = s.identity.get(s.tx, token.record.entity)
    assert entity is not None
    with pytest.raises(InvalidRequest):
        s.identity.update(s.tx, msgspec.structs.replace(entity, policies=("Root",)), s.now)


@pytest.mark.parametrize("way", ["spent", "above", "person"])
def test_what_ended_with_its_parent_is_not_freed_by_revoking_the_parent_alone(way: str) -> None:
    """Gains: while a large tree is removed in turns, the tokens in it come back as orphans."""
    s = Services()
    top = login(s)
    middle = child(s, top)
    below = child(s, middle)
    if way == "person":
        s.tokens.revoke_entity_before(s.tx, top.record.entity, s.now, s.now)
    else:
        s.tokens.spend(s.tx, (middle if way == "spent" else top).hash, s.now)
    assert not is_alive(s, below)
    s.tokens.revoke_orphan(s.tx, middle.hash, s.now)
    assert not is_alive(s, below)
