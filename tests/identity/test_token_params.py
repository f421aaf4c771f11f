"""The token parameters that all auth methods share."""

from dataclasses import replace

import pytest

from ironkeep.core.errors import InvalidRequest
from ironkeep.identity.token_params import LOGINS, TokenParams, TokenParamsInput, token_type
from ironkeep.plugin import fields
from ironkeep.plugin.mount import Mount
from tests.support.services import USERPASS


def changed(params: TokenParams, **raw: object) -> TokenParams:
    return params.changed(fields.parse(TokenParamsInput, raw), raw)


def test_only_what_is_given_changes() -> None:
    first = changed(TokenParams(), token_ttl="1h", token_policies="B,a", token_num_uses="5")
    second = changed(first, token_period=60)
    assert second == TokenParams(
        token_ttl=3600, token_policies=("a", "b"), token_num_uses=5, token_period=60
    )


def test_old_names_are_taken_and_read_back_where_they_were_used() -> None:
    params = changed(TokenParams(), policies="not_root", ttl="10s")
    assert params.view() | {} == {
        "token_ttl": 10,
        "token_max_ttl": 0,
        "token_policies": ("not_root",),
        "token_bound_cidrs": (),
        "token_explicit_max_ttl": 0,
        "token_no_default_policy": False,
        "token_num_uses": 0,
        "token_period": 0,
        "token_type": "default",
        "policies": ("not_root",),
        "ttl": 10,
    }
    assert "policies" not in changed(params, token_policies="x").view()
    assert changed(params, token_ttl=5, ttl="5s").token_ttl == 5


def test_params_survive_storage() -> None:
    params = changed(TokenParams(), policies="a", token_type="batch", token_max_ttl=5)
    assert LOGINS.decode(LOGINS.encode(params)) == params


@pytest.mark.parametrize(
    "raw",
    [
        {"token_type": "fast"},
        {"token_num_uses": -1},
        {"token_ttl": 10, "token_max_ttl": 5},
        {"token_type": "batch", "token_num_uses": 1},
        {"token_type": "default-batch", "token_period": 1},
        {"token_type": "batch", "token_explicit_max_ttl": 1},
        {"token_bound_cidrs": "nowhere"},
        {"token_bound_cidrs": ["10.0.0.0/8"] * 257},
        {"token_policies": [f"p{i}" for i in range(257)]},
    ],
)
def test_what_does_not_go_together(raw: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        changed(TokenParams(), **raw)


@pytest.mark.parametrize(
    ("wanted", "of_mount", "asked", "expected"),
    [
        ("default", "", "", "service"),
        ("default", "default-batch", "", "batch"),
        ("default", "default-batch", "service", "service"),
        ("default", "batch", "service", "batch"),
        ("service", "batch", "batch", "service"),
        ("batch", "service", "", "batch"),
        ("default-batch", "", "", "batch"),
        ("default-batch", "", "service", "service"),
        ("default-service", "batch", "", "service"),
    ],
)
def test_token_type(wanted: str, of_mount: str, asked: str, expected: str) -> None:
    mount: Mount = replace(USERPASS, config={"token_type": of_mount})
    assert token_type(wanted, mount, asked) == expected


def test_spec() -> None:
    params = changed(TokenParams(), token_ttl=5, token_max_ttl=9, token_policies="a")
    spec = params.spec(USERPASS, "userpass-ann", "auth/userpass/login/ann", "ann", meta={"k": "v"})
    assert (spec.ttl_seconds, spec.max_ttl_seconds, spec.policies) == (5, 9, ("a",))
    assert (spec.alias, spec.meta, spec.orphan) == ("ann", {"k": "v"}, True)
