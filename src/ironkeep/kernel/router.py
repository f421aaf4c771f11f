"""From a path and an operation to the route that answers it.

Patterns are literal segments, `{name}` and a last `{name...}`; see plugin.Route. A plugin's table
is compiled once. Literal segments win over `{name}`, and `{name}` over `{name...}`, whatever the
order of the table.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from ironkeep.core.errors import NotFound, UnsupportedOperation
from ironkeep.core.operation import Operation
from ironkeep.kernel.helping import help_route, root_help_route
from ironkeep.kernel.plugin import Route

_PARAMETER: Final = re.compile(r"\{(\w+)(\.\.\.)?\}")

Match = tuple[Route, Mapping[str, str]]


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
        self._table: Final = [(_compile(pattern), by_op) for pattern, by_op in ordered]

    def match(self, op: Operation, path: str) -> Match:
        """Return the route for op on path and what its pattern captured.

        Raise UnsupportedOperation when the path exists for other operations only, NotFound when no
        pattern covers it.
        """
        if op is Operation.HELP and not path:
            return self._root, {}
        seen = False
        for pattern, by_op in self._table:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            route = by_op.get(op)
            if op is Operation.CREATE and route is None:
                route = by_op.get(Operation.UPDATE)
            if route is not None:
                return route, found.groupdict()
            seen = True
        if seen:
            raise UnsupportedOperation("unsupported operation")
        if op is Operation.HELP and not path.endswith("/"):
            # Who asks for help does not know which paths are listed with a slash.
            return self.match(op, path + "/")
        raise NotFound("unsupported path")


def _compile(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    for found in _PARAMETER.finditer(pattern):
        parts.append(re.escape(pattern[end : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.*' if found[2] else '[^/]+'})")
        end = found.end()
    parts.append(re.escape(pattern[end:]))
    return re.compile("".join(parts), re.DOTALL)


def _rank(pattern: str) -> list[tuple[int, str]]:
    """Order patterns: literal before {name} before {name...} at the first segment that differs."""
    ranks = [
        (2 if "...}" in segment else 1 if "{" in segment else 0, segment)
        for segment in pattern.split("/")
    ]
    # What goes on after {name...} is more specific than what ends there.
    return [*ranks, (3, "")]
