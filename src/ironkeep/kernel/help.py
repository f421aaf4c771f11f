"""The response to `?help=1`: the routes of a path, generated from the route table.

Source: the Vault HTTP API, "help". In Vault any valid token may ask for help on any path. Here its
policies must reach something in the path's mount, because help would reveal which mounts exist. As
in Vault, an OpenAPI document beside the text describes the operations and their fields.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, cast

from ironkeep.core.operation import Operation
from ironkeep.plugin import fields
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

_METHODS: Final[Mapping[Operation, str]] = {
    Operation.READ: "get",
    Operation.LIST: "get",
    Operation.UPDATE: "post",
    Operation.PATCH: "patch",
    Operation.DELETE: "delete",
}


def help_route(pattern: str, routes: Mapping[Operation, Route]) -> Route:
    """Return the help route for the routes of one pattern; it is open if one of them is."""
    is_open = any(route.open or route.login for route in routes.values())
    return Route(
        Operation.HELP,
        pattern,
        _explain(pattern, tuple(routes.values())),
        any_token=True,
        open=is_open,
        sealed_ok=any(route.sealed_ok for route in routes.values()),
        help="Explain this path.",
    )


def _explain(pattern: str, routes: tuple[Route, ...]) -> Callable[[Call], Response]:
    def explain(call: Call) -> Response:
        path = f"{call.mount.path}{pattern}"
        paths = {f"/{path}": {_METHODS[each.op]: _operation(each) for each in routes}}
        body = {
            "help": "\n\n".join([f"Request: {path}", *map(_paragraph, routes)]),
            "see_also": [],
            "openapi": {"openapi": "3.0.2", "paths": paths},
        }
        return Response(body=body)

    return explain


def root_help_route(routes: Sequence[Route]) -> Route:
    """Return the help route of a whole mount, which lists the paths below its root."""

    def explain(call: Call) -> Response:
        paths: dict[str, dict[str, Any]] = {}
        lines: dict[str, str] = {}
        for each in routes:
            path = f"{call.mount.path}{each.pattern}"
            paths.setdefault(f"/{path}", {})[_METHODS[each.op]] = _operation(each)
            lines.setdefault(path, each.help)
        listing = [f"    {path}\n        {text}" for path, text in lines.items()]
        body = {
            "help": "\n\n".join([f"## {call.mount.type} at {call.mount.path}", *listing]),
            "see_also": [],
            "openapi": {"openapi": "3.0.2", "paths": paths},
        }
        return Response(body=body)

    return Route(Operation.HELP, "", explain, any_token=True, help="Explain this mount.")


def _paragraph(route: Route) -> str:
    lines = [f"## {str(route.op).upper()}", route.help]
    lines += [f"    {item.name}  {item.help}".rstrip() for item in _fields(route)]
    return "\n".join(lines)


def _fields(route: Route) -> tuple[fields.Field, ...]:
    return () if route.input is None else fields.fields_of(cast(Hashable, route.input))


def _operation(route: Route) -> dict[str, Any]:
    named = {item.name: {"description": item.help} for item in _fields(route)}
    required = [item.name for item in _fields(route) if item.required]
    return {
        "summary": route.help,
        "x-vault-sudo": route.sudo,
        "x-vault-unauthenticated": route.open or route.login,
        "properties": named,
        "required": required,
    }
