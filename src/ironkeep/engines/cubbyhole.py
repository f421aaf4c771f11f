"""Cubbyhole: a private key/value space for each service token, removed with the token.

Source: the Vault HTTP API, secret/cubbyhole. The records of a token are in a folder named by the
token's hash, which the kernel removes when the token ends. A path is always relative to the
caller's folder, so no token can address another token's records.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.event import Released
from ironkeep.core.operation import Operation
from ironkeep.core.text.number_hook import encoded
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.listings import list_folder
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response, SecretJson
from ironkeep.plugin.route import Route
from ironkeep.store.reserved import CUBBYHOLE

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=encoded)


def _place(call: Call) -> str:
    session = call.actor()
    if session.record.type == "batch":
        raise InvalidRequest("cubbyhole operations are only supported by service tokens")
    return f"{session.hash}/{call.path}"


def read(call: Call) -> Response:
    """Return the object at the path."""
    stored = call.services.store(call.tx, CUBBYHOLE).get(_place(call))
    if stored is None:
        raise NotFound("")
    released = Released(call.mount.uuid, call.path)
    return Response(data=SecretJson(stored), released=(released,))


def write(call: Call) -> Response:
    """Store the request's fields at the path."""
    if not call.raw:
        raise InvalidRequest("missing data fields")
    call.services.store(call.tx, CUBBYHOLE).put(_place(call), _ENCODER.encode(call.raw))
    return Response()


def delete(call: Call) -> Response:
    """Remove the object; succeed if there is none."""
    call.services.store(call.tx, CUBBYHOLE).delete(_place(call))
    return Response()


def list_keys(call: Call) -> Response | Suspend:
    """Return the names directly below the path."""
    return list_folder(call, call.services.store(call.tx, CUBBYHOLE), _place(call))


class Cubbyhole:
    """The cubbyhole engine; it has no settings."""

    type: Final = "cubbyhole"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the four routes."""
        return ROUTES


ROUTES: Final = (
    Route(
        Operation.READ,
        "{path...}",
        read,
        releases=True,
        secret=True,
        help="Read this token's object.",
    ),
    Route(Operation.UPDATE, "{path...}", write, makes=True, help="Store this token's object."),
    Route(Operation.DELETE, "{path...}", delete, help="Remove this token's object."),
    Route(Operation.LIST, "{path...}", list_keys, help="List this token's names."),
)
