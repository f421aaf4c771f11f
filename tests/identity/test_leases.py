"""Leases: found by prefix, tied to their token, taken back even after a crash."""

import pytest

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.ids import MountUuid, TokenHash
from ironkeep.core.units import SECOND_NS
from ironkeep.identity import leases
from ironkeep.identity.leases import Lease
from ironkeep.identity.lending import sweeping
from ironkeep.identity.lifetimes import Limits
from ironkeep.identity.token_issuer import Issued
from ironkeep.plugin.token import TokenSpec
from ironkeep.store.reserved import LEASES
from tests.support.services import TOKEN, Services


def token(s: Services) -> Issued:
    spec = TokenSpec(("dev",), "token", "auth/token/create")
    return s.tokens.issue(s.tx, TOKEN, spec, s.now, s.entropy)


def lease(
    s: Services,
    owner: TokenHash = TokenHash(""),
    path: str = "database/creds/app",
    payload: bytes = b"{}",
    **rest: object,
) -> Lease:
    wanted = Lease("", owner, path, MountUuid("db"), 0, 0, payload=payload, **rest)  # type: ignore[arg-type]
    return s.leases.issue(s.tx, wanted, Limits(), s.now, s.entropy)[0]


def names(s: Services, prefix: str) -> list[str]:
    """Return the names directly below a prefix."""
    return s.store(s.tx, LEASES).list(f"id/{prefix}" if prefix else "id")


def to_perform(s: Services) -> list[Lease]:
    """Return the due leases whose credentials must be revoked by their engine."""
    return [s.leases.of_record(each) for each in s.due(LEASES) if s.leases.needs_effect(each)]


def test_an_id_is_the_path_and_24_characters() -> None:
    s = Services()
    made = lease(s, ttl_seconds=60)
    path, _, suffix = made.id.rpartition("/")
    assert (path, len(suffix)) == ("database/creds/app", 24)
    assert made.expires_ns == s.now + 60 * SECOND_NS
    assert s.leases.get(s.tx, made.id, s.now) == made


def test_ids_are_blind() -> None:
    s = Services()
    made = lease(s)
    keys = b"".join(key for key, _ in s.tx.scan(b""))
    assert made.id.rpartition("/")[2].encode() not in keys
    assert b"creds" not in keys


def test_listing_goes_folder_by_folder() -> None:
    s = Services()
    one, two = lease(s), lease(s, path="database/creds/web")
    assert names(s, "") == ["database/"]
    assert names(s, "database") == ["creds/"]
    assert names(s, "database/creds/") == ["app/", "web/"]
    assert names(s, "database/creds/app") == [one.id.rpartition("/")[2]]
    assert s.leases.count(s.tx) == 2
    s.leases.done(s.tx, two)
    assert names(s, "database/creds") == ["app/"]


def test_a_tokens_lease_is_seen_under_its_path() -> None:
    s = Services()
    made = token(s)
    lease_id = f"auth/token/create/h{made.hash}"
    assert names(s, "auth/token/create") == [f"h{made.hash}"]
    found = s.leases.get(s.tx, lease_id, s.now)
    assert found is not None
    assert found.of_token
    assert found.expires_ns == made.record.expires_ns
    s.leases.revoke(s.tx, lease_id, s.now)
    assert s.tokens.store.load(s.tx, made.hash) is None
    assert names(s, "") == []


def test_renewal_stays_within_the_maximum() -> None:
    s = Services()
    made = lease(s, ttl_seconds=60, max_ttl_seconds=100, renewable=True)
    s.clock.advance(seconds=50)
    renewed, warnings = s.leases.renew(s.tx, made.id, 500, Limits(), s.now)
    assert renewed.expires_ns == s.now + 50 * SECOND_NS
    assert warnings
    s.clock.advance(seconds=50)
    with pytest.raises(InvalidRequest, match="lease not found"):
        s.leases.renew(s.tx, made.id, 500, Limits(), s.now)


def test_what_cannot_be_renewed() -> None:
    s = Services()
    fixed, owner = lease(s), token(s)
    with pytest.raises(InvalidRequest, match="not renewable"):
        s.leases.renew(s.tx, fixed.id, 0, Limits(), s.now)
    with pytest.raises(InvalidRequest, match="not renewable"):
        s.leases.renew(s.tx, f"auth/token/create/h{owner.hash}", 0, Limits(), s.now)
    with pytest.raises(InvalidRequest, match="lease not found"):
        s.leases.renew(s.tx, "database/creds/app/nothing", 0, Limits(), s.now)


def test_revoking_takes_the_lease_out_of_force_and_leaves_it_to_be_taken_back() -> None:
    s = Services()
    made = lease(s, renewable=True)
    s.leases.revoke(s.tx, made.id, s.now)
    assert s.leases.get(s.tx, made.id, s.now) is None
    with pytest.raises(InvalidRequest):
        s.leases.renew(s.tx, made.id, 0, Limits(), s.now)
    s.clock.advance(ns=1)
    (waiting,) = to_perform(s)
    assert waiting.id == made.id
    # A crash here: the next tick meets it again.
    assert to_perform(s) == [waiting]
    assert s.leases.holds(s.tx, made.mount)
    s.leases.done(s.tx, waiting)
    assert not s.leases.holds(s.tx, made.mount)
    assert s.due(LEASES) == []
    assert s.leases.count(s.tx) == 0


def test_a_failed_attempt_is_repeated_ever_more_slowly() -> None:
    s = Services()
    made = lease(s)
    s.leases.revoke(s.tx, made.id, s.now)
    pauses = []
    for _ in range(40):
        s.clock.advance(ns=1)
        (waiting,) = to_perform(s)
        assert s.leases.failed(s.tx, waiting, "why", s.now) is not None
        start = s.now
        while not s.due(LEASES):
            s.clock.advance(seconds=1)
        pauses.append((s.now - start) // SECOND_NS)
    assert pauses == sorted(pauses)
    assert pauses[0] <= 3
    assert pauses[-1] <= 3601


def test_expiry_takes_back() -> None:
    s = Services()
    made = lease(s, ttl_seconds=60)
    plain = lease(s, ttl_seconds=60, payload=b"")
    s.clock.advance(seconds=61)
    assert s.leases.get(s.tx, made.id, s.now) is None
    assert [found.id for found in to_perform(s)] == [made.id]
    for record in s.due(LEASES):
        if not s.leases.needs_effect(record):
            assert not s.sweeps.due(s.tx, record, s.now)
    assert names(s, "database/creds/app") == [made.id.rpartition("/")[2]]
    assert s.leases.get(s.tx, plain.id, s.now) is None


def test_a_lease_renewed_while_the_tick_was_on_its_way_stays() -> None:
    s = Services()
    made = lease(s, ttl_seconds=60, renewable=True)
    s.clock.advance(seconds=59)
    s.leases.renew(s.tx, made.id, 60, Limits(), s.now)
    s.clock.advance(seconds=2)
    assert to_perform(s) == []
    assert s.leases.get(s.tx, made.id, s.now) is not None


def test_leases_end_with_their_token_and_its_parents() -> None:
    s = Services()
    parent = token(s)
    spec = TokenSpec(("dev",), "token", "auth/token/create", orphan=False, parent=parent.hash)
    kid = s.tokens.issue(s.tx, TOKEN, spec, s.now, s.entropy)
    mine, other = lease(s, kid.hash), lease(s)
    s.tokens.revoke(s.tx, parent.hash, s.now)
    assert s.leases.get(s.tx, mine.id, s.now) is None
    assert s.leases.get(s.tx, other.id, s.now) is not None
    s.clock.advance(ns=1)
    assert [found.id for found in to_perform(s)] == [mine.id]


def test_by_prefix_or_by_one_full_id() -> None:
    s = Services()
    app, web, ssh = lease(s), lease(s, path="database/creds/web"), lease(s, path="ssh/creds/x")
    s.next_request()
    s.sweeps.later(s.tx, app.id, s.now)
    assert [s.leases.get(s.tx, x.id, s.now) is None for x in (app, web, ssh)] == [
        True,
        False,
        False,
    ]
    s.sweeps.later(s.tx, "database/", s.now)
    assert s.leases.get(s.tx, web.id, s.now) is None
    assert s.leases.get(s.tx, ssh.id, s.now) is not None


def test_a_prefix_is_a_folder_and_not_the_start_of_a_name() -> None:
    s = Services()
    web = lease(s, path="database/creds/web")
    s.sweeps.later(s.tx, "database/creds/we", s.now)
    assert s.leases.get(s.tx, web.id, s.now) is not None


def test_a_long_prefix_is_finished_by_ticks() -> None:
    s = Services()
    for _ in range(sweeping.STEP + 10):
        lease(s, payload=b"")
    s.next_request()
    s.sweeps.later(s.tx, "database", s.now)
    assert s.leases.count(s.tx) == 10
    s.clock.advance(ns=1)
    assert s.work_off(LEASES, s.sweeps.due) > 1
    assert s.leases.count(s.tx) == 0


def test_forgetting_leaves_the_credential_and_no_row() -> None:
    s = Services()
    made = lease(s)
    owner = token(s)
    assert s.leases.end(s.tx, made.id, s.now, s.now, force=True)
    assert s.leases.end(s.tx, f"auth/token/create/h{owner.hash}", s.now, s.now, force=True)
    s.clock.advance(ns=1)
    assert to_perform(s) == []
    assert s.leases.count(s.tx) == 0
    assert not s.leases.holds(s.tx, made.mount)
    assert s.leases.failed(s.tx, made, "too late", s.now) is None, "it does not come back"
    assert s.tokens.store.load(s.tx, owner.hash) is None


def test_a_lease_of_the_future_is_not_in_force_and_is_taken_back_at_once() -> None:
    """An earlier release granted it by a clock that was ahead, and has come back."""
    s = Services()
    early = lease(s, ttl_seconds=60)
    now = s.now
    s.clock.advance(seconds=5)
    late, held = lease(s, ttl_seconds=60, renewable=True), token(s)
    assert s.leases.get(s.tx, late.id, now) is None
    assert s.leases.get(s.tx, early.id, now) == early
    with pytest.raises(InvalidRequest, match="lease not found"):
        s.leases.renew(s.tx, late.id, 60, Limits(), now)
    with pytest.raises(PermissionDenied):
        s.tokens.find(s.tx, held.token, now)
    for _ in range(2):
        s.leases.end_future(s.tx, now)
    assert [each.id for each in to_perform(s)] == [late.id]
    assert s.leases.get(s.tx, early.id, now) == early


def test_a_lease_that_fails_again_and_again_is_listed_until_it_ends() -> None:
    s = Services()
    made = lease(s)
    s.leases.revoke(s.tx, made.id, s.now)
    for _ in range(leases.IRREVOCABLE):
        assert list(s.leases.irrevocable(s.tx)) == []
        assert s.leases.failed(s.tx, made, "x" * 1_000, s.now) is not None
    noted = s.leases.stored(s.tx, made.id)
    assert noted is not None
    assert list(s.leases.irrevocable(s.tx)) == [noted]
    assert len(noted.error) == leases.MAX_REASON
    s.leases.done(s.tx, noted)
    assert list(s.leases.irrevocable(s.tx)) == []


def test_the_many_leases_of_a_token_are_out_of_force_with_it() -> None:
    s = Services()
    owner = token(s)
    many = [lease(s, owner.hash) for _ in range(3 * leases.STEP)]
    s.next_request()
    s.tokens.revoke(s.tx, owner.hash, s.now)
    assert not any(s.leases.get(s.tx, each.id, s.now) for each in many)
    s.clock.advance(ns=1)
    assert len(to_perform(s)) == leases.STEP
    s.next_request()
    (ended,) = (each for each in s.due(LEASES) if each.path.startswith("ended/"))
    while s.sweeps.due(s.tx, ended, s.now):
        s.next_request()
    s.clock.advance(ns=1)
    assert {each.id for each in to_perform(s)} == {each.id for each in many}


def test_revoking_twice_or_nothing_is_fine() -> None:
    s = Services()
    made = lease(s)
    s.leases.revoke(s.tx, made.id, s.now)
    s.leases.revoke(s.tx, made.id, s.now)
    s.leases.revoke(s.tx, "no/such/lease", s.now)
    assert s.leases.count(s.tx) == 1


def test_a_renewal_that_says_nothing_goes_on_as_the_last_that_did() -> None:
    s = Services()
    made = lease(s, ttl_seconds=60, renewable=True)
    for increment, seconds in ((0, 60), (3_600, 3_600), (0, 3_600), (120, 120), (0, 120)):
        renewed, _ = s.leases.renew(s.tx, made.id, increment, Limits(), s.now)
        assert renewed.expires_ns == s.now + seconds * SECOND_NS
