"""Registering an authenticator, with a ticket.

A ticket has an origin. When the ticket of an invitation or a recovery is used, the response holds
the ticket for the second authenticator; a recovery also ends every authenticator and token that the
person had before.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.access.step_up.authenticators import NEEDED, TIMEOUT_MS, Authenticator, Authenticators
from ironkeep.auth.passkey.ceremony import Purpose, begin, resume
from ironkeep.auth.passkey.people import (
    Ticket,
    User,
    counted,
    hold,
    issue_ticket,
    redeem,
    secret_hash,
    ticket_response,
    use_ticket,
)
from ironkeep.auth.passkey.settings import handle_of, settings
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.event import FACTOR_OF
from ironkeep.core.secret import Secret
from ironkeep.core.webauthn import webauthn
from ironkeep.identity.entities import Identity
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response, Unkept

MAX_LABEL: Final = 64
PARTY_NAME: Final = "Ironkeep"


@dataclass(frozen=True)
class BeginInput:
    """A ticket."""

    ticket: Secret = field(metadata={"help": "The ticket, as it was handed over."})
    holder: Secret | None = field(
        default=None,
        metadata={"help": "The holder secret that the first call for this ticket gave."},
    )


@dataclass(frozen=True)
class FinishInput:
    """A new credential."""

    id: str = field(metadata={"help": "The id that register/begin gave."})
    credential: dict[str, Any] = field(
        metadata={"help": "The credential in JSON, as browsers' toJSON writes it."}
    )
    label: str = field(metadata={"help": "A name for the authenticator."})


def begin_registration(call: Call, given: BeginInput) -> Response:
    """Return the options of a new credential for the ticket's person."""
    name = secret_hash(given.ticket)
    user, ticket = redeem(call, name)
    holder = hold(call, name, ticket, given.holder)
    made = begin(call, Purpose.REGISTER, bytes.fromhex(name))
    demands = settings(call).demands(privileged=user.privileged)
    options = {
        "rp": {"id": call.use(Authenticators).party(call.tx).rp_id, "name": PARTY_NAME},
        "user": {
            "id": webauthn.encode(handle_of(user.entity)),
            "name": user.name,
            "displayName": user.name,
        },
        "challenge": webauthn.encode(made.challenge),
        "pubKeyCredParams": [
            {"type": "public-key", "alg": algorithm} for algorithm in webauthn.ALGORITHMS
        ],
        "timeout": TIMEOUT_MS,
        "excludeCredentials": [
            {"type": "public-key", "id": webauthn.encode(each.id)}
            for each in call.use(Authenticators).of(call.tx, user.entity)
        ],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "direct" if demands.attestation == "packed" else "none",
    }
    data = {"id": made.id, "username": user.name, "options": {"publicKey": options}}
    return Response(data=data | {"holder": Unkept(holder.encode())})


def finish_registration(call: Call, given: FinishInput) -> Response:
    """Bind the new credential and use the ticket up."""
    label = given.label.strip()
    if not 1 <= len(label) <= MAX_LABEL or not label.isprintable():
        raise InvalidRequest(f"a label has 1 to {MAX_LABEL} printable characters")
    ceremony = resume(call, Purpose.REGISTER, given.id)
    user, ticket = redeem(call, ceremony.subject.hex())
    made = webauthn.verify_registration(
        call.use(Authenticators).party(call.tx),
        ceremony.challenge,
        settings(call).demands(privileged=user.privileged),
        given.credential,
    )
    user = use_ticket(call, user)
    if ticket.origin == "recovery":
        _end_everything(call, user)
    call.use(Authenticators).bind(
        call.tx,
        Authenticator(
            id=made.credential,
            entity=user.entity,
            key=made.key,
            label=label,
            aaguid=made.aaguid,
            created_ns=call.now_ns,
            bound_by=ticket.origin,
            counter=made.counter,
            eligible=made.eligible,
            backed_up=made.backed_up,
            made=ticket.made,
        ),
    )
    return _answer(call, user, ticket, made)


def _answer(call: Call, user: User, ticket: Ticket, made: webauthn.Registered) -> Response:
    have = len(counted(call, user))
    response = Response(data={"username": user.name})
    if have < NEEDED and ticket.origin != "touch":
        key = webauthn.encode(made.credential)
        response = ticket_response(call, user, issue_ticket(call, user, "touch", key))
    assert isinstance(response.data, dict)
    response.data |= {"authenticators": have, "needed": NEEDED}
    response.audited = {
        "username": user.name,
        "bound_by": ticket.origin,
        "credential": webauthn.encode(made.credential),
        "key": webauthn.encode(made.key),
        # Without an attestation the model is only the authenticator's own claim.
        "aaguid": made.aaguid if _proves_model(call, user) else "",
        "can_be_copied": made.eligible,
        FACTOR_OF: user.entity,
    }
    return response


def _proves_model(call: Call, user: User) -> bool:
    return settings(call).demands(privileged=user.privileged).attestation == "packed"


def _end_everything(call: Call, user: User) -> None:
    """Remove all earlier authenticators and tokens: a lost one may be in other hands."""
    for each in call.use(Authenticators).of(call.tx, user.entity):
        call.use(Authenticators).remove(call.tx, each, "its person was recovered", call.now_ns)
    call.use(Identity).revoke_before(call.tx, user.entity, call.now_ns)
