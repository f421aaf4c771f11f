"""Touches that were demanded: three a session, a minute each, taken once, for one request."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.step_up.authenticators import Authenticator, Authenticators
from ironkeep.access.step_up.step_ups import (
    LIFE_NS,
    MAX_ASKED,
    MAX_PENDING,
    REUSE_NS,
    Demand,
    StepUps,
)
from ironkeep.core.errors import InvalidCredentials, NotFound, PermissionDenied, TooLarge
from ironkeep.core.ids import DeviceId, EntityId, TokenAccessor, TokenHash
from ironkeep.core.operation import Operation
from ironkeep.core.webauthn.step_up import verify_evidence
from ironkeep.core.webauthn.webauthn import Demands, Party, encode, verify_registration
from ironkeep.plugin.token import Session, TokenRecord
from tests.support.people.softauth import ORIGIN, SoftAuthenticator
from tests.support.services import Services

PARTY = Party("vault.example", (ORIGIN,))
READ = Operation.READ
PATH = "secret/data/app"
NO_DEVICE = DeviceId("")
UNUSED: Any = None


@dataclass
class Bench:
    """A person with an authenticator and a session."""

    services: Services
    authenticators: Authenticators
    step_ups: StepUps
    key: SoftAuthenticator
    session: Session

    @property
    def now(self) -> int:
        return self.services.now

    def demand(self, path: str = PATH, session: Session | None = None) -> Demand:
        whose = session or self.session
        return self.step_ups.demand(
            self.services.tx, whose, READ, path, whose.record.device, self.now,
            self.services.entropy,
        )  # fmt: skip

    def sign(self, demand: Demand) -> dict[str, Any]:
        return self.key.get({"challenge": encode(demand.challenge)})

    def satisfy(self, demand: Demand) -> dict[str, str]:
        return self.step_ups.satisfy(self.services.tx, demand.id, self.sign(demand), self.now)

    def take(
        self, op: Operation = READ, path: str = PATH, session: Session | None = None
    ) -> dict[str, str] | None:
        return self.step_ups.take(self.services.tx, session or self.session, op, path, self.now)


def session_of(entity: str, accessor: str, device: str = "") -> Session:
    record = TokenRecord(
        TokenAccessor(accessor), ("default",), "auth/x/login", 1,
        entity=EntityId(entity), device=DeviceId(device),
    )  # fmt: skip
    return Session(TokenHash(f"hash of {accessor}"), record, entity, (), (), UNUSED, False, {})


def bind(bench: Bench, entity: str) -> SoftAuthenticator:
    key = SoftAuthenticator()
    made = key.create(
        {
            "rp": {"id": PARTY.rp_id},
            "user": {"id": encode(entity.encode())},
            "challenge": encode(b"c" * 32),
        }
    )
    found = verify_registration(PARTY, b"c" * 32, Demands(), made)
    bench.authenticators.bind(
        bench.services.tx,
        Authenticator(
            found.credential, EntityId(entity), found.key, "key", found.aaguid, bench.now, "touch"
        ),
    )
    return key


@pytest.fixture
def b() -> Bench:
    services = Services()
    authenticators = Authenticators(services.store, Alerts(services.store, lambda _: UNUSED))
    authenticators.set_party(services.tx, PARTY)
    step_ups = StepUps(services.store, authenticators)
    session = session_of("ada", "one", "laptop")
    bench = Bench(services, authenticators, step_ups, SoftAuthenticator(), session)
    bench.key = bind(bench, "ada")
    return bench


def test_a_touch_lets_one_request_through_with_its_evidence(b: Bench) -> None:
    demand = b.demand()
    assert b.take() is None
    b.satisfy(demand)
    evidence = b.take()
    assert evidence is not None
    known = b.authenticators.of(b.services.tx, EntityId("ada"))[0]
    statement = verify_evidence(PARTY, known.id, known.key, evidence)
    assert (statement.op, statement.path, statement.session) == ("read", PATH, "one")
    assert (statement.entity, statement.device) == ("ada", "laptop")
    assert statement.exp == demand.expires_ns == b.now + LIFE_NS
    assert b.take() is None


def test_of_two_requests_that_race_one_gets_the_touch(b: Bench) -> None:
    b.satisfy(b.demand())
    b.services.next_request()
    first, second = b.services.state.begin(), b.services.state.begin()
    taken = b.step_ups.take(first, b.session, READ, PATH, b.now)
    first.merge()
    assert taken is not None
    assert b.step_ups.take(second, b.session, READ, PATH, b.now) is None


@pytest.mark.parametrize(
    ("op", "path"),
    [
        (Operation.LIST, PATH),
        (Operation.UPDATE, PATH),
        (READ, "secret/data/app2"),
        (READ, "secret/data/app/"),
        (READ, "secret/data"),
        (READ, ""),
    ],
)
def test_a_touch_is_good_for_no_other_request(b: Bench, op: Operation, path: str) -> None:
    b.satisfy(b.demand())
    assert b.take(op, path) is None
    assert b.take() is not None


@pytest.mark.parametrize(
    ("entity", "accessor", "device"),
    [
        ("ada", "two", "laptop"),
        ("eve", "two", "laptop"),
        ("ada", "one", "other"),
        ("ada", "one", ""),
    ],
)
def test_a_touch_is_good_for_no_other_session_or_device(
    b: Bench, entity: str, accessor: str, device: str
) -> None:
    b.satisfy(b.demand())
    assert b.take(session=session_of(entity, accessor, device)) is None
    assert b.take() is not None


def test_a_touch_lapses(b: Bench) -> None:
    demand = b.demand()
    b.satisfy(demand)
    b.services.clock.advance(seconds=60)
    assert b.take() is None
    with pytest.raises(NotFound):
        b.satisfy(demand)


def test_a_demand_is_satisfied_once_and_in_time(b: Bench) -> None:
    demand = b.demand()
    signed = b.sign(demand)
    b.services.clock.advance(seconds=59)
    b.step_ups.satisfy(b.services.tx, demand.id, signed, b.now)
    with pytest.raises(NotFound):
        b.step_ups.satisfy(b.services.tx, demand.id, signed, b.now)
    b.take()
    with pytest.raises(NotFound):
        b.step_ups.satisfy(b.services.tx, demand.id, signed, b.now)


def test_an_assertion_for_one_demand_satisfies_no_other(b: Bench) -> None:
    first, second = b.demand(), b.demand("secret/data/other")
    with pytest.raises(InvalidCredentials):
        b.step_ups.satisfy(b.services.tx, second.id, b.sign(first), b.now)
    assert b.take(path="secret/data/other") is None


def test_another_persons_authenticator_satisfies_nothing(b: Bench) -> None:
    eves = bind(b, "eve")
    demand = b.demand()
    with pytest.raises(InvalidCredentials):
        b.step_ups.satisfy(
            b.services.tx, demand.id, eves.get({"challenge": encode(demand.challenge)}), b.now
        )
    assert b.take() is None


def test_an_authenticator_removed_since_gives_nothing(b: Bench) -> None:
    bind(b, "ada")
    b.satisfy(b.demand())
    used = b.authenticators.find(b.services.tx, b.key.credentials[0].id)
    assert used is not None
    b.authenticators.remove(b.services.tx, used, "lost", b.now)
    assert b.take() is None
    with pytest.raises(InvalidCredentials):
        b.satisfy(b.demand())


def test_at_most_three_wait_and_the_oldest_is_dropped(b: Bench) -> None:
    demands = [b.demand(f"secret/data/{number}") for number in range(MAX_PENDING + 1)]
    with pytest.raises(NotFound):
        b.step_ups.find(b.services.tx, demands[0].id, b.now)
    for demand in demands[1:]:
        assert not b.step_ups.find(b.services.tx, demand.id, b.now).evidence


def test_who_asks_again_gets_the_same_link_for_a_while(b: Bench) -> None:
    demand = b.demand()
    b.services.clock.advance(seconds=30)
    assert b.demand() == demand
    b.services.clock.advance(seconds=1)
    assert demand.expires_ns - b.now < REUSE_NS
    fresh = b.demand()
    assert fresh.id != demand.id
    b.satisfy(fresh)
    assert b.demand().id not in {demand.id, fresh.id}


@pytest.mark.parametrize("change", [{"entity": EntityId("")}, {"accessor": TokenAccessor("")}])
def test_nobody_behind_a_token_is_asked_for_a_touch(b: Bench, change: dict[str, Any]) -> None:
    record = msgspec.structs.replace(b.session.record, **change)
    with pytest.raises(PermissionDenied, match="service token of a person"):
        b.demand(session=replace(b.session, record=record))


def test_who_has_no_authenticator_is_told_to_register_one(b: Bench) -> None:
    with pytest.raises(PermissionDenied, match="register one"):
        b.demand(session=session_of("bob", "two"))


@pytest.mark.parametrize("text", ["", "x", "a" * 63, "a" * 64, "../" * 20, "é" * 32, "a" * 9_999])
def test_an_id_that_is_none_is_not_found(b: Bench, text: str) -> None:
    b.demand()
    with pytest.raises(NotFound):
        b.step_ups.find(b.services.tx, text, b.now)


def test_what_is_too_long_to_be_shown_is_not_asked_for(b: Bench) -> None:
    b.demand("p" * MAX_ASKED)
    with pytest.raises(TooLarge):
        b.demand("p" * (MAX_ASKED + 1))


def test_nothing_is_left_of_a_session_that_is_over(b: Bench) -> None:
    demand = b.demand()
    b.step_ups.ended(b.services.tx, b.session.hash, UNUSED)
    with pytest.raises(NotFound):
        b.step_ups.find(b.services.tx, demand.id, b.now)
    assert list(b.services.store(b.services.tx, "sys/step-ups").walk()) == []
