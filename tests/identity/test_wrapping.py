"""A wrapped answer opens once, for whoever holds its token, while it lasts."""

from typing import Any

import pytest

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.event import Released
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.identity import wrapping
from ironkeep.plugin.token import TokenSpec
from ironkeep.store.reserved import TOKENS, WRAPPING
from tests.support.services import USERPASS, Services

BODY = b'{"data":{"password":"hunter2"}}'
WORDS = "wrapping token is not valid or does not exist"


def wrap(s: Services, ttl: int = 60, **rest: Any) -> dict[str, Any]:
    return s.wrapping.wrap(s.tx, BODY, ttl, "secret/data/a", s.now, s.entropy, **rest)


def test_what_was_wrapped_comes_out_once() -> None:
    s = Services()
    released = (Released("uuid", "a", 1, ("password",)),)
    info = wrap(s, released=released, wrapped_accessor="acc")
    assert info | {"token": "", "accessor": ""} == {
        "token": "",
        "accessor": "",
        "ttl": 60,
        "creation_time": "2026-01-01T00:00:00Z",
        "creation_path": "secret/data/a",
        "wrapped_accessor": "acc",
    }
    opened = s.wrapping.unwrap(s.tx, info["token"], s.now)
    assert (opened.body, opened.released) == (BODY, released)
    with pytest.raises(InvalidRequest, match=WORDS):
        s.wrapping.unwrap(s.tx, info["token"], s.now)


def test_of_two_that_race_in_one_batch_one_gets_it() -> None:
    s = Services()
    info = wrap(s)
    s.next_request()
    s.wrapping.unwrap(s.tx, info["token"], s.now)
    s.next_request()
    with pytest.raises(InvalidRequest, match=WORDS):
        s.wrapping.unwrap(s.tx, info["token"], s.now)


def test_a_request_that_fails_after_opening_has_not_opened() -> None:
    s = Services()
    info = wrap(s)
    s.next_request()
    failed = s.state.begin()
    s.wrapping.unwrap(failed, info["token"], s.now)
    assert s.wrapping.unwrap(s.tx, info["token"], s.now).body == BODY


def test_nothing_stays_behind() -> None:
    s = Services()
    wrap(s, ttl=1000)
    rows = len(list(s.tx.scan(b"")))
    info = wrap(s)
    s.wrapping.unwrap(s.tx, info["token"], s.now)
    assert len(list(s.tx.scan(b""))) == rows
    wrap(s)
    s.clock.advance(seconds=61)
    s.work_off(TOKENS, s.tokens.due)
    assert len(list(s.tx.scan(b""))) == rows
    assert s.due(WRAPPING) == []


def test_expiry_is_exact() -> None:
    s = Services()
    info = wrap(s)
    s.clock.advance(ns=60 * 10**9 - 1)
    assert s.wrapping.lookup(s.tx, info["token"], s.now)["creation_ttl"] == 60
    s.clock.advance(ns=1)
    for use in (s.wrapping.unwrap, s.wrapping.lookup):
        with pytest.raises(InvalidRequest, match=WORDS):
            use(s.tx, info["token"], s.now)


def test_a_lookup_opens_nothing() -> None:
    s = Services()
    info = wrap(s)
    for _ in range(3):
        assert s.wrapping.lookup(s.tx, info["token"], s.now) == {
            "creation_path": "secret/data/a",
            "creation_time": "2026-01-01T00:00:00Z",
            "creation_ttl": 60,
        }
    assert s.wrapping.unwrap(s.tx, info["token"], s.now).body == BODY


def test_rewrapping_ends_the_old_token_and_keeps_where_it_came_from_and_its_end() -> None:
    s = Services()
    old = wrap(s)
    s.clock.advance(seconds=30)
    new = s.wrapping.rewrap(s.tx, old["token"], s.now, s.entropy)
    assert new["creation_path"] == "secret/data/a"
    assert new["ttl"] == 30
    with pytest.raises(InvalidRequest, match=WORDS):
        s.wrapping.unwrap(s.tx, old["token"], s.now)
    s.clock.advance(seconds=29)
    again = s.wrapping.rewrap(s.tx, new["token"], s.now, s.entropy)
    s.clock.advance(seconds=1)
    with pytest.raises(InvalidRequest, match=WORDS):
        s.wrapping.unwrap(s.tx, again["token"], s.now)


def test_only_a_wrapping_token_unwraps() -> None:
    s = Services()
    info = wrap(s)
    spec = TokenSpec(("dev",), "x", "auth/userpass/login/x", alias="ann")
    plain = s.tokens.issue(s.tx, USERPASS, spec, s.now, s.entropy)
    for token in (
        plain.token,
        Secret(info["accessor"].encode()),
        Secret(b"hvs.nothing"),
        Secret(b""),
        Secret(b"hvb.xx"),
    ):
        with pytest.raises(InvalidRequest, match=WORDS):
            s.wrapping.unwrap(s.tx, token, s.now)


def test_a_wrapping_token_grants_nothing_else() -> None:
    s = Services()
    found = s.tokens.authenticate(s.tx, wrap(s)["token"], s.now, "127.0.0.1")
    assert found.policies == ("response-wrapping",)
    for path in ("secret/data/a", "auth/token/lookup-self", "auth/token/create", "sys/mounts"):
        assert not found.acl.decide(path, Operation.READ).allowed
        assert not found.acl.decide(path, Operation.UPDATE).allowed


def test_it_can_be_revoked_by_accessor() -> None:
    s = Services()
    info = wrap(s)
    found = s.tokens.find_accessor(s.tx, info["accessor"], s.now)
    assert found is not None
    s.tokens.revoke(s.tx, found[0], s.now)
    with pytest.raises(InvalidRequest, match=WORDS):
        s.wrapping.unwrap(s.tx, info["token"], s.now)
    assert list(s.store(s.tx, WRAPPING).walk()) == []


def test_it_dies_with_everything_of_who_wrapped() -> None:
    s = Services()
    spec = TokenSpec(("dev",), "x", "auth/userpass/login/x", alias="ann")
    thief = s.tokens.issue(s.tx, USERPASS, spec, s.now, s.entropy)
    session = s.tokens.authenticate(s.tx, thief.token, s.now, "127.0.0.1")
    info = wrap(s, session=session)
    s.tokens.revoke_entity_before(s.tx, thief.record.entity, s.now, s.now)
    with pytest.raises(InvalidRequest, match=WORDS):
        s.wrapping.unwrap(s.tx, info["token"], s.now)
    with pytest.raises(PermissionDenied):
        s.tokens.authenticate(s.tx, info["token"], s.now, "127.0.0.1")


@pytest.mark.parametrize("ttl", [0, -1, wrapping.MAX_TTL_SECONDS + 1])
def test_lengths_that_are_not_allowed(ttl: int) -> None:
    with pytest.raises(InvalidRequest):
        wrap(Services(), ttl)


def test_the_longest_length() -> None:
    assert wrap(Services(), wrapping.MAX_TTL_SECONDS)["ttl"] == wrapping.MAX_TTL_SECONDS


def test_the_body_is_not_in_a_repr() -> None:
    s = Services()
    info = wrap(s)
    assert "hunter2" not in repr(s.wrapping.unwrap(s.tx, info["token"], s.now))
    assert info["token"].reveal().decode() not in repr(info)
