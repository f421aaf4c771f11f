"""Breadth budgets: what they let through, to whom, in which time."""

from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.access.budgets.budgets import PLACE, _moved
from ironkeep.access.budgets.record import DAY, MONTH, PERSON, SLOT, Charge, Limits, Subject, Sums
from ironkeep.access.guards import PLAIN
from ironkeep.app import PLUGINS
from ironkeep.core.errors import NotFound, OverBudget, PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.core.policy.decision import Allow, decide_read
from ironkeep.core.policy.secret_class import SecretClass
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.token import Session
from ironkeep.store.state import Tx
from ironkeep.testing.parts import table, text
from ironkeep.testing.vault import Vault

PASSWORD: Final = "correct horse battery staple"
POLICY: Final = """
path "secret/data/*" { capabilities = ["read"] }
path "sys/budgets/*" { capabilities = ["read", "update", "delete", "sudo"] }
"""


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    for number in range(40):
        vault.write(f"secret/data/app/{number}", {"data": {"password": f"p{number}"}})
    vault.write("sys/policies/acl/reader", {"policy": POLICY})
    vault.write("sys/auth/userpass", {"type": "userpass"})
    for name in ("alice", "bob"):
        user = {"password": PASSWORD, "token_policies": ["reader"]}
        vault.write(f"auth/userpass/users/{name}", user)
    vault.write("sys/budgets/defaults/entity", {"hour": 10, "day": 15, "month": 20})
    return vault


def login(vault: Vault, name: str) -> tuple[str, str]:
    auth = vault.write(f"auth/userpass/login/{name}", {"password": PASSWORD}, token=None).auth
    return text(auth, "client_token"), text(auth, "entity_id")


def read(vault: Vault, number: int, token: str) -> type[Exception] | None:
    return vault.read(f"secret/data/app/{number}", token=token).error


def session_of(vault: Vault, token: str) -> tuple[Tx, Session]:
    request = vault.asked(Operation.READ, "x", None, token)
    assert request.token is not None
    tx = vault.house.state.begin()
    return tx, vault.house.tokens.authenticate(tx, request.token, vault.clock.now_ns(), "")


def test_a_plain_read_is_allowed_with_nothing_to_charge_note_or_use_up() -> None:
    allowed = Allow("a rule")
    assert decide_read(allowed, PLAIN.facts) is allowed
    assert (PLAIN.cost.moves, PLAIN.cost.near, PLAIN.evidence, PLAIN.grant) == ((), False, {}, None)


def test_the_hard_limit_refuses_and_says_who_can_raise_it(vault: Vault) -> None:
    vault.write("sys/budgets/defaults/entity", {"hour": 10, "day": 0, "month": 0})
    token, entity = login(vault, "alice")
    # Seven are below the soft limit of 70 %; an eighth takes a touch, which nobody here can give.
    assert [read(vault, n, token) for n in range(7)] == [None] * 7
    assert read(vault, 7, token) is not None
    vault.write(f"sys/budgets/entity/{entity}", {"hour": 7})
    reply = vault.read("secret/data/app/8", token=token)
    assert reply.error is OverBudget
    assert f"sys/budgets/entity/{entity}" in reply.errors[0]
    assert "7 in one hour" in reply.errors[0]


def test_reading_again_is_free_and_another_token_is_no_other_person(vault: Vault) -> None:
    first, _ = login(vault, "alice")
    for _ in range(3):
        assert [read(vault, n, first) for n in range(7)] == [None] * 7
    second, _ = login(vault, "alice")
    assert [read(vault, n, second) for n in range(7)] == [None] * 7
    assert read(vault, 8, second) is not None
    assert read(vault, 8, login(vault, "bob")[0]) is None


def test_time_frees_the_hour_and_not_the_day(vault: Vault) -> None:
    vault.write("sys/budgets/defaults/entity", {"hour": 10, "day": 14, "month": 0})
    token, _ = login(vault, "alice")
    assert [read(vault, n, token) for n in range(7)] == [None] * 7
    vault.clock.advance(seconds=3_600 + SLOT)
    # The day's soft limit is 9.8: two more, then a touch.
    assert [read(vault, n, token) for n in (10, 11)] == [None] * 2
    assert read(vault, 12, token) is not None
    vault.clock.advance(seconds=86_400 + SLOT)
    assert read(vault, 12, token) is None


def test_a_clock_that_is_put_back_opens_nothing(vault: Vault) -> None:
    token, _ = login(vault, "alice")
    assert [read(vault, n, token) for n in range(7)] == [None] * 7
    tx, session = session_of(vault, token)
    earlier = vault.clock.now_ns() - 90 * 86_400 * 10**9
    assert vault.house.features.budgets.assess(tx, session, "m/new", SecretClass.OPEN, earlier).near


def test_it_survives_a_restart(vault: Vault) -> None:
    token, _ = login(vault, "alice")
    assert [read(vault, n, token) for n in range(7)] == [None] * 7
    again = vault.restarted()
    again.unseal()
    assert read(again, 8, token) is not None
    assert read(again, 3, token) is None


def test_a_refused_read_costs_nothing(vault: Vault) -> None:
    token, entity = login(vault, "alice")
    assert [read(vault, n, token) for n in range(6)] == [None] * 6
    vault.write("sys/mounts/private", {"type": "kv", "options": {"version": "2"}})
    for number in range(9):
        assert vault.read(f"private/data/{number}", token=token).error is PermissionDenied
    used = table(vault.read(f"sys/budgets/entity/{entity}").data, "windows", 0)
    assert (used["window"], used["used"], used["limit"]) == ("hour", 6, 10)


def test_a_read_that_was_let_through_costs_though_nothing_was_there(vault: Vault) -> None:
    """Or whoever makes the handler fail would search for names without a limit."""
    token, entity = login(vault, "alice")
    for number in range(6):
        assert vault.read(f"secret/data/none/{number}", token=token).error is NotFound
    used = table(vault.read(f"sys/budgets/entity/{entity}").data, "windows", 0)
    assert used["used"] == 6


def test_classes_weigh(vault: Vault) -> None:
    token, entity = login(vault, "alice")
    tx, session = session_of(vault, token)
    weights = {SecretClass.OPEN: 1, SecretClass.GUARDED: 3, SecretClass.TWO_PERSON: 5}
    for secret_class, weight in weights.items():
        cost = vault.house.features.budgets.assess(
            tx, session, f"m/{weight}", secret_class, vault.clock.now_ns()
        )
        assert {(move.where, move.charge.weight) for move in cost.moves} == {
            (f"entity/{entity}", weight)
        }


def test_a_raise_ends_by_itself_and_nobody_raises_their_own(vault: Vault) -> None:
    token, entity = login(vault, "alice")
    path = f"sys/budgets/entity/{entity}"
    raised = {"hour": 100, "day": 100, "month": 100, "ttl": "1h", "reason": "migration"}
    assert vault.write(path, raised, token=token).error is PermissionDenied
    assert vault.delete(path, token=token).error is PermissionDenied
    other, _ = login(vault, "bob")
    assert vault.write(path, raised, token=other).error is None
    assert [read(vault, n, token) for n in range(30)] == [None] * 30
    vault.clock.advance(seconds=2 * 3_600)
    assert read(vault, 31, token) is not None


def test_a_raise_of_the_future_does_not_hold(vault: Vault) -> None:
    """An earlier release stored it while the clock was 400 days ahead."""
    token, entity = login(vault, "alice")
    house, now = vault.house, vault.clock.now_ns()
    raised = Subject(raised=Limits(100, 100, 100), raised_until_ns=now + 400 * DAY * SECOND_NS)
    tx = house.state.begin()
    house.features.budgets.set_subject(tx, PERSON, entity, raised)
    tx.merge()
    vault.flush()
    assert read(vault, 0, token) is None
    assert [read(vault, n, token) for n in range(1, 7)] == [None] * 6
    assert [read(vault, n, token) for n in range(7, 20)].count(None) == 0


def test_charges_of_the_future_neither_make_reads_free_nor_spend_a_budget_for_ever(
    vault: Vault,
) -> None:
    token, entity = login(vault, "alice")
    tx, session = session_of(vault, token)
    ahead = vault.clock.now_ns() + 400 * DAY * SECOND_NS
    house = vault.house
    mount, name = house.routing.secret_at(tx, "secret/data/app/0")
    assessed = house.features.budgets.assess(
        tx, session, f"{mount.uuid}/{name}", SecretClass.OPEN, ahead
    )
    house.features.budgets.charge(tx, assessed)
    tx.merge()
    session.remembered.clear()
    vault.flush()
    # The charge counts as one of now: the same secret is charged again, and only once.
    assert used(vault, entity) == 1
    for _ in range(3):
        assert read(vault, 0, token) is None
        assert used(vault, entity) == 1
    assert [read(vault, n, token) for n in range(1, 7)] == [None] * 6
    assert read(vault, 10, token) is not None
    vault.clock.advance(seconds=2 * 3_600)
    assert read(vault, 11, token) is None


def used(vault: Vault, entity: str) -> int:
    """The weight charged to a person in this hour."""
    data = vault.read(f"sys/budgets/entity/{entity}").data
    weight = table(data, "windows", 0)["used"]
    assert isinstance(weight, int)
    return weight


def test_a_machine_reads_its_manifest_and_nothing_else(vault: Vault) -> None:
    token, entity = login(vault, "alice")
    paths = [f"secret/data/app/{n}" for n in range(20)]
    vault.write(f"sys/budgets/entity/{entity}", {"manifest": paths})
    assert [read(vault, n, token) for n in range(20)] == [None] * 20
    reply = vault.read("secret/data/app/20", token=token)
    assert reply.error is not None
    assert "manifest" in reply.errors[0]


def test_a_manifest_holds_for_what_was_read_before(vault: Vault) -> None:
    token, entity = login(vault, "alice")
    assert [read(vault, 1, token) for _ in range(2)] == [None] * 2
    vault.write(f"sys/budgets/entity/{entity}", {"manifest": ["secret/data/app/2"]})
    assert read(vault, 1, token) is OverBudget
    vault.delete(f"sys/budgets/entity/{entity}")
    assert [read(vault, 1, token) for _ in range(2)] == [None] * 2


def test_the_house_has_a_fuse_for_tokens_without_a_person(vault: Vault) -> None:
    vault.write("sys/budgets/defaults/house", {"hour": 5})
    tokens = [
        vault.write("auth/token/create", {"policies": ["reader"], "no_parent": True}).token
        for _ in range(3)
    ]
    answers = [read(vault, n, tokens[n % 3]) for n in range(12)]
    # Past 70 % of five a touch is asked for, and nobody is there to give it.
    assert answers.count(None) == 3
    assert "soft limit" in vault.read("secret/data/app/20", token=tokens[0]).errors[0]


def test_charges_go_when_no_window_reaches_them(vault: Vault) -> None:
    token, _ = login(vault, "alice")
    read(vault, 1, token)

    def charged() -> int:
        house = vault.house
        return sum(1 for path in house.store(house.state.begin(), PLACE).walk("charge"))

    assert charged() == 1
    vault.tick(MONTH + 2 * SLOT)
    vault.tick()
    assert charged() == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4_000), st.integers(1, 10)), max_size=40)
)
def test_sums_are_those_of_distinct_secrets(steps: list[tuple[int, int, int]]) -> None:
    """Against a model that keeps only when each secret was last charged."""
    now, sums = 10**18, Sums(0)
    model: dict[int, Charge] = {}
    for secret, seconds, weight in steps:
        now += seconds * 10**9
        sums = _moved(sums, model.get(secret), weight, now)
        model[secret] = Charge(now, weight)
        slot = SLOT * 10**9
        for window in (3_600, 86_400, MONTH):
            first = (now - window * 10**9) // slot
            expected = sum(c.weight for c in model.values() if c.time_ns // slot >= first)
            assert sums.within(now, window) == expected
