"""Information for user interfaces and clients: visible mounts, version history.

Source: the Vault HTTP API, sys/internal/ui/*, sys/version-history. `internal/ui/mounts/<path>` is
how clients learn the version of a KV mount. A mount that the caller may not see is answered like
one that does not exist.
"""

from typing import Any, Final

from ironkeep.access.classes.routes import find_secret
from ironkeep.core.errors import PermissionDenied
from ironkeep.core.ids import MountUuid
from ironkeep.core.operation import Operation
from ironkeep.engines.system.mounts import AUTH, shape
from ironkeep.engines.system.sealing import BUILD_DATE, WIRE_VERSION
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.mounts import Table
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import Session
from ironkeep.store.reserved import MOUNTS


def _table(call: Call) -> Table:
    house = call.use(House)
    return house.mounts.table(house.store(call.tx, MOUNTS))


def _caller(call: Call) -> Session | None:
    """Return the caller's session on a route that needs no token; None without a valid one."""
    if call.request.token is None:
        return None
    tokens = call.use(House).tokens
    try:
        session: Session = tokens.authenticate(
            call.account, call.request.token, call.now_ns, call.request.remote
        )
        if session.record.num_uses:
            tokens.use(call.account, session, call.now_ns)
    except PermissionDenied:
        return None
    return session


def ui_mounts(call: Call) -> Response:
    """Return the mounts that the caller can reach; without a token, only the public ones."""
    session = _caller(call)
    secret: dict[str, Any] = {}
    auth: dict[str, Any] = {}
    for path, mount in _table(call).by_path.items():
        public = mount.config.get("listing_visibility") == "unauth"
        if not public and (session is None or not session.acl.reaches(path)):
            continue
        shown = shape(mount) if session is not None else _public(shape(mount))
        (auth if path.startswith(AUTH) else secret)[path.removeprefix(AUTH)] = shown
    return Response(data={"secret": secret, "auth": auth})


def _public(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in ("type", "description", "options")}


def ui_mount(call: Call) -> Response:
    """Return the mount that serves a path, if the caller can reach any path in it."""
    path = call.params["path"]
    mount = _table(call).find(path) or _table(call).find(path + "/")
    if mount is None or not call.actor().acl.reaches(mount.path):
        raise PermissionDenied(
            "preflight capability check returned 403, please ensure client's policies grant "
            f'access to path "{path.rstrip("/")}/"'
        )
    # Vault's clients ignore unknown fields such as `secret_class`.
    secret_class = call.use(House).features.classes.of(call.tx, *_secret_at(call, path)).text
    return Response(data={**shape(mount), "path": mount.path, "secret_class": secret_class})


def _secret_at(call: Call, path: str) -> tuple[MountUuid, str]:
    mount, relative = find_secret(call, path)
    return mount.uuid, relative


def version_history(call: Call) -> Response:
    """Return the running version."""
    installed = {"previous_version": None, "build_date": BUILD_DATE}
    return Response(
        data={
            "keys": [WIRE_VERSION],
            "key_info": {WIRE_VERSION: {**installed, "timestamp_installed": _started(call)}},
        }
    )


def _started(call: Call) -> str:
    from_house: str = call.use(House).started
    return from_house


ROUTES: Final = (
    Route(
        Operation.READ, "internal/ui/mounts", ui_mounts, open=True,
        help="The mounts that you can see.",
    ),
    Route(
        Operation.READ, "internal/ui/mounts/{path...}", ui_mount, any_token=True,
        help="The mount that serves a path.",
    ),
    Route(Operation.LIST, "version-history/", version_history, help="The running version."),
)  # fmt: skip
