"""A password that a name had before is recognised, whatever was set between."""

from typing import Any

import pytest

from ironkeep.auth.userpass import former, users
from ironkeep.core.errors import Conflict
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Suspend
from tests.auth.userpass.test_userpass import Bench
from tests.support.services import USERPASS

ONE, TWO = "the first password", "the second password"


@pytest.fixture
def s() -> Bench:
    bench = Bench()
    bench.ask("users/ann", password=ONE)
    return bench


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Collect what `former.add` answers about each password that is set."""
    found: list[bool] = []
    add = former.add

    def noted(*given: Any) -> bool:
        found.append(add(*given))
        return found[-1]

    monkeypatch.setattr(former, "add", noted)
    return found


def test_a_password_is_known_again_whatever_came_between(s: Bench, told: list[bool]) -> None:
    for password in (ONE, TWO, ONE, TWO, "a third password"):
        s.ask("users/ann/password", password=password)
    assert told == [False, True, False, True, True, False]


def test_a_user_that_is_made_again_has_its_former_passwords(s: Bench, told: list[bool]) -> None:
    s.ask("users/ann", Operation.DELETE)
    s.ask("users/ann", password=ONE)
    assert told == [False, True]


def test_the_user_of_an_earlier_release_has_a_password(s: Bench, told: list[bool]) -> None:
    suspend, call = s.start("users/ann", password=ONE)
    call.store.delete("former/ann")
    call.tx.merge()
    assert isinstance(suspend, Suspend)
    s.finish(suspend, call, suspend.work())
    assert told == [False, True]


def test_no_two_names_share_a_salt(s: Bench, told: list[bool]) -> None:
    s.ask("users/bob", password=ONE)
    call = s.call(USERPASS, "x", {})
    ann, bob = users.find(call, "ann"), users.find(call, "bob")
    assert ann is not None
    assert bob is not None
    assert ann.password_hash != bob.password_hash
    assert told == [False, False]


def test_of_two_first_passwords_at_once_one_is_refused(s: Bench) -> None:
    one, call = s.start("users/eve", password=ONE)
    two, other = s.start("users/eve", password=TWO)
    assert isinstance(one, Suspend)
    assert isinstance(two, Suspend)
    s.finish(one, call, one.work())
    with pytest.raises(Conflict, match="try again"):
        s.finish(two, other, two.work())


def test_the_oldest_are_forgotten(
    s: Bench, told: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former, "KEPT", 3)
    for password in (TWO, "three of them", "four of them", ONE):
        s.ask("users/ann/password", password=password)
    assert not any(told)
    assert "four" not in repr(former.Former(("four",)))
