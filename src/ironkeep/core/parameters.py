"""What a rule demands of the fields of a request: allowed, denied and required parameters.

Spec: Vault, "Policies: fine-grained control"; OpenBao internal/vault/policy/acl.go. Only fields
that the client sent are judged: defaults are not known here, and neither are fields nested inside a
value (as in KV version 2). Values are compared by type, as in Vault: `true` is not `"true"` and `1`
is not `"1"`, so a list of denied values should spell every form that the engine understands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

ANY: Final = "*"
"""As a name it stands for every parameter."""

Values: TypeAlias = tuple[object, ...]
"""JSON-like values; none at all stands for any value."""


@dataclass(frozen=True, slots=True)
class ParameterRules:
    """The parameter clauses of one rule; names are in lower case."""

    allowed: Mapping[str, Values] = field(default_factory=dict)
    denied: Mapping[str, Values] = field(default_factory=dict)
    required: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.allowed or self.denied or self.required)

    def merge(self, other: "ParameterRules") -> "ParameterRules":
        """Return the clauses of both, for two rules on one pattern.

        Clauses add up, so an `allowed` of one rule also restricts what only the other grants.
        """
        return ParameterRules(
            _union(self.allowed, other.allowed),
            _union(self.denied, other.denied),
            self.required | other.required,
        )

    def refusal(self, data: Mapping[str, object]) -> str | None:
        """Return why data is refused, in the policy's own words only, or None when it passes."""
        for name in sorted(self.required):
            if name not in data:
                return f"the parameter {name} is required"
        if not data:
            return None
        return self._denied_one(data) or self._not_allowed_one(data)

    def _denied_one(self, data: Mapping[str, object]) -> str | None:
        if not self.denied:
            return None
        if ANY in self.denied:
            return "every parameter is denied"
        for name, value in data.items():
            values = self.denied.get(name.lower())
            if values is not None and _listed(value, values):
                return f"the parameter {name.lower()} or its value is denied"
        return None

    def _not_allowed_one(self, data: Mapping[str, object]) -> str | None:
        if not self.allowed or self.allowed.keys() == {ANY}:
            return None
        for name, value in data.items():
            values = self.allowed.get(name.lower())
            # `*` lifts the ban on names that are not listed and says nothing of listed ones.
            if values is None and ANY not in self.allowed:
                return "a parameter is not among the allowed ones"
            if values is not None and not _listed(value, values):
                return f"the value of the parameter {name.lower()} is not allowed"
        return None


def _union(mine: Mapping[str, Values], theirs: Mapping[str, Values]) -> Mapping[str, Values]:
    merged = dict(mine)
    for name, values in theirs.items():
        known = merged.get(name)
        # "Any value" on either side stays any value.
        merged[name] = values if known is None else known + values if known and values else ()
    return merged


def _listed(value: object, values: Values) -> bool:
    return not values or any(_matches(listed, value) for listed in values)


def _matches(listed: object, value: object) -> bool:
    if isinstance(listed, str) and isinstance(value, str):
        return _globbed(listed, value)
    return _equal(listed, value)


def _globbed(glob: str, text: str) -> bool:
    if len(glob) > 1:
        starts, ends = glob.startswith("*"), glob.endswith("*")
        if starts and ends:
            return glob[1:-1] in text
        if starts:
            return text.endswith(glob[1:])
        if ends:
            return text.startswith(glob[:-1])
    return glob == text


def _equal(mine: object, theirs: object) -> bool:
    """Compare JSON values; Python's own == would take true for 1. Depth is that of the policy."""
    if isinstance(mine, dict):
        return (
            isinstance(theirs, Mapping)
            and mine.keys() == theirs.keys()
            and all(_equal(value, theirs[key]) for key, value in mine.items())
        )
    if isinstance(mine, list):
        return (
            isinstance(theirs, list) and len(mine) == len(theirs) and all(map(_equal, mine, theirs))
        )
    return isinstance(mine, bool) == isinstance(theirs, bool) and mine == theirs
