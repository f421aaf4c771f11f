"""From a request's path to the plan that answers it, through the mount table."""

from collections.abc import Mapping
from typing import Final

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.ids import ROOT_NAMESPACE, MountAccessor, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Row
from ironkeep.kernel.barrier import Barrier
from ironkeep.kernel.mounts import TABLE, Mounts
from ironkeep.kernel.names import Place
from ironkeep.kernel.places import MOUNTS, StoreOf
from ironkeep.kernel.plans import Plan, Plans
from ironkeep.kernel.plugin import Mount, Plugin
from ironkeep.kernel.router import Router
from ironkeep.kernel.state import Tx

MAX_PATH: Final = 4_096
"""Characters in a request path; Vault's clients stay far below."""

SYS: Final = Mount("sys/", "system", MountUuid("sys"), MountAccessor("system_house"))
"""The system engine is always there, and answers a few routes while sealed."""

_PLACE: Final = Place(ROOT_NAMESPACE, MountUuid(MOUNTS))


class Routing:
    """Finds plans; remembers them while the mount table stays the same."""

    def __init__(self, plugins: Mapping[str, Plugin], mounts: Mounts, stores: StoreOf) -> None:
        self._plugins: Final = plugins
        self._mounts: Final = mounts
        self._stores: Final = stores
        self._plans: Final = Plans()
        self._routers: Final[dict[int, tuple[object, Router]]] = {}
        self._stamp = 0
        self._barrier: Barrier | None = None
        self._row: Row | None = None

    def find(
        self, tx: Tx, barrier: Barrier | None, op: Operation, path: str, namespace: str
    ) -> Plan:
        """Return what answers op on path; raise NotFound or UnsupportedOperation.

        Without a barrier only `sys/` is there, and the rest raises why.
        """
        if namespace and namespace.strip("/") not in {"", ROOT_NAMESPACE}:
            raise InvalidRequest("namespaces are not supported yet: leave X-Vault-Namespace out")
        table = self._table(tx, barrier)
        plan = self._plans.get(op, path, table)
        if plan is None:
            check_request_path(path)
            mount, relative = self._find_mount(tx, path)
            route, params = self._router(mount).match(op, relative)
            plan = Plan(table, mount, relative, route, params)
            self._plans.put(op, path, plan)
        return plan

    def _table(self, tx: Tx, barrier: Barrier | None) -> Row | None:
        """Return the mount table's row; it is looked up again when anything has changed."""
        stamp = tx.stamp()
        if stamp == 0 or stamp != self._stamp or barrier is not self._barrier:
            key = None if barrier is None else barrier.key_of(_PLACE, TABLE)
            self._row = None if key is None else tx.get(key)
            self._stamp, self._barrier = stamp, barrier
        return self._row

    def _find_mount(self, tx: Tx, path: str) -> tuple[Mount, str]:
        if f"{path}/".startswith(SYS.path):
            return SYS, path[len(SYS.path) :]
        mount = self._mounts.table(self._stores(tx, MOUNTS)).find(path)
        if mount is None:
            raise NotFound(f'no handler for route "{path}". route entry not found.')
        return mount, path[len(mount.path) :]

    def _router(self, mount: Mount) -> Router:
        plugin = self._plugins.get(mount.type)
        if plugin is None:
            raise NotFound(f'no handler for route "{mount.path}". route entry not found.')
        routes = plugin.routes(mount)
        known = self._routers.get(id(routes))
        if known is None or known[0] is not routes:
            known = (routes, Router(routes))
            self._routers[id(routes)] = known
        return known[1]


def check_request_path(path: str) -> None:
    """Raise InvalidRequest for a path that nothing here may see."""
    if len(path) > MAX_PATH or not path.isprintable():
        raise InvalidRequest("path contains unprintable characters or is too long")
    if any(part in {".", ".."} for part in path.split("/")):
        raise InvalidRequest("path contains a '.' or '..' segment")
