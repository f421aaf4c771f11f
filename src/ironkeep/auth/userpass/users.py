"""The users of `userpass`: their settings and password hashes, and the routes that change them.

    user / name    -> password hash (argon2id) and token parameters

A new password ends a lock. Users record the people who wrote them, because these people stand
behind the tokens of the user's logins (identity/people.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.auth.userpass import former, lockout
from ironkeep.auth.userpass.hashing import hash_of, hashing
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.event import FACTOR_OF, SET_AGAIN, Value
from ironkeep.core.secret import Secret
from ironkeep.identity.entities import Identity
from ironkeep.identity.people import made_by
from ironkeep.identity.roles import record_login
from ironkeep.identity.token_params import TokenParams, TokenParamsInput
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.listings import list_folder
from ironkeep.plugin.fields import PolicyNames
from ironkeep.plugin.response import Response
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part, unescape_part

MAX_NAME: Final = 256


@dataclass(frozen=True)
class UserInput(TokenParamsInput):
    """The settings of a user that a request changes; None leaves a setting as it is."""

    username: str = field(default="", metadata={"help": "The name, in the path."})
    password: Secret | None = field(default=None, metadata={"help": "The password."})


@dataclass(frozen=True)
class PasswordInput:
    """A password."""

    username: str = field(default="", metadata={"help": "The name, in the path."})
    password: Secret | None = field(default=None, metadata={"help": "The password."})


@dataclass(frozen=True)
class PoliciesInput(TokenParamsInput):
    """A user's policies; the other token parameters are ignored here."""

    username: str = field(default="", metadata={"help": "The name, in the path."})
    token_policies: PolicyNames | None = field(
        default=None, metadata={"alias": ("policies",), "help": "Policies of issued tokens."}
    )


class User(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user as stored."""

    password_hash: str
    params: TokenParams = TokenParams()

    def __repr__(self) -> str:
        return "User(…)"


USER: Final = Codec(User)


def write_user(call: Call, given: UserInput) -> Response | Suspend:
    """Create a user, or change the settings that are given."""
    name = name_of(call)
    user = find(call, name)
    if user is None and given.password is None:
        raise InvalidRequest("missing password")
    params = user.params if user else TokenParams()
    params.changed(given, call.raw)
    if given.password is None:
        return _save(call, name, given, None)

    def resume(later: Call, hashed: Any) -> Response:
        return _save(later, name, given, hash_of(hashed))

    return Suspend(_hashing(call, name, given.password), resume, hashing=True)


def write_password(call: Call, given: PasswordInput) -> Suspend:
    """Change a user's password."""
    name = name_of(call)
    _require(call, name)
    if given.password is None:
        raise InvalidRequest("missing password")

    def resume(later: Call, hashed: Any) -> Response:
        _require(later, name)
        return _save(later, name, TokenParamsInput(), hash_of(hashed))

    return Suspend(_hashing(call, name, given.password), resume, hashing=True)


def write_policies(call: Call, given: PoliciesInput) -> Response:
    """Change a user's policies."""
    name = name_of(call)
    _require(call, name)
    only = TokenParamsInput(token_policies=given.token_policies or ())
    return _save(call, name, only, None)


def read_user(call: Call) -> Response:
    """Return a user's token parameters."""
    user = find(call, name_of(call))
    if user is None:
        raise NotFound("")
    return Response(data=user.params.view())


def delete_user(call: Call) -> Response:
    """Remove a user; absent is fine. Its tokens stay until they expire or are revoked."""
    name = name_of(call)
    user = find(call, name)
    if user is not None:
        former.keep(call, name, user.password_hash)
        call.store.delete(_path(name))
        lockout.clear(call, name)
        record_login(call, name, None)
        return Response(audited=_factor_of(call, name))
    return Response()


def list_users(call: Call) -> Response | Suspend:
    """List the names of all users."""
    return list_folder(call, call.store, "user", name_of=unescape_part)


def _save(call: Call, name: str, given: TokenParamsInput, hashed: str | None) -> Response:
    """Apply changes to a user as stored now; a new password ends a lock."""
    user = find(call, name)
    if hashed is None and user is None:
        raise InvalidRequest("missing password")
    before = user.params if user else TokenParams()
    params = before.changed(given, call.raw)
    kept = user.password_hash if user else ""
    again = bool(hashed) and former.add(call, name, kept, hashed or "")
    if hashed:
        # Logging in takes the new password, so the people behind the former one no longer count.
        params = msgspec.structs.replace(params, made=made_by(call.session, call.now_ns))
    call.store.put(_path(name), USER.encode(User(hashed or kept, params)))
    if hashed:
        lockout.clear(call, name)
    if user is None or params.view() != before.view():
        record_login(call, name, params)
    facts = _factor_of(call, name) if hashed else {}
    return Response(audited={**facts, SET_AGAIN: True} if facts and again else facts)


def _hashing(call: Call, name: str, password: Secret) -> Callable[[], str]:
    user = find(call, name)
    return hashing(password, former.salt_of(call, name, user.password_hash if user else ""))


def _factor_of(call: Call, name: str) -> dict[str, Value]:
    """Return whose password a request sets or removes, if this person has ever logged in."""
    person = call.use(Identity).by_alias(call.tx, call.mount.accessor, name)
    return {} if person is None else {FACTOR_OF: person.id, "password_of": name}


def find(call: Call, name: str) -> User | None:
    """Return a user as stored now, or None."""
    raw = call.store.get(_path(name))
    return None if raw is None else USER.decode(raw)


def _require(call: Call, name: str) -> None:
    if find(call, name) is None:
        raise InvalidRequest("username does not exist")


def name_of(call: Call) -> str:
    """Return the name in the path; raise InvalidRequest if no user can have it."""
    name = call.params["username"]
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a name has at most {MAX_NAME} printable characters")
    return name


def _path(name: str) -> str:
    return f"user/{escape_part(name)}"


def exists(call: Call) -> bool:
    """Return whether the user in the path exists."""
    return find(call, name_of(call)) is not None
