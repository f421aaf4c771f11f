"""Parameter clauses: names, values, globs, merging; the kinds of cases of OpenBao's ACL tests."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from ironkeep.core.policy.parameters import ParameterRules, Values
from ironkeep.core.secret import Secret
from ironkeep.plugin.fields import (
    CommaList,
    Duration,
    FoldedText,
    FolderText,
    KvPairs,
    PolicyNames,
    readers_of,
)

ANYTHING: Values = ()


@pytest.mark.parametrize(
    ("data", "passes"),
    [
        ({}, True),
        ({"zip": 1}, True),
        ({"ZIP": 1}, True),
        ({"zap": 1}, False),
        ({"zip": 1, "zap": 1}, False),
    ],
)
def test_allowed_names(data: dict[str, object], passes: bool) -> None:
    assert (ParameterRules(allowed={"zip": ANYTHING}).refusal(data) is None) == passes


@pytest.mark.parametrize(
    ("data", "passes"),
    [({}, True), ({"zap": ""}, False), ({"zAp": ""}, False), ({"zip": ""}, True)],
)
def test_denied_names(data: dict[str, object], passes: bool) -> None:
    assert (ParameterRules(denied={"zap": ANYTHING}).refusal(data) is None) == passes


@pytest.mark.parametrize("allowed", [{}, {"*": ANYTHING}, {"pear": ANYTHING}])
def test_deny_all_beats_every_allow(allowed: dict[str, Values]) -> None:
    rules = ParameterRules(allowed=allowed, denied={"*": ANYTHING})
    assert rules.refusal({"pear": 1}) == "every parameter is denied"
    assert rules.refusal({}) is None


def test_a_denied_name_beats_its_allow() -> None:
    rules = ParameterRules(allowed={"steve": ANYTHING}, denied={"steve": ANYTHING})
    assert rules.refusal({"steve": 1}) is not None


def test_allow_all_still_holds_listed_names_to_their_values() -> None:
    rules = ParameterRules(allowed={"*": ANYTHING, "foo": ANYTHING, "bar": (False,)})
    assert rules.refusal({"anything": True}) is None
    assert rules.refusal({"foo": True}) is None
    assert rules.refusal({"bar": False}) is None
    assert rules.refusal({"bar": True}) == "the value of the parameter bar is not allowed"


def test_allow_all_alone_ignores_values() -> None:
    assert ParameterRules(allowed={"*": ("x",)}).refusal({"any": "y", "*": "z"}) is None


def test_required_names_are_wanted_even_without_data() -> None:
    rules = ParameterRules(required=frozenset({"foo", "bar"}))
    assert rules.refusal({}) == "the parameter bar is required"
    assert rules.refusal({"bar": 1}) == "the parameter foo is required"
    assert rules.refusal({"foo": 0, "bar": 1, "more": 2}) is None
    assert rules.refusal({"foo": None, "bar": 1}) == "the parameter foo is required"
    # The engine knows the field by its lower-case name only.
    assert rules.refusal({"FOO": 1, "bar": 1}) == "the parameter foo is required"


@pytest.mark.parametrize(
    ("listed", "value", "matches"),
    [
        ("good", "good", True),
        ("good", "bad", False),
        ("good", "Good", False),
        ("good", "goods", False),
        ("bad*", "bad", True),
        ("bad*", "bad glob", True),
        ("bad*", "not bad", False),
        ("*good3", "glob good3", True),
        ("*good3", "good33", False),
        ("*mid*", "amidst", True),
        ("*mid*", "mi d", False),
        ("a*b", "a*b", True),
        ("a*b", "axb", False),
        ("*", "*", True),
        ("*", "x", False),
        ("**", "", True),
        ("", "", True),
        ("", "x", False),
        (1, 1, True),
        (1, 1.0, True),
        (1, "1", False),
        ("1", 1, False),
        ("*", 1, False),
        (1, True, False),
        (True, 1, False),
        (0, False, False),
        (False, False, True),
        (False, "false", False),
        (None, None, True),
        (None, "", False),
        ("good", None, False),
        ([1, "a"], [1, "a"], True),
        ([1, "a"], [1], False),
        ([1, "a"], ["a", 1], False),
        ([True], [1], False),
        (["a*"], ["ab"], False),
        ("a", ["a"], False),
        ({"good": "one"}, {"good": "one"}, True),
        ({"good": "one"}, {"bad": "one"}, False),
        ({"good": "one"}, {"good": "one", "bad": 1}, False),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}, True),
        ({"a": {"b": [1]}}, {"a": {"b": [True]}}, False),
        ({}, [], False),
        ([], {}, False),
    ],
)
def test_values_match_by_type(listed: object, value: object, matches: bool) -> None:
    assert (ParameterRules(allowed={"p": (listed,)}).refusal({"p": value}) is None) == matches
    assert (ParameterRules(denied={"p": (listed,)}).refusal({"p": value}) is None) != matches
    both = ParameterRules(allowed={"p": ("other", listed)})
    assert (both.refusal({"p": value}) is None) == matches


def test_merging_adds_names_and_values() -> None:
    one = ParameterRules(
        allowed={"test": (1, 2), "test1": ("foo",)},
        denied={"baz": ANYTHING},
        required=frozenset({"a"}),
    )
    other = ParameterRules(
        allowed={"test": (3,), "*": ANYTHING},
        denied={"zip": ("x",)},
        required=frozenset({"b"}),
    )
    assert one.merge(other) == ParameterRules(
        allowed={"test": (1, 2, 3), "test1": ("foo",), "*": ANYTHING},
        denied={"baz": ANYTHING, "zip": ("x",)},
        required=frozenset({"a", "b"}),
    )


def test_any_value_stays_any_value_when_merged() -> None:
    listed, anything = ParameterRules(allowed={"e": (1,)}), ParameterRules(allowed={"e": ANYTHING})
    for merged in (listed.merge(anything), anything.merge(listed)):
        assert merged.allowed == {"e": ANYTHING}
    listed, anything = ParameterRules(denied={"e": (1,)}), ParameterRules(denied={"e": ANYTHING})
    for merged in (listed.merge(anything), anything.merge(listed)):
        assert merged.refusal({"e": 2}) is not None


def test_an_allow_list_of_one_rule_restricts_the_other() -> None:
    merged = ParameterRules().merge(ParameterRules(allowed={"a": ANYTHING}))
    assert merged.refusal({"b": 1}) == "a parameter is not among the allowed ones"


def test_rules_that_say_nothing_are_false() -> None:
    assert not ParameterRules()
    assert ParameterRules(required=frozenset({"a"}))
    assert ParameterRules(allowed={"a": ANYTHING})
    assert ParameterRules(denied={"a": ANYTHING})


@pytest.mark.parametrize(
    "rules",
    [
        ParameterRules(allowed={"other": ANYTHING}),
        ParameterRules(allowed={"canary-name": ("x",)}),
        ParameterRules(denied={"canary-name": ("canary-value",)}),
        ParameterRules(denied={"*": ANYTHING}),
        ParameterRules(required=frozenset({"other"})),
    ],
)
def test_a_refusal_quotes_the_policy_and_never_the_request(rules: ParameterRules) -> None:
    reason = rules.refusal({"CANARY-name": "canary-value"})
    assert reason is not None
    assert "CANARY" not in reason
    assert "canary-value" not in reason


# -- declared fields: judged as the handler will see them


@dataclass(frozen=True)
class Declared:
    token_policies: PolicyNames | None = field(default=None, metadata={"alias": ("policies",)})
    hosts: CommaList = ()
    ttl: Duration = 0
    uses: int = 0
    orphan: bool = False
    meta: KvPairs | None = None
    role: FoldedText = ""
    place: FolderText = ""
    word: Secret | None = None


READERS = readers_of(Declared)


@pytest.mark.parametrize(
    ("name", "value", "given"),
    [
        ("token_policies", "admin", ["admin", "web,admin", " admin ", "ADMIN", "Admin,,web"]),
        ("token_policies", "admin", [["admin"], ["web", "admin"], ["web", " ADMIN\t"]]),
        ("token_policies", "ADM*", ["administrator", ["web", "Admin"]]),
        ("token_policies", "web,admin", ["admin,web", ["x", "admin", "web"]]),
        ("policies", "admin", ["admin", ["web", "Admin"]]),
        ("hosts", "a.example", ["a.example", "b.example , a.example", ["a.example"]]),
        ("ttl", "1h", ["1h", "60m", 3600, "3600", "1h0m", Decimal("3600.0")]),
        ("ttl", 3600, ["1h", 3600]),
        ("uses", "5", [5, "5", "005", 5.0]),
        ("uses", "1*", [12, "12", "1"]),
        ("orphan", True, [True, "true", "1", "T", 1]),
        ("orphan", "true", [True, "TRUE"]),
        ("meta", "a=b", ["a=b", {"a": "b", "c": "d"}, ["c=d", "a=b"]]),
        ("role", "Admin", ["admin", "ADMIN"]),
        ("place", "secret/", ["secret", "/secret", "secret//"]),
        ("word", "letmein", ["letmein"]),
    ],
)
def test_a_denied_value_is_denied_however_it_is_written(
    name: str, value: object, given: list[object]
) -> None:
    rules = ParameterRules(denied={name: (value,)})
    only = ParameterRules(allowed={name: (value,)})
    for each in given:
        for alias in {name, "policies", "token_policies"} if "policies" in name else {name}:
            assert rules.refusal({alias: each}, READERS) is not None, each
    assert only.refusal({name: given[0]}, READERS) is None
    assert rules.refusal({name: None}, READERS) is None
    assert rules.refusal({name: None}, READERS, nulls=True) is None


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        ("test-a", True),
        (["test-a", "TEST-b"], True),
        ("test-a, other", True),
        ("test-a,admin", False),
        (["test-a", "admin"], False),
        ("one", False),
        ("two,one", True),
        ("", False),
        ([], False),
    ],
)
def test_each_part_of_a_list_has_to_be_allowed(given: object, passes: bool) -> None:
    rules = ParameterRules(allowed={"token_policies": ("test-*", "other", "one,two")})
    for name in ("token_policies", "policies"):
        assert (rules.refusal({name: given}, READERS) is None) == passes


def test_a_null_is_no_value_of_a_declared_field() -> None:
    rules = ParameterRules(required=frozenset({"ttl"}))
    assert rules.refusal({"ttl": None}, READERS) == "the parameter ttl is required"
    assert rules.refusal({"ttl": 0}, READERS) is None
    assert (
        ParameterRules(required=frozenset({"policies"})).refusal({"token_policies": "a"}, READERS)
        is None
    )
    assert ParameterRules(denied={"ttl": ANYTHING}).refusal({"ttl": None}, READERS) is None
    # In a merge patch it changes the field.
    assert ParameterRules(denied={"ttl": ANYTHING}).refusal({"ttl": None}, READERS, nulls=True)
    # What nobody declares is judged as it came.
    assert ParameterRules(allowed={"x": ANYTHING}).refusal({"y": None}, READERS)


def test_rules_of_both_names_of_a_field_add_up() -> None:
    rules = ParameterRules(denied={"policies": ("a",), "token_policies": ("b",)})
    assert rules.refusal({"policies": "b"}, READERS)
    assert rules.refusal({"token_policies": "a"}, READERS)
    assert rules.refusal({"token_policies": "c"}, READERS) is None


def test_what_the_field_cannot_read_is_compared_as_it_came() -> None:
    assert ParameterRules(denied={"uses": ("x",)}).refusal({"uses": "x"}, READERS)
    assert ParameterRules(denied={"uses": ("x",)}).refusal({"uses": "y"}, READERS) is None
    assert ParameterRules(allowed={"uses": (5,)}).refusal({"uses": [5]}, READERS)
