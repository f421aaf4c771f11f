"""Matches a path and an operation with a route of a plugin's table.

Patterns consist of literal segments, `{name}` and a last `{name...}` (plugin/route.py). A table is
compiled once. Literal segments take precedence over `{name}`, and `{name}` over `{name...}`, in any
order of the table.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from ironkeep.core.errors import NotFound, UnsupportedOperation
from ironkeep.core.operation import Operation
from ironkeep.core.text.spelling import Form, Spelling, formed
from ironkeep.kernel.help import help_route, root_help_route
from ironkeep.plugin import fields
from ironkeep.plugin.route import CAPTURED, Route, filled


class Match(NamedTuple):
    """The matched route, with the path below the mount in canonical form and its captured names."""

    route: Route
    params: Mapping[str, str]
    path: str
    spelling: Spelling | None


class Shape(NamedTuple):
    """A path in canonical form; `name` is the part captured as `path`, or the whole path."""

    path: str
    name: str
    spelling: Spelling | None
    secret: str = ""
    """The name that rules use for it, if another path gives the same secret."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A compiled pattern; `forms` covers the captured names that have several spellings."""

    regex: re.Pattern[str]
    forms: Mapping[str, Form]
    spelling: Spelling | None

    def formed(self, path: str, found: re.Match[str]) -> str:
        """Return path with its captured names in canonical form."""
        parts, end = [], 0
        for name, form in self.forms.items():
            parts += [path[end : found.start(name)], formed(form, found[name])]
            end = found.end(name)
        return "".join([*parts, path[end:]])


class Router:
    """The compiled routes of one kind of mount."""

    def __init__(self, routes: Sequence[Route]) -> None:
        patterns: dict[str, dict[Operation, Route]] = {}
        for route in routes:
            operations = patterns.setdefault(route.pattern, {})
            if route.op in operations:
                raise ValueError(f"two routes for {route.op} {route.pattern}")
            operations[route.op] = route
        for pattern, by_op in patterns.items():
            by_op[Operation.HELP] = help_route(pattern, by_op)
        self._root: Final = root_help_route(routes)
        ordered = sorted(patterns.items(), key=lambda item: _rank(item[0]))
        forms = _forms(routes)
        self._table: Final = [(_compile(pattern, forms), by_op) for pattern, by_op in ordered]

    def match(self, op: Operation, path: str) -> Match:
        """Return the match of op on path, in the path's canonical form.

        Raise UnsupportedOperation when the path exists for other operations only, NotFound when no
        pattern covers it.
        """
        if op is Operation.HELP and not path:
            return Match(self._root, {}, path, None)
        seen: list[Route] = []
        for pattern, by_op in self._table:
            found = pattern.regex.fullmatch(path)
            if found is None:
                continue
            route = by_op.get(op)
            if op is Operation.CREATE and route is None:
                route = by_op.get(Operation.UPDATE)
            if route is not None:
                one = pattern.formed(path, found) if pattern.forms else path
                if one != path:
                    # The canonical form may belong to another route, which then applies.
                    return self.match(op, one)
                return Match(route, found.groupdict(), path, pattern.spelling)
            seen += by_op.values()
        if seen:
            error = UnsupportedOperation("unsupported operation")
            error.open = any(route.open or route.login for route in seen)
            raise error
        if op is Operation.HELP and not path.endswith("/"):
            # Callers who ask for help need not know which paths end in a slash.
            return self.match(op, path + "/")
        raise NotFound("unsupported path")

    def shape(self, path: str) -> Shape | None:
        """Return the canonical form of path for any operation; None when no pattern covers it."""
        for pattern, by_op in self._table:
            found = pattern.regex.fullmatch(path)
            if found is not None:
                one = pattern.formed(path, found)
                if one != path:
                    return self.shape(one)
                as_ = next((route.secret_as for route in by_op.values() if route.secret_as), "")
                secret = filled(as_, found.groupdict()) if as_ else ""
                name = secret or found.groupdict().get("path", path)
                return Shape(path, name, pattern.spelling, secret)
        return None


def _forms(routes: Sequence[Route]) -> dict[str, Form]:
    """Return the forms that routes declare, by the pattern's prefix up to the captured name."""
    forms: dict[str, Form] = {}
    for route in routes:
        numbers = () if route.input is None else _numbers(cast("Hashable", route.input))
        for found in CAPTURED.finditer(route.pattern):
            declared = {route.folds: Form.FOLDED, route.folder: Form.FOLDER}
            form = declared.get(found[1]) or (Form.NUMBER if found[1] in numbers else None)
            at = route.pattern[: found.end()]
            if form is not None and forms.setdefault(at, form) is not form:
                raise ValueError(f"two forms of one name: {at}")
    return forms


def _numbers(declaration: Hashable) -> frozenset[str]:
    return frozenset(item.name for item in fields.fields_of(declaration) if item.is_int)


def _compile(pattern: str, forms: Mapping[str, Form]) -> _Pattern:
    parts: list[str] = []
    end = 0
    mine: dict[str, Form] = {}
    segments: list[tuple[int, Form]] = []
    rests: list[tuple[int, Form]] = []
    for found in CAPTURED.finditer(pattern):
        parts.append(re.escape(pattern[end : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.*' if found[2] else '[^/]+'})")
        end = found.end()
        form = forms.get(pattern[:end])
        if form is not None:
            mine[found[1]] = form
            at = pattern[: found.start()].count("/")
            (rests if found[2] else segments).append((at, form))
    parts.append(re.escape(pattern[end:]))
    spelling = Spelling(tuple(segments), tuple(rests)) if mine else None
    return _Pattern(re.compile("".join(parts), re.DOTALL), mine, spelling)


def _rank(pattern: str) -> list[tuple[int, str]]:
    """Return a sort key: literal before {name} before {name...} at the first differing segment."""
    ranks = [
        (2 if "...}" in segment else 1 if "{" in segment else 0, segment)
        for segment in pattern.split("/")
    ]
    # A pattern that continues after {name...} is more specific than one that ends there.
    return [*ranks, (3, "")]
