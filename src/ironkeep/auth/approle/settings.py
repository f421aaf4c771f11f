"""AppRole's settings one by one: `role/<name>/<setting>` reads, writes or resets one setting.

Source: the Vault HTTP API, auth/approle.
"""

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, Final

import msgspec

from ironkeep.auth.approle.role import OWN, ROLES, Role, RoleInput, change
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.identity.token_params import TokenParams
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

SETTINGS: Final = (
    ("bind-secret-id", "bind_secret_id", "bind_secret_id"),
    ("bound-cidr-list", "secret_id_bound_cidrs", "bound_cidr_list"),
    ("secret-id-bound-cidrs", "secret_id_bound_cidrs", "secret_id_bound_cidrs"),
    ("secret-id-num-uses", "secret_id_num_uses", "secret_id_num_uses"),
    ("secret-id-ttl", "secret_id_ttl", "secret_id_ttl"),
    ("period", "token_period", "token_period"),
    ("policies", "token_policies", "token_policies"),
    ("token-bound-cidrs", "token_bound_cidrs", "token_bound_cidrs"),
    ("token-max-ttl", "token_max_ttl", "token_max_ttl"),
    ("token-num-uses", "token_num_uses", "token_num_uses"),
    ("token-ttl", "token_ttl", "token_ttl"),
)
"""Path below the role, field of the role, and its name in responses."""
_TWICE: Final = {
    "bound-cidr-list": "secret-id-bound-cidrs",
    "secret-id-bound-cidrs": "bound-cidr-list",
}
"""Pairs of paths for the same field."""


def _reader(setting: str, shown: str) -> Callable[[Call], Response]:
    def read(call: Call) -> Response:
        _, role = ROLES.required(call)
        return Response(data={shown: getattr(role if setting in OWN else role.params, setting)})

    return read


def _writer(setting: str) -> Callable[[Call, RoleInput], Response]:
    def write(call: Call, given: RoleInput) -> Response:
        name, role = ROLES.required(call)
        value = getattr(given, setting)
        if value is None:
            raise InvalidRequest(f"missing {setting}")
        # Only this setting: the policy check covered this path alone.
        return change(call, name, role, RoleInput(**{setting: value}))

    return write


def _resetter(setting: str) -> Callable[[Call], Response]:
    default = _default(Role if setting in OWN else TokenParams, setting)

    def reset(call: Call) -> Response:
        name, role = ROLES.required(call)
        return change(call, name, role, RoleInput(**{setting: default}))

    return reset


def _default(kind: type[msgspec.Struct], setting: str) -> Any:
    names = kind.__struct_fields__
    defaults = kind.__struct_defaults__
    return defaults[names.index(setting) - len(names)]


def _routes_of(below: str, setting: str, shown: str) -> tuple[Route, ...]:
    pattern = f"role/{{role_name}}/{below}"
    text = shown.replace("_", " ")
    same = f"role/{{role_name}}/{_TWICE[below]}" if below in _TWICE else ""
    assert any(each.name == setting and each.default is not MISSING for each in fields(RoleInput))
    return (
        Route(
            Operation.READ,
            pattern,
            _reader(setting, shown),
            folds="role_name",
            same_as=same,
            help=f"Read: {text}.",
        ),
        Route(
            Operation.UPDATE,
            pattern,
            _writer(setting),
            input=RoleInput,
            audited=(setting,),
            folds="role_name",
            same_as=same,
            help=f"Set: {text}.",
        ),
        Route(
            Operation.DELETE,
            pattern,
            _resetter(setting),
            folds="role_name",
            same_as=same,
            help=f"Reset: {text}.",
        ),
    )


ROUTES: Final = tuple(route for row in SETTINGS for route in _routes_of(*row))
