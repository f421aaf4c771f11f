"""Parameter clauses: names, values, globs, merging; the kinds of cases of OpenBao's ACL tests."""

import pytest

from ironkeep.core.parameters import ParameterRules, Values

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
    assert rules.refusal({"foo": None, "bar": 1, "more": 2}) is None
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
