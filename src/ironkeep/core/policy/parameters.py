"""The parameter clauses of a rule: allowed, denied and required fields of a request.

Spec: Vault, "Policies: fine-grained control"; OpenBao internal/vault/policy/acl.go. Only fields
that the client sent are checked: defaults are not known here, nor are fields nested inside a value
(as in KV version 2).

A rule is applied to values as the handler will read them, which Vault does not do. A field that the
route declares has a `Reader`: its older names count as the same name, null counts as absent, a list
in any notation is compared part by part, and numbers, durations and case-insensitive names are
compared by meaning. A denied value refuses the request if all its parts are among the given ones.
A given value is allowed if each of its parts belongs to an allowed value that was given in full.
Undeclared fields are compared as sent and by type, as in Vault: `true` is not `"true"`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

from ironkeep.core.errors import InvalidRequest

ANY: Final = "*"
"""The name that stands for every parameter."""

Values: TypeAlias = tuple[object, ...]
"""JSON-like values; an empty tuple stands for any value."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The way in which a declared field reads a value: its canonical name, and a value's parts.

    `parts` raises InvalidRequest for an invalid value of the field.
    """

    name: str
    parts: Callable[[object], Values]


Readers: TypeAlias = Mapping[str, Reader]
"""The readers of a route's fields, by every name of each."""

NO_READERS: Final[Readers] = {}


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

        Clauses add up, so `allowed` in one rule also restricts the operations that only the other
        rule grants.
        """
        return ParameterRules(
            _union(self.allowed, other.allowed),
            _union(self.denied, other.denied),
            self.required | other.required,
        )

    def refusal(
        self,
        data: Mapping[str, object],
        readers: Readers = NO_READERS,
        *,
        nulls: bool = False,
        requires: bool = True,
    ) -> str | None:
        """Return the reason why data is refused, in the policy's words only, or None.

        `nulls` means that a null changes a field, as in a merge patch; `requires` means that
        missing required fields are refused.
        """
        given = [
            (_name(name, readers), value, readers.get(name))
            for name, value in data.items()
            if value is not None or nulls or name not in readers
        ]
        if requires and self.required:
            there = {
                readers[name].name if name in readers else name
                for name, value in data.items()
                if value is not None
            }
            for name in sorted(self.required):
                if _name(name, readers) not in there:
                    return f"the parameter {name} is required"
        if not given:
            return None
        return self._denied_one(given, readers) or self._not_allowed_one(given, readers)

    def _denied_one(self, given: "list[_Given]", readers: Readers) -> str | None:
        if not self.denied:
            return None
        if ANY in self.denied:
            return "every parameter is denied"
        denied = _renamed(self.denied, readers)
        for name, value, reader in given:
            values = denied.get(name)
            if values is not None and (not values or _is_denied(value, values, reader)):
                return f"the parameter {name} or its value is denied"
        return None

    def _not_allowed_one(self, given: "list[_Given]", readers: Readers) -> str | None:
        if not self.allowed or self.allowed.keys() == {ANY}:
            return None
        allowed = _renamed(self.allowed, readers)
        for name, value, reader in given:
            values = allowed.get(name)
            # `*` allows names that are not listed; it does not change the values of listed ones.
            if values is None and ANY not in allowed:
                return "a parameter is not among the allowed ones"
            if values and not _is_allowed(value, values, reader):
                return f"the value of the parameter {name} is not allowed"
        return None


_Given: TypeAlias = tuple[str, object, Reader | None]


def _name(name: str, readers: Readers) -> str:
    reader = readers.get(name)
    return name.lower() if reader is None else reader.name


def _renamed(rules: Mapping[str, Values], readers: Readers) -> Mapping[str, Values]:
    """Return rules under the canonical name of each field, those of older names merged."""
    if not readers or not any(_name(name, readers) != name for name in rules):
        return rules
    renamed: dict[str, Values] = {}
    for name, values in rules.items():
        renamed = {**_union(renamed, {_name(name, readers): values})}
    return renamed


def _is_denied(value: object, values: Values, reader: Reader | None) -> bool:
    if any(_matches(listed, value) for listed in values):
        return True
    if reader is None:
        return False
    parts = _parts(value, reader)
    return any(_covered(_parts(listed, reader), parts) is not None for listed in values)


def _is_allowed(value: object, values: Values, reader: Reader | None) -> bool:
    if reader is None:
        return any(_matches(listed, value) for listed in values)
    parts = _parts(value, reader)
    covers = [_covered(_parts(listed, reader), parts) for listed in values]
    covered = [cover for cover in covers if cover is not None]
    return bool(covered) and set().union(*covered) >= set(range(len(parts)))


def _parts(value: object, reader: Reader) -> Values:
    try:
        return reader.parts(value)
    except InvalidRequest:
        return (value,)


def _covered(wanted: Values, parts: Values) -> set[int] | None:
    """Return the indexes of parts that wanted matches; None unless each of wanted matches one."""
    if not wanted:
        return None if parts else set()
    covered: set[int] = set()
    for each in wanted:
        found = {at for at, part in enumerate(parts) if _matches(each, part) or _shown(each, part)}
        if not found:
            return None
        covered |= found
    return covered


def _shown(listed: object, part: object) -> bool:
    """Return whether a pattern matches a number in decimal."""
    is_number = isinstance(part, int) and not isinstance(part, bool)
    return isinstance(listed, str) and is_number and _globbed(listed, str(part))


def _union(mine: Mapping[str, Values], theirs: Mapping[str, Values]) -> Mapping[str, Values]:
    merged = dict(mine)
    for name, values in theirs.items():
        known = merged.get(name)
        # "Any value" in one rule stays "any value" in the union.
        merged[name] = values if known is None else known + values if known and values else ()
    return merged


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
    """Compare JSON values; Python's == treats True as 1. The policy's depth bounds recursion."""
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
    if isinstance(mine, float) and isinstance(theirs, Decimal):
        mine = Decimal(str(mine))
    return isinstance(mine, bool) == isinstance(theirs, bool) and mine == theirs
