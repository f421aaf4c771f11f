"""Logging in with a touch, and getting a ticket for one more authenticator with a touch.

The options are the same for every name, known or not: passkeys are discoverable, so the options
list no credentials, and a name only binds the challenge. Every failed assertion gets the same
error. A privileged person gets no token before two of their authenticators count.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from ironkeep.access.step_up.authenticators import NEEDED, Authenticators
from ironkeep.auth.passkey import recovery
from ironkeep.auth.passkey.ceremony import Purpose, begin, resume, subject_of, use_up
from ironkeep.auth.passkey.loopback import FetchInput, fetch, hand_over, parse
from ironkeep.auth.passkey.people import (
    User,
    by_entity,
    check_name,
    counted,
    issue_ticket,
    still_good,
    ticket_response,
)
from ironkeep.core.errors import InvalidCredentials, InvalidRequest, PermissionDenied
from ironkeep.core.webauthn import webauthn
from ironkeep.identity.token_params import display_name
from ironkeep.plugin.call import Call
from ironkeep.plugin.cidr import admits
from ironkeep.plugin.response import Response

_FAILED: Final = "the passkey was not accepted"


@dataclass(frozen=True)
class BeginInput:
    """An optional name, and the id of a waiting command."""

    username: str = field(default="", metadata={"help": "Bind the challenge to this name."})
    cli: str = field(default="", metadata={"help": "The id that cli/start gave."})


@dataclass(frozen=True)
class FinishInput:
    """An assertion."""

    id: str = field(metadata={"help": "The id that begin gave."})
    credential: dict[str, Any] = field(
        metadata={"help": "The assertion in JSON, as browsers' toJSON writes it."}
    )
    cli: str = field(default="", metadata={"help": "The id that cli/start gave."})


def begin_login(call: Call, given: BeginInput) -> Response:
    """Return the options of a login for navigator.credentials.get."""
    if given.cli:
        parse(given.cli)
    return _begin(call, Purpose.LOGIN, given)


def finish_login(call: Call, given: FinishInput) -> Response:
    """Log in by an assertion; with `cli`, return a redirect that carries a code, and no token."""
    user, credential = _verified(call, Purpose.LOGIN, given)
    _require_two(call, user)
    if given.cli:
        return hand_over(call, user, credential, given.cli)
    return _issue(call, user, {"username": user.name, "credential": credential})


def fetch_login(call: Call, given: FetchInput) -> Response:
    """Log in by a code from the browser; the token goes to the command that fetches it."""
    code = fetch(call, given)
    user = by_entity(call, code.entity)
    if user is None or not _may_come_from(call, user) or not still_good(call, user, code):
        raise InvalidCredentials(_FAILED)
    _require_two(call, user)
    return _issue(call, user, {"username": user.name, "credential": code.credential})


def begin_add(call: Call, given: BeginInput) -> Response:
    """Return the options for the touch that yields a ticket for one more authenticator."""
    return _begin(call, Purpose.ADD, given)


def finish_add(call: Call, given: FinishInput) -> Response:
    """Return a ticket for one more authenticator, by an assertion of a registered one."""
    user, credential = _verified(call, Purpose.ADD, given)
    response = ticket_response(call, user, issue_ticket(call, user, "touch", credential))
    response.audited["credential"] = credential
    return response


def _begin(call: Call, purpose: Purpose, given: BeginInput) -> Response:
    made = begin(call, purpose, subject_of(check_name(given.username), given.cli))
    options = call.use(Authenticators).options(call.tx, made.challenge)
    return Response(data={"id": made.id, "options": {"publicKey": options}})


def _verified(call: Call, purpose: Purpose, given: FinishInput) -> tuple[User, str]:
    """Return the user who signed and the credential's id, and use the challenge up.

    (1) The challenge is for this purpose, fresh and unused. (2) The assertion verifies with a
    registered authenticator. (3) It carries a user handle, its person is known at this mount, and
    the request comes from an allowed address. (4) The challenge was made for this person, or for no
    name.
    """
    ceremony = resume(call, purpose, given.id)
    try:
        used, signed = call.use(Authenticators).verify(
            call.account, None, ceremony.challenge, given.credential, call.now_ns
        )
    except (InvalidCredentials, InvalidRequest):
        raise InvalidCredentials(_FAILED) from None
    use_up(call, ceremony)
    user = by_entity(call, used.entity)
    if user is None or not signed.user_handle or not _may_come_from(call, user):
        raise InvalidCredentials(_FAILED)
    names = ("", user.name)
    if ceremony.subject not in {subject_of(name, given.cli) for name in names}:
        raise InvalidCredentials(_FAILED)
    # The id that was verified, not the one that the request claims.
    return recovery.end_by_login(call, user), webauthn.encode(used.id)


def _require_two(call: Call, user: User) -> None:
    have = len(counted(call, user))
    if user.privileged and have < NEEDED:
        raise PermissionDenied(
            f"you have {have} of the {NEEDED} authenticators that a privileged person needs, of a "
            "kind that cannot be copied: register another with a ticket from add/begin, then log in"
        )


def _may_come_from(call: Call, user: User) -> bool:
    return admits(user.params.token_bound_cidrs, call.request.remote)


def _issue(call: Call, user: User, audited: dict[str, Any]) -> Response:
    spec = user.params.spec(
        call.mount,
        display_name(call.mount, user.name),
        call.request.path,
        user.name,
        meta={"username": user.name},
        alias_metadata={"username": user.name},
    )
    made = call.use(Authenticators).made(call.tx, user.entity)
    response = Response(issue=replace(spec, made=made), audited=audited)
    if len(counted(call, user)) < NEEDED:
        response.warnings = [
            "register a second authenticator: if you lose the only one, recovery takes time"
        ]
    return response
