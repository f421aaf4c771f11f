"""The auth method `userpass`: equal work and words for every failure, and a lock that holds."""

from typing import Any, Literal

import argon2
import pytest

from ironkeep.auth.userpass import ROUTES, Userpass, hashing, users
from ironkeep.core.errors import (
    InvalidCredentials,
    InvalidRequest,
    IronkeepError,
    NotFound,
    Unavailable,
)
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.token_params import LOGIN, LOGINS, login_name
from ironkeep.kernel.router import Router
from ironkeep.plugin import fields
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.response import Response
from tests.support.services import USERPASS, Services

ROUTER = Router(ROUTES)
GOOD = "correct horse battery staple"


class Bench(Services):
    """Runs handlers as the pipeline does: a handler's writes only when it succeeds."""

    def start(
        self, path: str, op: Operation = Operation.UPDATE, remote: str = "10.0.0.1:1", **data: Any
    ) -> tuple[Response | Suspend, Call]:
        route, params, *_ = ROUTER.match(op, path)
        call = self.call(USERPASS, path, data, params=params, remote=remote, op=op)
        given = () if route.input is None else (fields.parse(route.input, {**data, **params}),)
        return route.handler(call, *given), call

    def finish(self, suspend: Suspend, call: Call, result: Any) -> Response:
        later = self.call(
            USERPASS, call.path, call.raw, params=call.params, remote=call.request.remote
        )
        response = suspend.resume(later, result)
        assert isinstance(response, Response)
        later.tx.merge()
        self.next_request()
        return response

    def ask(self, path: str, op: Operation = Operation.UPDATE, **data: Any) -> Response:
        response, call = self.start(path, op, **data)
        if isinstance(response, Suspend):
            return self.finish(response, call, response.work())
        call.tx.merge()
        self.next_request()
        return response

    def fails(self, name: str, password: str) -> str:
        with pytest.raises(IronkeepError) as caught:
            self.ask(f"login/{name}", password=password)
        assert type(caught.value) is InvalidCredentials
        self.next_request()
        return str(caught.value)


@pytest.fixture
def s() -> Bench:
    """Users with a cheap hash: what a check costs is written in the hash that it is against."""
    bench = Bench()
    bench.ask("users/Ann", password=GOOD, policies="dev", ttl="1h")
    return bench


def test_a_login_asks_for_the_users_token(s: Bench) -> None:
    response = s.ask("login/ANN", password=GOOD)
    spec = response.issue
    assert spec is not None
    assert (spec.alias, spec.meta, spec.policies) == ("ann", {"username": "ann"}, ("dev",))
    assert (spec.display_name, spec.path) == ("userpass-ann", "auth/userpass/login/ANN")
    issued = s.tokens.issue(s.tx, USERPASS, spec, s.now, s.entropy)
    assert issued.record.ttl_seconds == 3600
    assert issued.auth()["metadata"] == {"username": "ann"}


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "wrong"), ("ann", ""), ("ann", GOOD + "x" * 5000), ("nobody", GOOD), ("nobody", "")],
)
def test_every_failure_has_the_same_words(s: Bench, name: str, password: str) -> None:
    assert s.fails(name, password) == "invalid username or password"


@pytest.mark.usefixtures("shipped_passwords")
def test_the_real_cost_is_that_of_rfc_9106() -> None:
    parameters = argon2.extract_parameters(hashing.UNMATCHED)
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (65536, 3, 4)
    assert parameters.type is argon2.Type.ID
    fresh = argon2.extract_parameters(hashing.HASHER.hash("x", salt=bytes(16)))
    assert fresh == parameters


def test_known_unknown_and_locked_names_take_one_check_of_the_same_cost(
    s: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[argon2.Parameters] = []

    class Counting(argon2.PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
            checked.append(argon2.extract_parameters(str(hash)))
            return super().verify(hash, password)

    monkeypatch.setattr(hashing, "HASHER", argon2.PasswordHasher())
    s.ask("users/ann", password=GOOD)
    monkeypatch.setattr(
        hashing, "HASHER", Counting.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)
    )
    s.fails("ann", "wrong")
    s.fails("nobody", "wrong")
    s.fails("ann", "x" * 5000)
    for _ in range(3):
        s.fails("ann", "wrong")
    s.fails("ann", GOOD)
    assert len(checked) == 7
    assert len(set(map(repr, checked))) == 1


def test_every_failure_writes_the_same_number_of_rows(s: Bench) -> None:
    s.fails("ann", "wrong")
    s.fails("nobody", "wrong")
    counts = []
    for name in ("ann", "nobody", "ann", "ann", "ann", "ann"):
        with pytest.raises(InvalidCredentials):
            s.ask(f"login/{name}", password="wrong")
        counts.append(len(s.tx.writes))
        s.next_request()
    assert set(counts) == {1}


def test_strangers_cannot_fill_the_disk_with_names(s: Bench) -> None:
    s.fails("nobody", "wrong")
    rows = len(list(s.tx.scan(b"")))
    for number in range(20):
        s.fails(f"nobody-{number}", "wrong")
    assert len(list(s.tx.scan(b""))) == rows


def test_five_failures_lock_even_the_right_password_out(s: Bench) -> None:
    for _ in range(5):
        s.fails("ann", "wrong")
    s.fails("ann", GOOD)
    s.clock.advance(ns=15 * 60 * SECOND_NS - 1)
    s.fails("ann", GOOD)
    s.clock.advance(ns=1)
    assert s.ask("login/ann", password=GOOD).issue is not None


def test_four_failures_and_a_success_start_anew(s: Bench) -> None:
    for _ in range(3):
        for _ in range(4):
            s.fails("ann", "wrong")
        assert s.ask("login/ann", password=GOOD).issue is not None


def test_old_failures_are_forgotten(s: Bench) -> None:
    for _ in range(4):
        s.fails("ann", "wrong")
    s.clock.advance(seconds=15 * 60)
    s.fails("ann", "wrong")
    assert s.ask("login/ann", password=GOOD).issue is not None


def test_guesses_sent_at_once_are_no_better_than_one_after_another(s: Bench) -> None:
    started = [s.start("login/ann", password=guess) for guess in [*"abcdefgh", GOOD]]
    s.next_request()
    for response, call in started:
        assert isinstance(response, Suspend)
        with pytest.raises(InvalidCredentials):
            s.finish(response, call, response.work())
        s.next_request()


def test_a_failure_outlives_the_refusal(s: Bench) -> None:
    for _ in range(5):
        response, call = s.start("login/ann", password="wrong")
        assert isinstance(response, Suspend)
        account = s.state.begin()
        later = s.call(USERPASS, "login/ann", call.raw, params=call.params)
        later.account, later.tx = account, account.nested()
        with pytest.raises(InvalidCredentials):
            response.resume(later, False)
        account.merge()
    s.fails("ann", GOOD)


def test_a_password_changed_while_it_was_checked_no_longer_logs_in(s: Bench) -> None:
    response, call = s.start("login/ann", password=GOOD)
    assert isinstance(response, Suspend)
    result = response.work()
    s.ask("users/ann/password", password="another")
    with pytest.raises(InvalidCredentials):
        s.finish(response, call, result)


def test_a_user_removed_while_the_password_was_checked_does_not_log_in(s: Bench) -> None:
    response, call = s.start("login/ann", password=GOOD)
    assert isinstance(response, Suspend)
    result = response.work()
    s.ask("users/ann", Operation.DELETE)
    with pytest.raises(InvalidCredentials):
        s.finish(response, call, result)


def test_a_check_that_broke_counts_for_nobody(s: Bench) -> None:
    for _ in range(9):
        response, call = s.start("login/ann", password=GOOD)
        assert isinstance(response, Suspend)
        with pytest.raises(Unavailable):
            s.finish(response, call, MemoryError())
    assert s.ask("login/ann", password=GOOD).issue is not None


def test_a_user_is_bound_to_addresses(s: Bench) -> None:
    s.ask("users/ann", token_bound_cidrs="10.0.0.0/8")
    assert s.ask("login/ann", password=GOOD).issue is not None
    with pytest.raises(InvalidCredentials):
        s.ask("login/ann", password=GOOD, remote="11.0.0.1:1")


def test_users_are_made_read_changed_listed_and_removed(s: Bench) -> None:
    data = s.ask("users/ANN", Operation.READ).data
    assert isinstance(data, dict)
    assert (data["token_policies"], data["policies"], data["token_ttl"]) == (
        ("dev",),
        ("dev",),
        3600,
    )
    assert not {"password", "password_hash"} & set(data)
    s.ask("users/ann/policies", token_policies="ops,web")
    s.ask("users/bob", password="x", token_type="batch")
    data = s.ask("users/ann", Operation.READ).data
    assert isinstance(data, dict)
    assert (data["token_policies"], data["token_ttl"]) == (("ops", "web"), 3600)
    assert s.ask("users/", Operation.LIST).data == {"keys": ["ann", "bob"]}
    s.ask("users/ann", Operation.DELETE)
    s.ask("users/ann", Operation.DELETE)
    with pytest.raises(NotFound):
        s.ask("users/ann", Operation.READ)
    s.ask("users/bob", Operation.DELETE)
    with pytest.raises(NotFound):
        s.ask("users/", Operation.LIST)


def test_changing_a_user_keeps_the_password_and_the_reverse(s: Bench) -> None:
    s.ask("users/ann", token_policies="ops")
    assert s.ask("login/ann", password=GOOD).issue is not None
    s.ask("users/ann/password", password="another")
    response = s.ask("login/ann", password="another")
    assert response.issue is not None
    assert response.issue.policies == ("ops",)
    s.fails("ann", GOOD)


def test_a_new_password_ends_a_lock(s: Bench) -> None:
    for _ in range(5):
        s.fails("ann", "wrong")
    s.ask("users/ann", password=GOOD)
    assert s.ask("login/ann", password=GOOD).issue is not None


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("users/new", {}),
        ("users/new", {"token_ttl": 5}),
        ("users/ann", {"password": ""}),
        ("users/ann", {"password": "x" * 4097}),
        ("users/ann", {"token_type": "fast"}),
        ("users/ann", {"token_num_uses": -1, "password": "x"}),
        ("users/" + "x" * 257, {"password": "x"}),
        ("users/new/password", {"password": "x"}),
        ("users/ann/password", {}),
        ("users/new/policies", {"policies": "x"}),
    ],
)
def test_what_is_refused(s: Bench, path: str, data: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        s.ask(path, **data)


def test_at_the_limits(s: Bench) -> None:
    name, password = "x" * 256, "y" * 4096
    s.ask(f"users/{name}", password=password)
    assert s.ask(f"login/{name}", password=password).issue is not None


def test_the_name_in_the_path_counts_and_not_one_in_the_body(s: Bench) -> None:
    route, params, *_ = ROUTER.match(Operation.UPDATE, "users/mine")
    call = s.call(USERPASS, "users/mine", {"username": "ann", "password": "x"}, params=params)
    assert route.input is not None
    response = route.handler(call, fields.parse(route.input, {**params, **call.raw}))
    assert isinstance(response, Suspend)
    s.finish(response, call, response.work())
    assert s.ask("users/", Operation.LIST).data == {"keys": ["ann", "mine"]}
    assert s.ask("login/ann", password=GOOD).issue is not None


def test_history_tells_what_a_login_gave_then(s: Bench) -> None:
    start = s.now
    s.clock.advance(seconds=1)
    s.ask("users/ann", token_policies="ops")
    s.clock.advance(seconds=1)
    s.ask("users/ann/password", password="another")
    s.ask("users/ann", Operation.DELETE)
    intervals = s.history.intervals(s.tx, LOGIN, login_name(USERPASS, "ann"))
    policies = [LOGINS.decode(interval.value).token_policies for interval in intervals]
    assert policies == [("dev",), ("ops",)]
    assert [interval.start_ns for interval in intervals] == [start, start + SECOND_NS]


def test_neither_password_nor_hash_is_audited_or_shown(s: Bench) -> None:
    for route in Userpass().routes(USERPASS):
        assert "password" not in route.audited
    stored = users.find(s.call(USERPASS, "users/ann"), "ann")
    assert stored is not None
    assert "argon2" not in repr(stored)
    assert GOOD not in repr(s.start("login/ann", password=GOOD)[0])


def test_two_users_with_one_password_have_two_hashes(s: Bench) -> None:
    s.ask("users/bob", password=GOOD)
    found = [users.find(s.call(USERPASS, ""), name) for name in ("ann", "bob")]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].password_hash != found[1].password_hash
