"""Reading and removing authenticators: the caller's own and, for administrators, other people's."""

from typing import Any

from ironkeep.access.second_person import require_another_than_root, waits
from ironkeep.access.step_up.authenticators import NEEDED, Authenticator, Authenticators
from ironkeep.access.step_up.fresh_touch import take_fresh_touch
from ironkeep.auth.passkey.people import User, by_entity, counted, found
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.event import FACTOR_OF
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.webauthn import webauthn
from ironkeep.core.webauthn.step_up import KEY, key_id
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response


def list_own(call: Call) -> Response:
    """List the caller's authenticators that may be used."""
    return _listing(call.use(Authenticators).of(call.tx, _caller(call)))


def read_own(call: Call) -> Response:
    """Return one of the caller's authenticators; it may be a removed one."""
    return Response(data=_view(_find(call, _caller(call))))


def remove_own(call: Call) -> Response:
    """Remove one of the caller's authenticators, confirmed by a touch of another.

    Refuse the removal when too few authenticators that count would be left.
    """
    entity = _caller(call)
    gone = call.use(Authenticators).owned(call.tx, entity, _id(call))
    user = by_entity(call, entity)
    if user is None:
        raise NotFound("you have no passkeys at this mount")
    left = [each for each in counted(call, user) if each.id != gone.id]
    if len(left) < (NEEDED if user.privileged else 1):
        raise InvalidRequest("register another authenticator first: this would lock you out")
    touched = take_fresh_touch(call, Operation.DELETE, call.request.path, "removing this")
    if touched.get(KEY, "") in {"", key_id(gone.key)}:
        # Otherwise the thief of one authenticator and a token could lock the owner out.
        raise PermissionDenied("touch another authenticator than the one you are removing")
    response = _remove(call, user, gone, "removed by its person")
    response.audited |= touched
    return response


def list_of(call: Call) -> Response:
    """List all authenticators of a person, removed ones included."""
    return _listing(call.use(Authenticators).ever(call.tx, found(call).entity))


def read_of(call: Call) -> Response:
    """Return one of a person's authenticators; it may be a removed one."""
    return Response(data=_view(_find(call, found(call).entity)))


def remove_of(call: Call) -> Response:
    """Remove an authenticator that a person lost; another administrator must approve this."""
    user = found(call)
    gone = call.use(Authenticators).owned(call.tx, user.entity, _id(call))
    waiting = require_another_than_root(call)
    if waits(waiting):
        return waiting
    return _remove(call, user, gone, "removed by an administrator")


def _remove(call: Call, user: User, gone: Authenticator, why: str) -> Response:
    call.use(Authenticators).remove(call.tx, gone, why, call.now_ns)
    credential = webauthn.encode(gone.id)
    return Response(
        audited={"username": user.name, "credential": credential, FACTOR_OF: user.entity}
    )


def _caller(call: Call) -> EntityId:
    entity = call.actor().record.entity
    if not entity:
        raise PermissionDenied("this needs the token of a person")
    return entity


def _id(call: Call) -> bytes:
    return webauthn.decode(call.params["id"], webauthn.MAX_CREDENTIAL_ID)


def _find(call: Call, entity: EntityId) -> Authenticator:
    known: Authenticator | None = call.use(Authenticators).find(call.tx, _id(call))
    if known is None or known.entity != entity:
        raise NotFound("there is no such authenticator")
    return known


def _listing(known: list[Authenticator]) -> Response:
    if not known:
        raise NotFound("")
    views = {webauthn.encode(each.id): _view(each) for each in known}
    return Response(data={"keys": list(views), "key_info": views})


def _view(each: Authenticator) -> dict[str, Any]:
    return {
        "id": webauthn.encode(each.id),
        "label": each.label,
        "model": each.aaguid,
        "state": each.state,
        "bound_by": each.bound_by,
        "created": rfc3339(each.created_ns),
        "last_used": rfc3339(each.used_ns) if each.used_ns else "",
        "removed": rfc3339(each.removed_ns) if each.removed_ns else "",
        "why_removed": each.why,
        "can_be_copied": each.eligible,
        "backed_up": each.backed_up,
        "public_key": webauthn.encode(each.key),
    }
