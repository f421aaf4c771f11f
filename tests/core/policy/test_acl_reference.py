"""Random policies against a second evaluator, slow and by the published rules word for word.

The second evaluator knows nothing of tables, tries or merging: for every request it looks at every
rule as it was written, compares patterns pair by pair, and asks each clause of those that speak.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hypothesis import event, given, settings, strategies as st

from ironkeep.core.operation import Operation
from ironkeep.core.policy.acl import compile_acl
from ironkeep.core.policy.policy import Policy, parse_policy
from ironkeep.core.policy.template import TemplateContext

OPERATIONS = [one for one in Operation if one is not Operation.HELP]
ORDER = ["sudo", "read", "list", "update", "delete", "create", "patch"]


@dataclass(frozen=True)
class Written:
    """One path stanza."""

    path: str
    capabilities: list[str]
    allowed: dict[str, list[object]] = field(default_factory=dict)
    denied: dict[str, list[object]] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    shortest: int = 0
    longest: int = 0


def clean(pattern: str) -> str:
    return pattern.removeprefix("/")


def is_glob(pattern: str) -> bool:
    return pattern.endswith("*")


def is_exact(pattern: str) -> bool:
    return not is_glob(pattern) and "+" not in pattern.split("/")


def matches(pattern: str, path: str) -> bool:
    if "/" in pattern:
        first, rest = pattern.split("/", 1)
        segment, slash, remainder = path.partition("/")
        return bool(slash) and first in {"+", segment} and matches(rest, remainder)
    if is_glob(pattern):
        return path.startswith(pattern[:-1])
    return "/" not in path and pattern in {"+", path}


def first_wildcard(pattern: str) -> int:
    start = 0
    for segment in pattern.split("/"):
        if segment == "+":
            return start
        start += len(segment) + 1
    return len(pattern) - 1  # the glob at the end


def is_lower(one: str, other: str) -> bool:
    """Say whether pattern one has the lower priority, by the five rules in their order."""
    if first_wildcard(one) != first_wildcard(other):
        return first_wildcard(one) < first_wildcard(other)
    if is_glob(one) != is_glob(other):
        return is_glob(one)
    pluses, other_pluses = one.split("/").count("+"), other.split("/").count("+")
    if pluses != other_pluses:
        return pluses > other_pluses
    if len(one.encode()) != len(other.encode()):
        return len(one.encode()) < len(other.encode())
    return one.removesuffix("*") < other.removesuffix("*")


def ruling_pattern(patterns: set[str], path: str, operation: str) -> str | None:
    bare = path[:-1] if operation == "list" and path.endswith("/") else None
    for exact in (path, bare):
        if exact is not None and exact in {one for one in patterns if is_exact(one)}:
            return exact
    for candidate in (path, bare):
        if candidate is None:
            continue
        best: str | None = None
        for pattern in patterns:
            if not is_exact(pattern) and matches(pattern, candidate):
                best = pattern if best is None or is_lower(best, pattern) else best
        if best is not None:
            return best
    return None


def speaking(rules: list[Written], path: str, operation: str) -> list[Written]:
    while path.startswith("/"):
        path = path[1:]
    pattern = ruling_pattern({clean(rule.path) for rule in rules}, path, operation)
    return [rule for rule in rules if clean(rule.path) == pattern]


def same(listed: object, value: object) -> bool:
    if isinstance(listed, str) and isinstance(value, str) and len(listed) > 1:
        middle = listed.strip("*")
        if listed.startswith("*") and listed.endswith("*"):
            return middle in value
        if listed.startswith("*"):
            return value.endswith(middle)
        if listed.endswith("*"):
            return value.startswith(middle)
    return json.dumps(listed) == json.dumps(value)


def values_of(rules: list[dict[str, list[object]]], name: str) -> list[object] | None:
    """Join the lists for one name: None when nobody lists it, [] when anybody lists any value."""
    lists = [values for rule in rules for key, values in rule.items() if key.lower() == name]
    if not lists:
        return None
    return [] if [] in lists else [value for values in lists for value in values]


def in_list(values: list[object], value: object) -> bool:
    return values == [] or any(same(listed, value) for listed in values)


def data_passes(rules: list[Written], data: Mapping[str, object]) -> bool:
    if any(data.get(name.lower()) is None for rule in rules for name in rule.required):
        return False
    denied, allowed = [rule.denied for rule in rules], [rule.allowed for rule in rules]
    names_allowed = {name.lower() for rule in allowed for name in rule}
    for name, value in data.items():
        if values_of(denied, "*") is not None:
            return False
        listed = values_of(denied, name.lower())
        if listed is not None and in_list(listed, value):
            return False
        if names_allowed in (set(), {"*"}):
            continue
        listed = values_of(allowed, name.lower())
        if listed is None and "*" not in names_allowed:
            return False
        if listed is not None and not in_list(listed, value):
            return False
    return True


def expected(
    rules: list[Written], path: str, operation: str, data: Mapping[str, object], ttl: int | None
) -> tuple[bool, bool]:
    """Return (allowed, sudo)."""
    speakers = speaking(rules, path, operation)
    granted = {word for rule in speakers for word in rule.capabilities}
    if "deny" in granted:
        return False, False
    sudo = "sudo" in granted
    if operation not in granted:
        return False, sudo
    longest = min((rule.longest for rule in speakers if rule.longest), default=0)
    shortest = min((rule.shortest for rule in speakers if rule.shortest), default=0)
    if longest and not (ttl and 0 < ttl <= longest):
        return False, sudo
    if shortest and not (ttl and ttl >= shortest):
        return False, sudo
    if operation in {"list", "delete"}:
        speakers = [replace(rule, required=[]) for rule in speakers]
    return data_passes(speakers, data), sudo


SEGMENTS = st.sampled_from(["a", "b", "ab", "+", "", "é", "a+", "*b"])
PATHS = st.builds(
    lambda slash, segments: slash + "/".join(segments),
    st.sampled_from(["", "", "", "/"]),
    st.lists(SEGMENTS, min_size=1, max_size=4),
)
PATTERNS = st.builds(
    lambda path, glob: path if path.endswith("+") else path + glob,
    PATHS,
    st.sampled_from(["", "*"]),
)
NAMES = st.sampled_from(["x", "X", "y", "*"])
VALUES: st.SearchStrategy[object] = st.sampled_from(
    ["a", "ab", "b", "", None, True, 1, 0, ["a"], {"k": 1}]
)
LISTED = st.lists(VALUES | st.sampled_from(["a*", "*b", "*a*", "**", "*"]), max_size=2)
CLAUSES: st.SearchStrategy[dict[str, list[object]]] = st.dictionaries(
    st.sampled_from(["x", "Y", "*"]), LISTED, max_size=2
)
SELDOM = st.sampled_from([False, False, False, False, True])
CAPABILITIES = st.lists(st.sampled_from([*ORDER, "read", "update"]), min_size=1)


@st.composite
def stanzas(draw: st.DrawFn) -> Written:
    return Written(
        path=draw(PATTERNS),
        capabilities=["deny"] if draw(SELDOM) else draw(CAPABILITIES),
        allowed=draw(CLAUSES) if draw(SELDOM) else {},
        denied=draw(CLAUSES) if draw(SELDOM) else {},
        required=[draw(st.sampled_from(["x", "Y"]))] if draw(SELDOM) else [],
        shortest=draw(st.sampled_from([2, 5])) if draw(SELDOM) else 0,
        longest=draw(st.sampled_from([5, 9])) if draw(SELDOM) else 0,
    )


@st.composite
def requests(draw: st.DrawFn, rules: list[Written]) -> str:
    """Draw any path, or more often one that a rule may speak of."""
    if draw(SELDOM):
        return str(draw(PATHS))
    pattern = str(draw(st.sampled_from(rules)).path)
    path = "/".join(draw(SEGMENTS) if one == "+" else one for one in pattern.split("/"))
    if path.endswith("*"):
        path = path[:-1] + draw(st.sampled_from(["", "a", "b/", "a/b"]))
    return path + draw(st.sampled_from(["", "", "/"]))


def as_object(rule: Written) -> dict[str, object]:
    return {
        "capabilities": rule.capabilities,
        "allowed_parameters": rule.allowed,
        "denied_parameters": rule.denied,
        "required_parameters": rule.required,
        "min_wrapping_ttl": rule.shortest,
        "max_wrapping_ttl": f"{rule.longest}s",
    }


def as_hcl(rule: Written) -> str:
    def spell(value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f'"{key}" = {spell(one)}' for key, one in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(spell, value)) + "]"
        return json.dumps(value, ensure_ascii=False)

    clauses = "\n".join(f"  {key} = {spell(value)}" for key, value in as_object(rule).items())
    return f'path "{rule.path}" {{\n{clauses}\n}}\n'


def as_json(rules: list[Written]) -> str:
    return json.dumps({"path": [{rule.path: as_object(rule)} for rule in rules]})


def has_null(rule: Written) -> bool:
    return any(
        None in values for clause in (rule.allowed, rule.denied) for values in clause.values()
    )


def parsed(name: str, rules: list[Written]) -> Policy:
    # HCL 1 has no null.
    return parse_policy(
        name, as_json(rules) if any(map(has_null, rules)) else "".join(map(as_hcl, rules))
    )


@settings(max_examples=600)
@given(
    st.lists(st.lists(stanzas(), min_size=1, max_size=5), min_size=1, max_size=3),
    st.dictionaries(NAMES, VALUES, max_size=2),
    st.none() | st.integers(0, 10),
    st.data(),
)
def test_both_evaluators_decide_alike(
    policies: list[list[Written]], fields: dict[str, object], ttl: int | None, data: st.DataObject
) -> None:
    acl = compile_acl(
        [parsed(f"p{n}", rules) for n, rules in enumerate(policies)], TemplateContext()
    )
    rules = [rule for policy in policies for rule in policy]
    for path in data.draw(st.lists(requests(rules), min_size=1, max_size=4)):
        for operation in OPERATIONS:
            allowed, sudo = expected(rules, path, operation, fields, ttl)
            decision = acl.decide(path, operation, fields, ttl)
            event(f"allowed: {allowed}")
            assert (decision.allowed, decision.sudo) == (allowed, sudo)
            if not decision.depends_on_data:
                assert acl.decide(path, operation) == decision
        granted = {word for rule in speaking(rules, path, "list") for word in rule.capabilities}
        listed = [] if "deny" in granted else [word for word in ORDER if word in granted]
        assert acl.capabilities(path) == (listed or ["deny"])


@given(st.lists(stanzas(), max_size=6).filter(lambda rules: not any(map(has_null, rules))))
def test_hcl_and_json_of_one_policy_are_one(rules: list[Written]) -> None:
    from_hcl = parse_policy("p", "".join(map(as_hcl, rules))).rules
    from_json = parse_policy("p", as_json(rules)).rules
    assert [(r.path, r.capabilities, r.parameters) for r in from_hcl] == [
        (r.path, r.capabilities, r.parameters) for r in from_json
    ]
