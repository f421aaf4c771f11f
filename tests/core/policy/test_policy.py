"""Policy texts: what they say, what is refused, and that nothing is silently lost."""

import json

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.policy.builtin import (
    DEFAULT_POLICY_TEXT,
    IMMUTABLE_POLICY_NAMES,
    RESPONSE_WRAPPING_POLICY_TEXT,
)
from ironkeep.core.policy.hcl_lexer import MAX_TEXT_BYTES
from ironkeep.core.policy.parameters import ParameterRules
from ironkeep.core.policy.policy import (
    MAX_PATTERN_BYTES,
    MAX_RULES,
    MAX_WRAPPING_TTL_SECONDS,
    ROOT_POLICY,
    Capability,
    Policy,
    RuleRef,
    parse_policy,
)

FULL = """\
name = "has no effect"
# Writes of one team.
path "secret/{{identity.entity.id}}/*" {
  comment             = "why"
  capabilities        = ["create", "sudo"]
  allowed_parameters  = { "A" = ["x", 1, true, {"k" = ["v"]}], "*" = [] }
  denied_parameters   { bad = [] }
  required_parameters = ["Needed"]
  min_wrapping_ttl    = "1m"
  max_wrapping_ttl    = 90
}
path "/plain" { policy = "read" }
"""


def test_every_clause() -> None:
    policy = parse_policy("team", FULL)
    first, second = policy.rules
    assert policy.name == "team"
    assert policy.is_templated
    assert first.origin == RuleRef("team", "secret/{{identity.entity.id}}/*", 3)
    assert first.capabilities == {Capability.CREATE, Capability.SUDO}
    assert first.parameters == ParameterRules(
        allowed={"a": ("x", 1, True, {"k": ["v"]}), "*": ()},
        denied={"bad": ()},
        required=frozenset({"needed"}),
    )
    assert (first.min_wrapping_ttl_seconds, first.max_wrapping_ttl_seconds) == (60, 90)
    assert second.origin == RuleRef("team", "/plain", 12)
    assert second.capabilities == {Capability.READ, Capability.LIST}
    assert not second.parameters
    assert (second.min_wrapping_ttl_seconds, second.max_wrapping_ttl_seconds) == (0, 0)


def test_a_rule_tells_where_it_was_written() -> None:
    assert str(RuleRef("team", "secret/+/x", 3)) == "team:3 secret/+/x"
    assert str(RuleRef("team", "secret/*", 0)) == "team secret/*"


def test_json_says_the_same_without_lines() -> None:
    text = json.dumps(
        {
            "path": {
                "a/*": {"capabilities": ["read"], "max_wrapping_ttl": "1h"},
                "b": {"policy": "deny", "allowed_parameters": {"k": [None]}},
            }
        }
    )
    hcl = """
        path "a/*" { capabilities = ["read"] max_wrapping_ttl = "1h" }
        path "b" { policy = "deny" allowed_parameters = {} }
    """
    from_json, from_hcl = parse_policy("p", text).rules, parse_policy("p", hcl).rules
    assert [rule.origin.line for rule in from_json] == [0, 0]
    assert [rule.origin.line for rule in from_hcl] == [2, 3]
    assert [rule.capabilities for rule in from_json] == [rule.capabilities for rule in from_hcl]
    assert from_json[0].max_wrapping_ttl_seconds == from_hcl[0].max_wrapping_ttl_seconds == 3600
    assert from_json[1].parameters.allowed == {"k": (None,)}
    listed = '{"path": [{"a/*": {"policy": "read"}}, {"a/*": {"policy": "deny"}}]}'
    assert len(parse_policy("p", listed).rules) == 2


@pytest.mark.parametrize(
    ("old", "capabilities"),
    [
        ("deny", {"deny"}),
        ("read", {"read", "list"}),
        ("write", {"create", "read", "update", "delete", "list"}),
        ("sudo", {"create", "read", "update", "delete", "list", "sudo"}),
    ],
)
def test_old_words(old: str, capabilities: set[str]) -> None:
    (rule,) = parse_policy("p", f'path "a" {{ policy = "{old}" }}').rules
    assert rule.capabilities == capabilities


@pytest.mark.parametrize(
    ("body", "capabilities"),
    [
        ("", set()),
        ("capabilities = []", set()),
        ('capabilities = ["read", "read"]', {"read"}),
        ('policy = "read" capabilities = ["update", "sudo"]', {"read", "list", "update", "sudo"}),
        ('policy = "deny" capabilities = ["read"]', {"deny"}),
        ('capabilities = ["read", "deny", "update"]', {"deny"}),
        ('policy = "sudo" capabilities = ["deny"]', {"deny"}),
    ],
)
def test_capabilities(body: str, capabilities: set[str]) -> None:
    (rule,) = parse_policy("p", f'path "a" {{ {body} }}').rules
    assert rule.capabilities == capabilities


def test_two_stanzas_of_one_path_both_stay() -> None:
    text = 'path "a" { capabilities = ["deny"] }\npath "a" { capabilities = ["update"] }'
    assert [rule.capabilities for rule in parse_policy("p", text).rules] == [
        {Capability.DENY},
        {Capability.UPDATE},
    ]


@pytest.mark.parametrize("text", ["", "# nothing", "{}", '{"path": {}}', 'name = "x"'])
def test_a_policy_may_be_empty(text: str) -> None:
    assert parse_policy("p", text) == Policy("p", ())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0), ("5", 5), ('"5"', 5), ('"5s"', 5), ('"1m"', 60), ('"1h30m"', 5400),
        ('"1d"', 86400), ('"1d1h1m1s"', 90061), (str(MAX_WRAPPING_TTL_SECONDS), 3153600000),
    ],
)  # fmt: skip
def test_durations(value: str, seconds: int) -> None:
    (rule,) = parse_policy("p", f'path "a" {{ min_wrapping_ttl = {value} }}').rules
    assert rule.min_wrapping_ttl_seconds == seconds


@pytest.mark.parametrize(
    "value",
    [
        "-1", '"-1s"', "1.5", '"1.5h"', '""', '" 1s"', '"1 h"', '"h"', '"1x"', '"1h30"', '"30m1h"',
        "true", "[]", "{}", '"\u0661"', '"9999999999999s"', str(MAX_WRAPPING_TTL_SECONDS + 1),
    ],
)  # fmt: skip
def test_other_durations_are_refused(value: str) -> None:
    with pytest.raises(InvalidRequest, match=r"line 1, column 12: 'max_wrapping_ttl'"):
        parse_policy("p", f'path "a" {{ max_wrapping_ttl = {value} }}')


@pytest.mark.parametrize(
    "key",
    [
        "mfa_methods",
        "control_group",
        "expiration",
        "pagination_limit",
        "list_scan_response_keys_filter_path",
        "subscribe_event_types",
    ],
)
@pytest.mark.parametrize("capability", ["read", "deny"])
def test_what_cannot_be_enforced_is_refused(key: str, capability: str) -> None:
    for value in ("= []", "= {}", "{}", '"x" {}', "= 1", '= "x"'):
        text = f'path "a" {{ capabilities = ["{capability}"] {key} {value} }}'
        with pytest.raises(InvalidRequest, match=f"line 1, column .*: '{key}' is not supported"):
            parse_policy("p", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('paths "a" {}', "unknown key 'paths'"),
        ("Path = {}", "unknown key 'Path'"),
        ('path "a" { capability = [] }', "unknown key 'capability'"),
        ('path "a" { capabilities "x" {} }', "unknown key 'capabilities'"),
        ('path "a" { policy = "root" }', "must be one of"),
        ('path "a" { policy = ["read"] }', "must be one of"),
        ('path "a" { policy = "" }', "must be one of"),
        ('path "a" { capabilities = ["root"] }', "unknown capability 'root'"),
        ('path "a" { capabilities = ["Read"] }', "unknown capability 'Read'"),
        ('path "a" { capabilities = ["deny", "x"] }', "unknown capability 'x'"),
        ('path "a" { capabilities = ["subscribe"] }', "'subscribe' is not supported"),
        ('path "a" { capabilities = ["recover"] }', "'recover' is not supported"),
        ('path "a" { capabilities = ["scan"] }', "'scan' is not supported"),
        ('path "a" { capabilities = "read" }', "must be a list of strings"),
        ('path "a" { capabilities = ["read", 1] }', "must be a list of strings"),
        ('path "a" { capabilities = {} }', "must be a list of strings"),
        ('path "a" { required_parameters = "x" }', "must be a list of strings"),
        ('path "a" { allowed_parameters = [] }', "must be a block"),
        ('path "a" { allowed_parameters = { x = 1 } }', "the values of 'x' must be a list"),
        ('path "a" { denied_parameters { x {} } }', "the values of 'x' must be a list"),
        ('path "a" { denied_parameters = { x = [] X = [] } }', "'X' is given twice"),
        ('path "a" { denied_parameters { x = [] } denied_parameters { y = [] } }', "given twice"),
        ('path "a" { comment = 1 }', "'comment' must be a string"),
        ("name = 1", "'name' must be a string"),
        ("name {}", "'name' must be a string"),
        ('path "a" { policy = "read" policy = "read" }', "'policy' is given twice"),
        ('path "a" { capabilities = ["deny"] capabilities = [] }', "given twice"),
        ('path "a" "b" {}', "takes 1 label"),
        ('path "a" = {}', "expected '{'"),
        ("path = 1", "must be a block"),
        ('path = ["a"]', "must be a block"),
        ('path { capabilities = ["read"] }', "must be a block"),
        ('path "a+*" {}', "'+*' is not allowed"),
        ('path "a/{{x}}" {}', "unknown template"),
        ('path "a/{{identity.entity.id}" {}', "unbalanced"),
        ('path "a" { max_wrapping_ttl = 1 min_wrapping_ttl = 2 }', "cannot be less"),
        ('path "a" { capabilities = [read] }', "expected a value"),
        ('{"path": {"a": {}, "a": {}}}', "'a' is given twice"),
        ('{"path": {"a": {"policy": "deny", "policy": "read"}}}', "'policy' is given twice"),
        ('{"path": {"a": {"capabilities": null}}}', "must be a list of strings"),
        ('{"path": {"a": ["read"]}}', "must be a block"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_policy("p", text)
    assert words in str(caught.value)
    assert text.startswith("{") or str(caught.value).startswith("line 1, column ")


def test_root_has_no_text() -> None:
    assert (ROOT_POLICY.name, ROOT_POLICY.rules) == ("root", ())
    with pytest.raises(InvalidRequest, match="root policy"):
        parse_policy("root", 'path "*" { policy = "sudo" }')


def test_the_rule_limit() -> None:
    stanza = 'path "a" {}\n'
    assert len(parse_policy("p", stanza * MAX_RULES).rules) == MAX_RULES
    with pytest.raises(TooLarge, match="path stanzas"):
        parse_policy("p", stanza * (MAX_RULES + 1))


def test_the_pattern_limit_counts_bytes() -> None:
    parse_policy("p", f'path "{"é" * (MAX_PATTERN_BYTES // 2)}" {{}}')
    with pytest.raises(TooLarge, match="path pattern"):
        parse_policy("p", f'path "{"é" * (MAX_PATTERN_BYTES // 2)}x" {{}}')


def test_the_size_limit() -> None:
    parse_policy("p", "#" * MAX_TEXT_BYTES)
    with pytest.raises(TooLarge, match="bytes"):
        parse_policy("p", "#" * (MAX_TEXT_BYTES + 1))


def test_the_built_in_texts() -> None:
    default = parse_policy("default", DEFAULT_POLICY_TEXT)
    assert default.is_templated
    assert {rule.origin.pattern for rule in default.rules} == {
        "auth/token/lookup-self", "auth/token/renew-self", "auth/token/revoke-self",
        "sys/capabilities-self", "sys/internal/ui/resultant-acl",
        "identity/entity/id/{{identity.entity.id}}",
        "identity/entity/name/{{identity.entity.name}}",
        "sys/leases/renew", "sys/leases/lookup", "cubbyhole/*",
        "sys/wrapping/wrap", "sys/wrapping/lookup", "sys/wrapping/unwrap",
        "sys/tools/hash", "sys/tools/hash/*", "identity/oidc/provider/+/authorize",
    }  # fmt: skip
    assert not any(Capability.SUDO in rule.capabilities for rule in default.rules)
    wrapping = parse_policy("response-wrapping", RESPONSE_WRAPPING_POLICY_TEXT)
    assert not wrapping.is_templated
    assert [rule.origin.pattern for rule in wrapping.rules] == [
        "cubbyhole/response",
        "sys/wrapping/unwrap",
        "auth/token/revoke-self",
    ]
    assert sorted(IMMUTABLE_POLICY_NAMES) == ["response-wrapping", "root"]


def _parses(text: str) -> bool:
    try:
        parse_policy("p", text)
    except InvalidRequest:
        return False
    return True


TOKENS = ['path "a"', "{", "}", "[", "]", "=", ",", '"read"', '"deny"', "capabilities", "policy"]
TOKENS += ["\n", "#", "/*", "*/", '"', "allowed_parameters", "min_wrapping_ttl", "1", "-", "true"]
TOKENS += ["<<E\n", "E", "{{", "}}", "\\", "$", "+", "*", ""]
JSON = '{"path": {"a": {"policy": "read", "allowed_parameters": {"x": [1]}}}}'


@given(st.lists(st.sampled_from(TOKENS), max_size=30).map(" ".join) | st.text(max_size=60))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    _parses(text)
    _parses("{" + text)


@given(st.data())
def test_a_damaged_policy_is_a_policy_or_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([FULL, DEFAULT_POLICY_TEXT, JSON]))
    assert _parses(text)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 8)))
        text = text[:start] + data.draw(st.sampled_from(TOKENS)) + text[end:]
    _parses(text)
