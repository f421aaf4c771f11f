"""The capabilities of a token on paths: `sys/capabilities`, `-self`, `-accessor`.

Source: the Vault HTTP API, sys/capabilities*.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.event import PRESENTED
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import Session

MAX_PATHS: Final = 1_024


@dataclass(frozen=True)
class Paths:
    """The paths in question; `path` is the old name of the field."""

    paths: CommaList = field(default=(), metadata={"alias": ("path",)})


@dataclass(frozen=True)
class OfToken(Paths):
    """The paths and the token."""

    token: Secret = Secret(b"")


@dataclass(frozen=True)
class OfAccessor(Paths):
    """The paths and the accessor of the token."""

    accessor: str = ""


def _answer(call: Call, session: Session, paths: tuple[str, ...]) -> Response:
    if not paths:
        raise InvalidRequest("paths must be supplied")
    if len(paths) > MAX_PATHS:
        raise InvalidRequest(f"at most {MAX_PATHS} paths in one call")
    data: dict[str, Any] = {path: _capabilities(call, session, path) for path in paths}
    if len(paths) == 1:
        data["capabilities"] = data[paths[0]]
    return Response(data=data)


def _capabilities(call: Call, session: Session, path: str) -> list[str]:
    house = call.use(House)
    acl, one = house.routing.acl_at(call.tx, session, path.lstrip("/"))
    return sorted(acl.capabilities(one))


def of_self(call: Call, given: Paths) -> Response:
    """Return the capabilities of the calling token."""
    return _answer(call, call.actor(), given.paths)


def of_token(call: Call, given: OfToken) -> Response:
    """Return the capabilities of a token in the body."""
    if not given.token.reveal():
        raise InvalidRequest("token must be supplied")
    tokens = call.use(House).tokens
    try:
        name, record = tokens.find(call.tx, given.token, call.now_ns)
    except PermissionDenied:
        raise InvalidRequest("invalid token") from None
    answer = _answer(call, tokens.session(call.tx, name, record, call.now_ns), given.paths)
    answer.audited |= {PRESENTED: record.accessor} if record.accessor else {}
    return answer


def of_accessor(call: Call, given: OfAccessor) -> Response:
    """Return the capabilities of the token with an accessor."""
    tokens = call.use(House).tokens
    found = tokens.find_accessor(call.tx, given.accessor, call.now_ns)
    if found is None:
        raise InvalidRequest("invalid accessor")
    return _answer(call, tokens.session(call.tx, *found, call.now_ns), given.paths)


ROUTES: Final = (
    Route(
        Operation.UPDATE, "capabilities-self", of_self, Paths, flat=True,
        help="The capabilities of this token on paths.",
    ),
    Route(
        Operation.UPDATE, "capabilities", of_token, OfToken, flat=True,
        help="The capabilities of a token on paths.",
    ),
    Route(
        Operation.UPDATE, "capabilities-accessor", of_accessor, OfAccessor, flat=True,
        audited=("accessor",), help="The capabilities of the token with an accessor.",
    ),
)  # fmt: skip
