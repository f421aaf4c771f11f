"""The code that the roles of all auth methods share."""

from dataclasses import replace

import msgspec
import pytest

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.identity.roles import MAX_NAME, Roles, clean_name, with_type
from ironkeep.identity.token_params import TokenParamsInput, display_name
from ironkeep.plugin.cidr import admits
from ironkeep.plugin.response import listing
from ironkeep.store.record import Codec
from tests.support.services import USERPASS


class _Record(msgspec.Struct, frozen=True, omit_defaults=True):
    token_ttl: int = 0
    token_type: str = "x"


ROLES = Roles("role", "name", Codec(_Record), ("token_ttl", "token_type"))


@pytest.mark.parametrize(
    ("name", "spelling"), [("Web", "web"), ("a b/c", "a b/c"), ("x" * MAX_NAME, "x" * MAX_NAME)]
)
def test_a_name_has_one_spelling(name: str, spelling: str) -> None:
    assert clean_name(name) == spelling


@pytest.mark.parametrize("name", ["", "a\n", "x" * (MAX_NAME + 1)])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="printable"):
        clean_name(name)


def test_settings_that_are_not_given_stay() -> None:
    assert ROLES.given(TokenParamsInput(token_ttl=0)) == {"token_ttl": 0}
    assert ROLES.shown(_Record(5)) == {"token_ttl": 5, "token_type": "x"}


@pytest.mark.parametrize(("given", "taken"), [("", "default"), ("batch", "batch"), (None, None)])
def test_an_empty_token_type_is_the_default(given: str | None, taken: str | None) -> None:
    assert with_type(TokenParamsInput(token_type=given)).token_type == taken


def test_an_empty_list_is_not_found() -> None:
    assert listing(["a"]).data == {"keys": ["a"]}
    with pytest.raises(NotFound):
        listing([])


@pytest.mark.parametrize(
    ("cidrs", "admitted"), [((), True), (("10.0.0.0/8",), True), (("192.0.2.0/24",), False)]
)
def test_no_ranges_admit_every_address(cidrs: tuple[str, ...], *, admitted: bool) -> None:
    assert admits(cidrs, "10.1.2.3:4") is admitted


def test_a_token_is_named_after_its_mount() -> None:
    mount = replace(USERPASS, path="auth/team/people/")
    assert display_name(mount, "ada") == "team-people-ada"
    assert display_name(mount) == "team-people"
