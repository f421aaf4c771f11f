"""The people of a mount, and tickets, which alone allow an authenticator to be registered.

    user / name -> token parameters, privileged or not, the entity, the hash of the current ticket
    ticket / hash -> the user, the ticket's origin and expiry

A ticket is a random text, shown once and stored as a hash. It is good for one registration within
15 minutes, and it cannot be used to log in. A person has at most one: a new ticket ends the former
one. No URL contains it. The client that opens it first gets a second secret, the holder secret,
which every later use needs: a copy of the ticket in a mailbox or a browser's history is then worth
nothing.
"""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, Protocol

import msgspec

from ironkeep.access.second_person import require_another_than_root, waits
from ironkeep.access.step_up.authenticators import Authenticator, Authenticators
from ironkeep.core.errors import InvalidCredentials, InvalidRequest, NotFound
from ironkeep.core.event import FACTOR_OF
from ironkeep.core.ids import EntityId
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.text.spelling import folded
from ironkeep.core.units import SECOND_NS
from ironkeep.core.webauthn import webauthn
from ironkeep.identity.entities import Identity
from ironkeep.identity.people import made_again, made_by
from ironkeep.identity.roles import record_login
from ironkeep.identity.token_params import TokenParams, TokenParamsInput
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.listings import list_folder
from ironkeep.plugin.response import Response, Unkept
from ironkeep.plugin.settings import ServerSettings
from ironkeep.plugin.token import Made
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part, unescape_part

MAX_NAME: Final = 256
TICKET_BYTES: Final = 32
TICKET_NS: Final = 15 * 60 * SECOND_NS
"""Long enough to hand a ticket over and use it; one that lies in a mailbox may be stolen."""

Origin = Literal["invitation", "touch", "recovery"]


@dataclass(frozen=True)
class UserInput(TokenParamsInput):
    """The settings of a person that a request changes; None leaves a setting as it is."""

    username: str = field(default="", metadata={"help": "The name, in the path."})
    privileged: bool | None = field(
        default=None,
        metadata={"help": "Needs two authenticators of accepted models that cannot be copied."},
    )


class User(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person as stored; `ticket` is the hash of the current ticket, "" without one."""

    name: str
    entity: EntityId
    params: TokenParams = TokenParams()
    privileged: bool = False
    ticket: str = ""


class Ticket(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ticket as stored; times are POSIX nanoseconds.

    `made` records the people behind it, `credential` the authenticator that was touched for it, ""
    for none. `holder` is the hash of the holder secret, empty until the ticket is opened.
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
    "the ticket is not valid here: it was already opened in another page or program, and works "
    "only there. If that was not you, tell your administrator; otherwise ask for another ticket"
)
_GONE: Final = "the ticket is not valid: it was used, it expired, or a newer one replaced it"


def write_user(call: Call, given: UserInput) -> Response:
    """Create a person, or change the settings that are given."""
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
        record_login(call, name, params)
    return Response()


def read_user(call: Call) -> Response:
    """Return a person's token parameters, entity and number of authenticators."""
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
    """Remove a person from the mount; entity, history and authenticators stay on record.

    While the person has authenticators another administrator must approve it, as for removing each
    of them: a person without authenticators is asked for no touch, so an administrator acting alone
    with a token of that person would get rid of step-up.
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
    record_login(call, name, None)
    waiting.audited |= {FACTOR_OF: user.entity, "passkeys": "all"}
    return waiting


def list_users(call: Call) -> Response | Suspend:
    """List the names of all people."""
    return list_folder(call, call.store, "user", name_of=unescape_part)


def write_ticket(call: Call) -> Response:
    """Return an invitation for a person who never had an authenticator.

    Others add an authenticator by a touch of one they have, or go through recovery: an
    administrator who could make tickets for everybody could log in as anybody.
    """
    user = found(call)
    if call.use(Authenticators).ever(call.tx, user.entity):
        raise InvalidRequest(
            "this person has, or had, authenticators: they can add one by a touch of another; if "
            "all are lost, use recovery"
        )
    return ticket_response(call, user, issue_ticket(call, user, "invitation"))


def issue_ticket(call: Call, user: User, origin: Origin, credential: str = "") -> str:
    """Make and return a person's ticket, which ends the former one.

    A ticket that came from a touch is void when the authenticator that was touched is removed.
    """
    _end_ticket(call, user)
    text = webauthn.encode(call.entropy.token(TICKET_BYTES))
    name = sha256(text.encode()).hexdigest()
    # The new authenticator descends from the registered ones, so the people behind those stand
    # behind it too. No holders: only its person holds the key itself.
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
    """Return the response that shows a ticket; it is shown only here."""
    api = call.use(ServerSettings).api_addr.rstrip("/")
    data = {
        "ticket": Unkept(text.encode()),
        "url": f"{api}/ui/register",
        "username": user.name,
        "expires": rfc3339(call.now_ns + TICKET_NS),
    }
    return Response(data=data, audited={"ticket_for": user.name, FACTOR_OF: user.entity})


def redeem(call: Call, name: str) -> tuple[User, Ticket]:
    """Return the user and ticket of a hash; raise InvalidCredentials when it is void."""
    ticket = _ticket(call, name)
    user = None if ticket is None else find(call, ticket.name)
    if ticket is None or user is None or user.ticket != name or not still_good(call, user, ticket):
        raise InvalidCredentials(_GONE)
    return user, ticket


def hold(call: Call, name: str, ticket: Ticket, given: Secret | None) -> str:
    """Return a ticket's holder secret; make it when the ticket is opened for the first time.

    Raise InvalidCredentials for a client without the holder secret: somebody who copied the ticket
    later, or the rightful person when somebody else opened it first. The error tells that person.
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
    """A ticket or code that is still to be used, and its origin."""

    @property
    def credential(self) -> str:
        """Return the authenticator that was touched for it, "" for none."""
        ...

    @property
    def made_ns(self) -> int:
        """Return the time it was made, in POSIX nanoseconds."""
        ...


def still_good(call: Call, user: User, pending: Pending) -> bool:
    """Return whether a ticket or code still has its basis.

    Its person exists and is not disabled, their tokens were not revoked since it was made, and the
    authenticator that was touched for it is still theirs.
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
    """End a ticket that came from a recovery, because its person has logged in."""
    ticket = _ticket(call, user.ticket) if user.ticket else None
    return use_ticket(call, user) if ticket and ticket.origin == "recovery" else user


def counted(call: Call, user: User) -> list[Authenticator]:
    """Return the authenticators that count: for privileged people, only uncopyable ones."""
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
        raise NotFound("there is no user of that name here")
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
    """Return a name in its stored spelling; raise InvalidRequest."""
    name = folded(text)
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a name has at most {MAX_NAME} printable characters")
    return name


def secret_hash(ticket: Secret) -> str:
    """Return the hash under which a ticket is stored."""
    return sha256(ticket.reveal()).hexdigest()


def exists(call: Call) -> bool:
    """Return whether the person in the path is known."""
    return find(call, name_of(call)) is not None


def _ticket(call: Call, name: str) -> Ticket | None:
    raw = call.store.get(f"ticket/{name}")
    ticket = None if raw is None else _TICKET.decode(raw)
    good = ticket is not None and ticket.made_ns <= call.now_ns < ticket.expires_ns
    return ticket if good else None


def _end_ticket(call: Call, user: User) -> None:
    if user.ticket:
        call.store.delete(f"ticket/{user.ticket}")


def _path(name: str) -> str:
    return f"user/{escape_part(name)}"
