"""Finds the plan for a request's operation and path, through the mount table."""

from collections.abc import Mapping
from typing import Final

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.ids import ROOT_NAMESPACE, MountAccessor, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.core.policy.acl import Acl
from ironkeep.core.ports import Row
from ironkeep.core.text.spelling import tidied
from ironkeep.kernel.router import Router
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import TABLE, Mounts
from ironkeep.plugin.plans import Plan, Plans
from ironkeep.plugin.request import MAX_PATH
from ironkeep.plugin.route import Plugin
from ironkeep.plugin.token import Session
from ironkeep.store.barrier import Barrier
from ironkeep.store.names import Place
from ironkeep.store.reserved import MOUNTS, StoreOf
from ironkeep.store.state import Tx

SYS: Final = Mount("sys/", "system", MountUuid("sys"), MountAccessor("system_house"))
"""The system engine is always mounted, and serves a few routes while sealed."""

_PLACE: Final = Place(ROOT_NAMESPACE, MountUuid(MOUNTS))


class Routing:
    """Finds plans, and caches them while the mount table stays the same."""

    def __init__(self, plugins: Mapping[str, Plugin], mounts: Mounts, stores: StoreOf) -> None:
        self._plugins: Final = plugins
        self._mounts: Final = mounts
        self._stores: Final = stores
        self._plans: Final = Plans()
        self._routers: Final[dict[int, tuple[object, Router]]] = {}
        self._edition = 0
        self._barrier: Barrier | None = None
        self._row: Row | None = None
        self._number = 0

    def find(
        self, tx: Tx, barrier: Barrier | None, op: Operation, path: str, namespace: str
    ) -> Plan:
        """Return the plan for op on path; raise NotFound or UnsupportedOperation.

        Without a barrier only `sys/` is served; other paths raise Sealed or Uninitialised.
        """
        if namespace and namespace.strip("/") not in {"", ROOT_NAMESPACE}:
            raise InvalidRequest("namespaces are not supported yet: leave X-Vault-Namespace out")
        table = self._table(tx, barrier)
        plan = self._plans.get(op, path, table)
        if plan is None:
            check_request_path(path)
            mount, relative = self._find_mount(tx, path)
            found = self._router(mount).match(op, relative)
            one = path if found.path == relative else mount.path + found.path
            # Other spellings share the plan of the canonical form, and its cached decisions.
            plan = self._plans.get(op, one, table) or Plan(
                table, mount, one, found.path, found.route, found.params, found.spelling
            )
            for each in {one, path}:
                self._plans.put(op, each, plan)
        return plan

    def secret_at(self, tx: Tx, path: str) -> tuple[Mount, str]:
        """Return the mount that serves an API path, and the name that rules use for its secrets.

        A rule may be written with any path that reaches the same secret: for KV version 2 its data,
        metadata or versions path, or the bare one. Raise NotFound when no mount serves it.
        """
        plain = tidied(path)
        mount = self._mounts.table(self._stores(tx, MOUNTS)).find(plain + "/")
        if mount is None:
            raise NotFound(f"no mount serves {path}")
        router, relative = self._router(mount), f"{plain}/"[len(mount.path) :]
        shape = router.shape(relative) or router.shape(relative.removesuffix("/"))
        return mount, tidied(relative if shape is None else shape.name)

    def one_form(self, tx: Tx, mount: MountUuid, path: str) -> str:
        """Return the canonical form of a path below the mount with that uuid."""
        mounts = self._mounts.table(self._stores(tx, MOUNTS)).by_path.values()
        served = next((each for each in mounts if each.uuid == mount), None)
        if served is None or served.type not in self._plugins:
            return path
        router = self._router(served)
        shape = router.shape(path + "/") or router.shape(path)
        if shape is None or shape.spelling is None:
            return path
        return tidied(shape.secret or shape.path)

    def acl_at(self, tx: Tx, session: Session, path: str) -> tuple[Acl, str]:
        """Return a session's ACL for an API path, and the path's canonical form."""
        try:
            mount, relative = self._find_mount(tx, path)
            shape = self._router(mount).shape(relative)
        except NotFound:
            return session.acl, path
        if shape is None or shape.spelling is None:
            return session.acl, path
        acl = session.acl.spelled(shape.spelling.below(mount.path))
        return acl, mount.path + shape.path

    def _table(self, tx: Tx, barrier: Barrier | None) -> int:
        """Return the mount table's number; look it up again when a watched row has changed."""
        edition = tx.edition()
        if edition == 0 or edition != self._edition or barrier is not self._barrier:
            key = None if barrier is None else barrier.key_of(_PLACE, TABLE)
            row = None if key is None else tx.get(key)
            if row is not self._row:
                self._row, self._number = row, self._number + 1
            if key is not None:
                tx.watch((key,))
            self._edition, self._barrier = tx.edition(), barrier
        return self._number

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
    """Raise InvalidRequest for a path that is too long, unprintable or has '.' or '..' segments."""
    if len(path) > MAX_PATH or not path.isprintable():
        raise InvalidRequest("path contains unprintable characters or is too long")
    if any(part in {".", ".."} for part in path.split("/")):
        raise InvalidRequest("path contains a '.' or '..' segment")
