"""KV version 1: one JSON object per path; the last write wins.

Source: the Vault HTTP API, secret/kv/kv-v1. A read reports the object's `ttl` or `lease` field as
its lease duration, a hint to clients; nothing expires.
"""

from typing import Final

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.event import WROTE, Released
from ironkeep.core.operation import Operation
from ironkeep.core.text.numbers import loads
from ironkeep.credentials.gone.removed import Removed
from ironkeep.credentials.listing import gone_of
from ironkeep.engines.kv import document
from ironkeep.engines.kv.kept import first_at
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.listings import list_folder
from ironkeep.plugin.fields import duration
from ironkeep.plugin.response import LeaseInfo, Response, SecretJson
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import DEFAULT_TTL_SECONDS


def read(call: Call) -> Response:
    """Return the object at the path."""
    record = call.store.get(call.path)
    if record is None:
        raise NotFound("")
    names, secret = document.split(record)
    return Response(
        data=secret,
        lease=LeaseInfo(duration_seconds=_hint(names, secret)),
        released=(Released(call.mount.uuid, call.path, 0, names),),
    )


def _hint(names: tuple[str, ...], secret: SecretJson) -> int:
    if "ttl" not in names and "lease" not in names:
        return DEFAULT_TTL_SECONDS
    stored = loads(secret.reveal())
    try:
        return duration(stored.get("ttl", stored.get("lease"))) or DEFAULT_TTL_SECONDS
    except InvalidRequest:
        return DEFAULT_TTL_SECONDS


def write(call: Call) -> Response:
    """Store the whole request body at the path."""
    if not call.raw:
        raise InvalidRequest("missing data fields")
    call.store.put(call.path, document.encode(call.raw))
    return Response(audited={WROTE: f"{call.path}@0"})


def delete(call: Call) -> Response:
    """Remove the object, and record that it could be read; succeed if there is none."""
    kept = first_at(call.store, call.path)
    if kept is not None:
        gone = [gone_of(kept, call.now_ns)]
        call.use(Removed).add(call.tx, call.mount.uuid, gone, call.now_ns)
        call.store.delete(call.path)
    return Response()


def list_keys(call: Call) -> Response | Suspend:
    """Return the names directly below the path."""
    return list_folder(call, call.store, call.path)


ROUTES: Final = (
    Route(
        Operation.READ,
        "{path...}",
        read,
        releases=True,
        secret=True,
        help="Read the object at the path.",
    ),
    Route(
        Operation.UPDATE,
        "{path...}",
        write,
        makes=True,
        help="Store the request's fields at the path.",
    ),
    Route(Operation.DELETE, "{path...}", delete, help="Remove the object at the path."),
    Route(Operation.LIST, "{path...}", list_keys, help="List the names below the path."),
)
