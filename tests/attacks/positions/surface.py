"""Every route that is declared: the source code is public."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ironkeep.app import PLUGINS
from ironkeep.core.ids import MountAccessor, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route

METHODS: Final = {
    Operation.READ: "GET", Operation.LIST: "LIST", Operation.UPDATE: "POST",
    Operation.PATCH: "PATCH", Operation.DELETE: "DELETE",
}  # fmt: skip


def routes(
    target: Mapping[str, Any], *, tokens_only: bool = False, strangers_only: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield method and path of every declared route of every mount."""
    for path, route in declared(target):
        stranger = route.open or route.login
        if not (tokens_only and stranger) and not (strangers_only and not stranger):
            yield METHODS[route.op], path


def declared(target: Mapping[str, Any]) -> Iterator[tuple[str, Route]]:
    """Yield path and declaration of every route of every mount."""
    for at, kind, options in target["mounts"]:
        mount = Mount("", kind, MountUuid(""), MountAccessor(""), options=options or {})
        for route in PLUGINS[kind].routes(mount):
            yield at + re.sub(r"\{\w+(\.\.\.)?\}", target["name"], route.pattern), route
