"""People who may have passkeys, and tickets: the only things that an authenticator is bound by.

    user / name -> token parameters, whether privileged, the entity, and the ticket that is out
    ticket / hash -> whom it is for, how it came, until when

A ticket is a random text, shown once, kept as a hash, good for one registration within minutes. It
logs nobody in. One is out per person: a new one ends the one before. It stands in no address, and
whoever opens it first gets a second secret that it is no good without from then on: what is left of
it in a history or a mailbox binds nothing.
"""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, Protocol

import msgspec

from ironkeep.access.second_person import require_another_than_root, waits
from ironkeep.access.step_up.authenticators import Authenticator, Authenticators
from ironkeep.core.errors import InvalidCredentials, InvalidRequest, NotFound
from ironkeep.core.ids import EntityId
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.text.spelling import folded
from ironkeep.core.units import SECOND_NS
from ironkeep.core.webauthn import webauthn
from ironkeep.identity.entities import Identity
from ironkeep.identity.people import made_again, made_by
from ironkeep.identity.token_params import (
    LOGIN,
    LOGINS,
    TokenParams,
    TokenParamsInput,
    login_name,
)
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response, Unkept
from ironkeep.plugin.settings import ServerSettings
from ironkeep.plugin.token import Made
from ironkeep.store.history import History
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part, unescape_part

MAX_NAME: Final = 256
TICKET_BYTES: Final = 32
TICKET_NS: Final = 15 * 60 * SECOND_NS
"""Long enough to be handed over and used; a link that waits in a mailbox is somebody else's."""

Origin = Literal["invitation", "touch", "recovery"]


@dataclass(frozen=True)
class UserInput(TokenParamsInput):
    """What a request may say of a person; None leaves it as it is."""

    username: str = field(default="", metadata={"help": "The name, in the path."})
    privileged: bool | None = field(
        default=None,
        metadata={"help": "Needs two authenticators that cannot be copied, of accepted models."},
    )


class User(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person as stored; `ticket` is the hash of the one that is out."""

    name: str
    entity: EntityId
    params: TokenParams = TokenParams()
    privileged: bool = False
    ticket: str = ""


class Ticket(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a ticket is good for, by whom it was had, and by which authenticator's touch.

    Times are POSIX. `holder` is the hash of the secret of who opened it; empty until somebody did.
    """

    name: str
    origin: Origin
    expires_ns: int
    made: Made = Made()
    holder: str = ""
    credential: str = ""
    made_ns: int = 0


_USER: Final = Codec(User)
_TICKET: Final = Codec(Ticket)
_OPENED: Final = (
    "the ticket is not valid here: it was opened in another page or program already, and works "
    "there alone. If that was not you, tell who runs this vault; else ask for another one"
)
_GONE: Final = "the ticket is not valid: it was used, it expired, or another took its place"


def write_user(call: Call, given: UserInput) -> Response:
    """Make a person, or change what is given."""
    name = name_of(call)
    user = find(call, name)
    if user is None:
        metadata = {"username": name}
        entity = call.use(Identity).login(
            call.tx, call.mount.accessor, name, metadata, call.now_ns, call.entropy
        )
        user = User(name, entity.id)
        before = None
    else:
        before = user.params
    params = user.params.changed(given, call.raw)
    privileged = user.privileged if given.privileged is None else given.privileged
    if user.privileged and not privileged:
        waiting = require_another_than_root(call)
        if waits(waiting):
            return waiting
    save(call, msgspec.structs.replace(user, params=params, privileged=privileged))
    if params != before:
        call.use(History).record(
            call.tx, LOGIN, login_name(call.mount, name), LOGINS.encode(params), call.now_ns
        )
    return Response()


def read_user(call: Call) -> Response:
    """Return a person: token parameters, and how many authenticators there are."""
    user = found(call)
    active = call.use(Authenticators).of(call.tx, user.entity)
    data = {
        **user.params.view(),
        "privileged": user.privileged,
        "entity_id": user.entity,
        "authenticators": len(active),
        "ticket_pending": bool(user.ticket) and _ticket(call, user.ticket) is not None,
    }
    return Response(data=data)


def delete_user(call: Call) -> Response:
    """Remove a person's way in; entity, history and authenticators stay on record.

    Another person approves while there are authenticators, as of each of them: who has none is
    asked for no touch, so whoever removes them alone, with a token of that person, is rid of it.
    """
    name = name_of(call)
    user = find(call, name)
    if user is None:
        return Response()
    bound = call.use(Authenticators).of(call.tx, user.entity)
    waiting = require_another_than_root(call) if bound else Response()
    if waits(waiting):
        return waiting
    _end_ticket(call, user)
    for each in bound:
        call.use(Authenticators).remove(call.tx, each, "the person was removed", call.now_ns)
    call.store.delete(_path(name))
    call.use(History).record(call.tx, LOGIN, login_name(call.mount, name), b"", call.now_ns)
    return waiting


def list_users(call: Call) -> Response:
    """List the names of all people."""
    keys = [unescape_part(name) for name in call.store.names("user")]
    if not keys:
        raise NotFound("")
    return Response(data={"keys": keys})


def write_ticket(call: Call) -> Response:
    """Invite a person who never had an authenticator; everybody else adds by touch, or recovers.

    An administrator who could make a ticket for anybody could become anybody.
    """
    user = found(call)
    if call.use(Authenticators).ever(call.tx, user.entity):
        raise InvalidRequest(
            "this person has, or had, authenticators: they add one by a touch of another, or "
            "other people recover them"
        )
    return ticket_response(call, user, issue_ticket(call, user, "invitation"))


def issue_ticket(call: Call, user: User, origin: Origin, credential: str = "") -> str:
    """Make the one ticket that is out for a person; return it.

    One that came from a touch ends with the authenticator that gave it.
    """
    _end_ticket(call, user)
    text = webauthn.encode(call.entropy.token(TICKET_BYTES))
    name = sha256(text.encode()).hexdigest()
    # One authenticator leads to the next: the people behind those that are there come along. The
    # key itself is in the hands of its person alone.
    made = msgspec.structs.replace(made_by(call.session, call.now_ns), holders=())
    for each in call.use(Authenticators).made(call.tx, user.entity):
        made = made_again(each, made)
    ticket = Ticket(
        user.name,
        origin,
        call.now_ns + TICKET_NS,
        made,
        credential=credential,
        made_ns=call.now_ns,
    )
    call.store.put(f"ticket/{name}", _TICKET.encode(ticket))
    save(call, msgspec.structs.replace(user, ticket=name))
    return text


def ticket_response(call: Call, user: User, text: str) -> Response:
    """Return the answer that shows a ticket, once."""
    api = call.use(ServerSettings).api_addr.rstrip("/")
    data = {
        "ticket": Unkept(text.encode()),
        "url": f"{api}/ui/register",
        "username": user.name,
        "expires": rfc3339(call.now_ns + TICKET_NS),
    }
    return Response(data=data, audited={"ticket_for": user.name})


def redeem(call: Call, name: str) -> tuple[User, Ticket]:
    """Return whom the ticket of a hash is for; raise InvalidCredentials when it is good no more."""
    ticket = _ticket(call, name)
    user = None if ticket is None else find(call, ticket.name)
    if ticket is None or user is None or user.ticket != name or not still_good(call, user, ticket):
        raise InvalidCredentials(_GONE)
    return user, ticket


def hold(call: Call, name: str, ticket: Ticket, given: Secret | None) -> str:
    """Return the secret of who opened the ticket of a hash, made the first time.

    Raise InvalidCredentials for everybody else: one who saw the ticket later, or earlier than the
    person whom it is for, who then learns of it here.
    """
    if ticket.holder:
        if given is None or not hmac.compare_digest(secret_hash(given), ticket.holder):
            raise InvalidCredentials(_OPENED)
        return given.reveal().decode("ascii")
    text = webauthn.encode(call.entropy.token(TICKET_BYTES))
    opened = msgspec.structs.replace(ticket, holder=sha256(text.encode()).hexdigest())
    call.store.put(f"ticket/{name}", _TICKET.encode(opened))
    return text


class Pending(Protocol):
    """Something that somebody may still take up, and where it came from."""

    @property
    def credential(self) -> str:
        """The authenticator that was touched for it, "" for none."""
        ...

    @property
    def made_ns(self) -> int:
        """When it was made."""
        ...


def still_good(call: Call, user: User, pending: Pending) -> bool:
    """Return whether nothing behind something pending has ended since it was made.

    Its person is there and may act, was not cut off since, and still has the authenticator.
    """
    known = call.use(Identity).get(call.tx, user.entity)
    if known is None or known.disabled or known.revoked_ns >= pending.made_ns > 0:
        return False
    if not pending.credential:
        return True
    key = webauthn.decode(pending.credential, webauthn.MAX_CREDENTIAL_ID)
    used = call.use(Authenticators).find(call.tx, key)
    return bool(used is not None and used.active and used.entity == user.entity)


def use_ticket(call: Call, user: User) -> User:
    """Use a person's ticket up; return the person without it."""
    _end_ticket(call, user)
    fresh = msgspec.structs.replace(user, ticket="")
    save(call, fresh)
    return fresh


def end_recovery(call: Call, user: User) -> User:
    """End a ticket that came from a recovery, because its person is here."""
    ticket = _ticket(call, user.ticket) if user.ticket else None
    return use_ticket(call, user) if ticket and ticket.origin == "recovery" else user


def counted(call: Call, user: User) -> list[Authenticator]:
    """Return the authenticators that count for a person: for privileged ones, none that copies."""
    active = call.use(Authenticators).of(call.tx, user.entity)
    return [each for each in active if not (user.privileged and each.eligible)]


def find(call: Call, name: str) -> User | None:
    """Return a person, or None."""
    raw = call.store.get(_path(name))
    return None if raw is None else _USER.decode(raw)


def found(call: Call) -> User:
    """Return the person in the path; raise NotFound."""
    user = find(call, name_of(call))
    if user is None:
        raise NotFound("nobody of that name is known here")
    return user


def by_entity(call: Call, entity: EntityId) -> User | None:
    """Return the person of an entity; None when disabled, or without a name at this mount."""
    known = call.use(Identity).get(call.tx, entity)
    aliases = () if known is None or known.disabled else known.aliases
    for alias in aliases:
        user = find(call, alias.name) if alias.mount == call.mount.accessor else None
        if user is not None and user.entity == entity:
            return user
    return None


def save(call: Call, user: User) -> None:
    """Write a person."""
    call.store.put(_path(user.name), _USER.encode(user))


def name_of(call: Call) -> str:
    """Return the name in the path; raise InvalidRequest."""
    return check_name(call.params["username"])


def check_name(text: str) -> str:
    """Return a name as it is kept; raise InvalidRequest."""
    name = folded(text)
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a name has at most {MAX_NAME} printable characters")
    return name


def secret_hash(ticket: Secret) -> str:
    """Return the hash that a ticket is kept under."""
    return sha256(ticket.reveal()).hexdigest()


def exists(call: Call) -> bool:
    """Return whether the person in the path is known."""
    return find(call, name_of(call)) is not None


def _ticket(call: Call, name: str) -> Ticket | None:
    raw = call.store.get(f"ticket/{name}")
    ticket = None if raw is None else _TICKET.decode(raw)
    return ticket if ticket is not None and call.now_ns < ticket.expires_ns else None


def _end_ticket(call: Call, user: User) -> None:
    if user.ticket:
        call.store.delete(f"ticket/{user.ticket}")


def _path(name: str) -> str:
    return f"user/{escape_part(name)}"
