"""Response wrapping: `sys/wrapping`.

Source: the Vault HTTP API, sys/wrapping. The wrapping token is in the body, or it is the token of
the request itself.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from ironkeep.core.errors import DeviceRefused, InvalidRequest, PermissionDenied
from ironkeep.core.event import HANDED_OUT, Released, Value
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response, SecretJson
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import Session


@dataclass(frozen=True)
class Token:
    """The wrapping token; None means the token of the request itself."""

    token: Secret | None = None


def _token(call: Call, given: Token) -> Secret:
    token = given.token if given.token is not None and len(given.token) else call.request.token
    if token is None:
        raise InvalidRequest("missing token in input")
    _require_device(call, token)
    return token


def _require_device(call: Call, token: Secret) -> None:
    """Raise DeviceRefused and an alert when the token needs an enrolled device and has none."""
    house = call.use(House)
    device = house.wrapping.device(call.tx, token, call.now_ns)
    if (
        not device
        or house.features.devices.device_of(call.tx, call.request.peer, call.now_ns) is not None
    ):
        return
    text = f"a client without an enrolled device tried to open an answer wrapped by device {device}"
    house.features.alerts.repeated(
        call.account,
        "bound-token",
        text,
        call.now_ns,
        subject="wrapped",
        device=device,
        path=call.request.path,
    )
    raise DeviceRefused("this answer can only be opened on an enrolled device: use its agent")


def _session(call: Call) -> Session | None:
    """Return the session of the request's own token, or None without a valid one."""
    token = call.request.token
    if token is None:
        return None
    tokens = call.use(House).tokens
    try:
        found: Session = tokens.authenticate(call.tx, token, call.now_ns, call.request.remote)
    except PermissionDenied:
        return None
    return found


def wrap(call: Call) -> Response:
    """Return the request's data; the header X-Vault-Wrap-TTL makes the pipeline wrap it."""
    if call.request.wrap_ttl_seconds is None:
        raise InvalidRequest("endpoint requires response wrapping to be used")
    # The data is stored nowhere else, so the entry names it by the id of this request.
    released = Released(call.mount.uuid, f"wrapping/{call.request_id}")
    return Response(data=call.raw, released=(released,))


def unwrap(call: Call, given: Token) -> Response:
    """Return the wrapped answer and consume the token."""
    token, remote = _token(call, given), call.request.remote
    wrapped = call.use(House).wrapping.unwrap(call.tx, token, call.now_ns, remote)
    audited: dict[str, Value] = {"creation_path": wrapped.creation_path}
    if not wrapped.body:
        return Response(audited=audited)
    if wrapped.wrapped_accessor:
        audited[HANDED_OUT] = True
    secret = bool(wrapped.released) or bool(wrapped.wrapped_accessor)
    return Response(
        body=SecretJson(wrapped.body) if secret else msgspec.Raw(wrapped.body),
        released=wrapped.released,
        issued=wrapped.wrapped_accessor,
        audited=audited,
    )


def lookup(call: Call, given: Token) -> Response:
    """Return the origin of a wrapping token without consuming it."""
    return Response(data=call.use(House).wrapping.lookup(call.tx, _token(call, given), call.now_ns))


def rewrap(call: Call, given: Token) -> Response:
    """Move a wrapped answer to a new token."""
    info = call.use(House).wrapping.rewrap(
        call.tx,
        _token(call, given),
        call.now_ns,
        call.entropy,
        _session(call),
        call.request.remote,
    )
    # The new token opens the answer, so the entry names it: it may be kept and opened later.
    return Response(wrap_info=info, issued=info["accessor"], audited={HANDED_OUT: True})


ROUTES: Final = (
    Route(Operation.UPDATE, "wrapping/wrap", wrap, help="Wrap the request's data.", flat=True),
    Route(
        Operation.UPDATE, "wrapping/unwrap", unwrap, Token, open=True, releases=True,
        help="Open a wrapped answer, once.",
    ),
    Route(
        Operation.UPDATE, "wrapping/lookup", lookup, Token, open=True,
        help="The origin of a wrapping token.",
    ),
    Route(
        Operation.READ, "wrapping/lookup", lookup, Token, open=True,
        help="The origin of a wrapping token.",
    ),
    Route(
        Operation.UPDATE, "wrapping/rewrap", rewrap, Token, open=True, releases=True,
        help="Move a wrapped answer to a new token.",
    ),
)  # fmt: skip
