"""Origins: sessions, roles, devices and mounts behind a token, and what their containment ends."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import PermissionDenied
from ironkeep.core.ids import DeviceId
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.people import MAX_ORIGINS, acts_of, joined, made_by
from ironkeep.identity.token_issuer import Issued
from ironkeep.identity.token_store import (
    LOST,
    MAX_SPANS,
    Ends,
    device_origin,
    mount_origin,
    role_origin,
    session_origin,
)
from ironkeep.plugin.token import Made, Session, TokenSpec
from tests.support.services import TOKEN, USERPASS, Services

SPANS = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted)


def issue(
    s: Services, *, creator: Session | None = None, made: Made | None = None, **rest: object
) -> Issued:
    spec = TokenSpec(("dev",), "token", "auth/token/create", made=(made,) if made else (), **rest)  # type: ignore[arg-type]
    return s.tokens.issue(s.tx, TOKEN, spec, s.now, s.entropy, creator)


def session(s: Services, token: Issued) -> Session:
    return s.tokens.authenticate(s.tx, token.token, s.now, "10.0.0.1:1")


def is_alive(s: Services, token: Issued) -> bool:
    try:
        session(s, token)
    except PermissionDenied:
        return False
    return True


@pytest.mark.parametrize("kind", ["session", "role", "device", "mount"])
def test_each_kind_of_origin_ends_what_it_made_and_what_that_made(kind: str) -> None:
    s = Services()
    first = issue(s, role="bot", device=DeviceId("laptop"))
    origin = {
        "session": session_origin(first.record.accessor),
        "role": role_origin(TOKEN.accessor, "bot"),
        "device": device_origin(DeviceId("laptop")),
        "mount": mount_origin(TOKEN.accessor),
    }[kind]
    early = issue(s, creator=session(s, first))
    s.clock.advance(seconds=60)
    from_ns = s.now
    password = made_by(session(s, first), s.now)
    orphan = issue(s, creator=session(s, first))
    batch = issue(s, creator=session(s, orphan), type="batch", ttl_seconds=3_600)
    other = s.tokens.issue(
        s.tx, USERPASS, TokenSpec(("dev",), "x", "auth/userpass/login/x"), s.now, s.entropy
    )
    s.clock.advance(seconds=1)
    login = issue(s, made=password)
    further = issue(s, made=made_by(session(s, login), s.now))
    assert all(is_alive(s, each) for each in (early, orphan, batch, login, further))
    s.tokens.contain(s.tx, [origin], from_ns, s.now)
    assert not any(is_alive(s, each) for each in (orphan, batch, login, further))
    assert is_alive(s, early), "it was made before anything could be in wrong hands"
    assert is_alive(s, other)
    with pytest.raises(PermissionDenied, match="has been contained since"):
        issue(s, made=password)
    s.tokens.readmit(s.tx, origin)
    s.clock.advance(seconds=1)
    assert is_alive(s, issue(s, made=password))
    assert not is_alive(s, login)


def test_origins_past_the_limit_count_as_one_at_their_latest_act() -> None:
    many = [(f"session/{n}", n) for n in range(MAX_ORIGINS + 10)]
    found = joined(many[:40], many[40:])
    assert len(found) == MAX_ORIGINS
    assert found[0] == many[-1]
    assert found[-1] == (LOST, 10)
    # What was left out stays left out, at the latest of all acts that were.
    again = joined(found, [("session/new", 100)])
    assert dict(again)[LOST] == 11
    assert dict(joined(many, many)) == dict(found)


def test_a_session_acts_now_and_its_origins_acted_when_they_did() -> None:
    s = Services()
    maker = issue(s)
    s.clock.advance(seconds=5)
    token = issue(s, creator=session(s, maker))
    acts = dict(acts_of(session(s, token), s.now + SECOND_NS))
    assert acts[session_origin(maker.record.accessor)] == token.record.issued_ns
    assert acts[session_origin(token.record.accessor)] == s.now + SECOND_NS


@given(st.lists(SPANS, max_size=12), st.integers(0, 40), st.integers(0, 40))
def test_spans_are_kept_apart_from_each_other(
    spans: list[list[int]], acted_ns: int, at_ns: int
) -> None:
    ends = Ends()
    for from_ns, ended_ns in spans:
        ends = ends.with_span(from_ns, ended_ns)
    assert ends.is_ended(acted_ns, at_ns) == any(
        from_ns <= acted_ns and at_ns <= ended_ns for from_ns, ended_ns in spans
    )


def test_too_many_spans_end_more_and_never_less() -> None:
    ends = Ends()
    spans = [(10 * n, 10 * n + 5) for n in range(3 * MAX_SPANS)]
    for from_ns, ended_ns in spans:
        ends = ends.with_span(from_ns, ended_ns)
    assert len(ends.spans) == MAX_SPANS
    assert all(ends.is_ended(from_ns, ended_ns) for from_ns, ended_ns in spans)
    assert not ends.is_ended(spans[-1][0] - 1, spans[-1][1])
