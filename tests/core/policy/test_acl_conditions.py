"""Conditions of a decision: parameters and bounds on wrapping, alone and merged."""

import pytest

from ironkeep.core.operation import Operation
from ironkeep.core.policy.acl import Acl, compile_acl
from ironkeep.core.policy.policy import parse_policy
from ironkeep.core.policy.template import TemplateContext

READ, LIST, CREATE = Operation.READ, Operation.LIST, Operation.CREATE
UPDATE, PATCH, DELETE = Operation.UPDATE, Operation.PATCH, Operation.DELETE


def acl(*texts: str) -> Acl:
    return compile_acl(
        [parse_policy(f"p{n}", text) for n, text in enumerate(texts)], TemplateContext()
    )


def stanza(path: str, *capabilities: str, more: str = "") -> str:
    words = ", ".join(f'"{word}"' for word in capabilities)
    return f'path "{path}" {{\n  capabilities = [{words}]\n  {more}\n}}\n'


PARAMETERS = """
path "kv/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
  allowed_parameters = { ttl = ["1h", "2h*"], note = [] }
  denied_parameters = { note = ["*secret*"] }
  required_parameters = ["ttl"]
}
"""


@pytest.mark.parametrize("operation", [READ, CREATE, UPDATE, PATCH])
@pytest.mark.parametrize(
    ("data", "allowed"),
    [
        ({"ttl": "1h"}, True),
        ({"ttl": "2h30m", "NOTE": "x"}, True),
        ({"ttl": "1h", "note": "my secret"}, False),
        ({"ttl": "1h", "Note": "my secret"}, False),
        ({"ttl": "3h"}, False),
        ({"ttl": "1h", "other": 1}, False),
        ({"note": "x"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_parameters(operation: Operation, data: dict[str, object] | None, allowed: bool) -> None:
    decision = acl(PARAMETERS).decide("kv/a", operation, data)
    assert decision.allowed is allowed
    assert decision.depends_on_data


@pytest.mark.parametrize("operation", [LIST, DELETE])
def test_lists_and_deletes_need_no_field_and_are_judged_by_those_they_have(
    operation: Operation,
) -> None:
    rules = acl(PARAMETERS)
    assert rules.decide("kv/a", operation, {}).allowed
    assert rules.decide("kv/a", operation, {"note": "x"}).allowed
    assert not rules.decide("kv/a", operation, {"other": 1}).allowed
    assert not rules.decide("kv/a", operation, {"note": "my secret"}).allowed


def test_a_decision_without_conditions_holds_for_every_request() -> None:
    plain = acl(stanza("a/*", "read"), PARAMETERS)
    assert not plain.decide("a/b", READ, {"x": 1}).depends_on_data
    assert plain.decide("a/b", READ, {"x": 1}) is plain.decide("a/c", READ, None, 60)
    assert not plain.decide("b", READ, {"x": 1}).depends_on_data
    ungranted = acl(stanza("a", "read", more='required_parameters = ["x"]')).decide("a", UPDATE)
    assert not ungranted.depends_on_data


@pytest.mark.parametrize(
    ("bounds", "ttl", "allowed"),
    [
        ("min_wrapping_ttl = 300 max_wrapping_ttl = 400", None, False),
        ("min_wrapping_ttl = 300 max_wrapping_ttl = 400", 0, False),
        ("min_wrapping_ttl = 300 max_wrapping_ttl = 400", 299, False),
        ("min_wrapping_ttl = 300 max_wrapping_ttl = 400", 300, True),
        ("min_wrapping_ttl = 300 max_wrapping_ttl = 400", 400, True),
        ("min_wrapping_ttl = 300 max_wrapping_ttl = 400", 401, False),
        ('min_wrapping_ttl = "1s"', None, False),
        ('min_wrapping_ttl = "1s"', 1, True),
        ('min_wrapping_ttl = "1s"', 10**9, True),
        ("max_wrapping_ttl = 400", None, False),
        ("max_wrapping_ttl = 400", 0, False),
        ("max_wrapping_ttl = 400", -1, False),
        ("max_wrapping_ttl = 400", 1, True),
        ("max_wrapping_ttl = 400", 401, False),
        ("min_wrapping_ttl = 0 max_wrapping_ttl = 0", None, True),
    ],
)
def test_wrapping_bounds(bounds: str, ttl: int | None, allowed: bool) -> None:
    for operation in (READ, LIST, DELETE):
        compiled = acl(stanza("a", "read", "list", "delete", more=bounds))
        assert compiled.decide("a", operation, None, ttl).allowed is allowed


@pytest.mark.parametrize(
    ("one", "other", "passing", "failing"),
    [
        (
            "min_wrapping_ttl = 100 max_wrapping_ttl = 300",
            "min_wrapping_ttl = 50 max_wrapping_ttl = 200",
            [50, 200],
            [None, 49, 201],
        ),
        ("max_wrapping_ttl = 200", "", [200], [None, 201]),
        ("min_wrapping_ttl = 50", "max_wrapping_ttl = 60", [50, 60], [49, 61]),
        # Merged, the bounds exclude each other: nothing passes.
        ("min_wrapping_ttl = 300", "max_wrapping_ttl = 200", [], [None, 100, 200, 250, 300, 400]),
    ],
)
def test_merged_wrapping_bounds(
    one: str, other: str, passing: list[int], failing: list[int | None]
) -> None:
    first, second = stanza("a", "read", more=one), stanza("a", "read", more=other)
    for compiled in (acl(first, second), acl(second, first), acl(first + second)):
        assert all(compiled.decide("a", READ, None, ttl).allowed for ttl in passing)
        assert not any(compiled.decide("a", READ, None, ttl).allowed for ttl in failing)


def test_merged_parameters_restrict_what_either_rule_grants() -> None:
    free = stanza("a", "update")
    bound = stanza("a", "read", more="allowed_parameters = { x = [] }")
    for compiled in (acl(free, bound), acl(bound, free)):
        assert compiled.decide("a", UPDATE, {"x": 1}).allowed
        assert not compiled.decide("a", UPDATE, {"y": 1}).allowed


def test_a_deny_forgets_conditions() -> None:
    bound = stanza("a", "read", more='required_parameters = ["x"] min_wrapping_ttl = 5')
    for compiled in (acl(bound, stanza("a", "deny")), acl(stanza("a", "deny"), bound)):
        decision = compiled.decide("a", READ, {"x": 1}, 10)
        assert (decision.allowed, decision.depends_on_data) == (False, False)


def test_a_refused_condition_names_rule_and_reason() -> None:
    compiled = acl(
        stanza("w", "read", "sudo", more="min_wrapping_ttl = 5 max_wrapping_ttl = 9"), PARAMETERS
    )
    refusals = [
        (compiled.decide("w", READ), "the response must be wrapped"),
        (compiled.decide("w", READ, None, 4), "the wrapping TTL is under the minimum of 5 s"),
        (compiled.decide("w", READ, None, 10), "the wrapping TTL is over the maximum of 9 s"),
        (compiled.decide("kv/a", READ), "the parameter ttl is required"),
    ]
    for decision, reason in refusals:
        assert not decision.allowed
        assert decision.rule is not None
        assert decision.reason == reason
        assert decision.depends_on_data
    assert refusals[0][0].sudo
