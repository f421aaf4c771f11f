"""The auth method `userpass`: names and passwords.

    user / name    -> password hash (argon2id) and token parameters
    lockout / name -> failures, and the end of the lock
    decoy / lockout -> written for a failure that counts for no name

Source: the Vault HTTP API, auth/userpass, and Vault's user lockout; argon2id with the second set of
parameters that RFC 9106, 4 recommends. Every login does the same work and fails with the same
error, whether the name is unknown, locked or known. Hashing runs on a worker; the lock is checked
again when the result arrives, so that a thousand guesses sent at once gain nothing over guesses in
sequence. Only known names have a lockout record, so invented names cannot fill the disk.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import argon2
import msgspec

from ironkeep.access.identity_report.copyable_logins import Copyable
from ironkeep.core.errors import (
    InvalidCredentials,
    InvalidRequest,
    IronkeepError,
    NotFound,
    Unavailable,
)
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.people import made_by
from ironkeep.identity.roles import record_login
from ironkeep.identity.token_params import (
    LOGIN,
    TokenParams,
    TokenParamsInput,
    display_name,
    login_name,
)
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.cidr import admits
from ironkeep.plugin.fields import PolicyNames
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response, listing
from ironkeep.plugin.route import Route
from ironkeep.store.history import History
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part, unescape_part

MAX_NAME: Final = 256
MAX_PASSWORD: Final = 4_096
"""Bytes; argon2 would accept more, but no real password is longer."""
SALT_BYTES: Final = 16
LOCK_AFTER: Final = 5
"""Failures in a row; Vault's default."""
LOCKED_NS: Final = 15 * 60 * SECOND_NS
FORGET_NS: Final = 15 * 60 * SECOND_NS
"""Failures longer ago than this no longer count."""

HASHER: Final = argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)

_UNMATCHED: Final = (
    f"$argon2id$v=19$m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)
"""A hash of the same cost that matches no password; passwords of unknown names are checked with it.
"""


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


class Lockout(msgspec.Struct, frozen=True, omit_defaults=True):
    """Failures in a row, the time of the last one, and the end of the lock, in POSIX ns."""

    failures: int = 0
    last_ns: int = 0
    until_ns: int = 0


_DECOY: Final = "decoy/lockout"
_USER: Final = Codec(User)
_LOCKOUT: Final = Codec(Lockout)


def login(call: Call, given: PasswordInput) -> Suspend:
    """Check a password on a worker, then continue in `_finish_login`."""
    name = _name(call)
    user = _find(call, name)
    expected = _UNMATCHED if user is None else user.password_hash
    password = given.password
    if password is None or len(password) > MAX_PASSWORD:
        password = Secret(b"")  # matches no hash: passwords have at least one byte

    def resume(later: Call, matched: Any) -> Response:
        if isinstance(matched, Exception):
            raise _overloaded(matched)
        return _finish_login(later, name, expected, matched=matched is True)

    return Suspend(_verification(expected, password), resume, hashing=True)


def _verification(expected: str, password: Secret) -> Callable[[], bool]:
    def matches() -> bool:
        try:
            return HASHER.verify(expected, password.reveal())
        except argon2.exceptions.VerifyMismatchError:
            # Other errors propagate: out of memory, for example, says nothing about the password.
            return False

    return matches


def _finish_login(call: Call, name: str, expected: str, *, matched: bool) -> Response:
    """Decide a login by the user, its hash and the lock as they are now, after the hashing."""
    user = _find(call, name)
    if user is None or not _may_come_from(call, user) or _locked(call, name):
        # From a disallowed address, right and wrong passwords get the same answer and do not count.
        _count_nothing(call)
        raise _failed()
    if not matched or user.password_hash != expected:
        _count_failure(call, name)
        raise _failed()
    _forgive(call, name)
    shown, metadata = display_name(call.mount, name), {"username": name}
    spec = user.params.spec(call.mount, shown, call.request.path, name, meta=metadata)
    return Response(issue=spec, audited={"username": name})


def _may_come_from(call: Call, user: User) -> bool:
    return admits(user.params.token_bound_cidrs, call.request.remote)


def write_user(call: Call, given: UserInput) -> Response | Suspend:
    """Create a user, or change the settings that are given."""
    name = _name(call)
    user = _find(call, name)
    if user is None and given.password is None:
        raise InvalidRequest("missing password")
    params = user.params if user else TokenParams()
    params.changed(given, call.raw)
    if given.password is None:
        return _save(call, name, given, None)

    def resume(later: Call, hashed: Any) -> Response:
        return _save(later, name, given, _hash_of(hashed))

    return Suspend(_hashing(call, given.password), resume, hashing=True)


def write_password(call: Call, given: PasswordInput) -> Suspend:
    """Change a user's password."""
    name = _name(call)
    _require(call, name)
    if given.password is None:
        raise InvalidRequest("missing password")

    def resume(later: Call, hashed: Any) -> Response:
        _require(later, name)
        return _save(later, name, TokenParamsInput(), _hash_of(hashed))

    return Suspend(_hashing(call, given.password), resume, hashing=True)


def write_policies(call: Call, given: PoliciesInput) -> Response:
    """Change a user's policies."""
    name = _name(call)
    _require(call, name)
    only = TokenParamsInput(token_policies=given.token_policies or ())
    return _save(call, name, only, None)


def read_user(call: Call) -> Response:
    """Return a user's token parameters."""
    user = _find(call, _name(call))
    if user is None:
        raise NotFound("")
    return Response(data=user.params.view())


def delete_user(call: Call) -> Response:
    """Remove a user; absent is fine. Its tokens stay until they expire or are revoked."""
    name = _name(call)
    if _find(call, name) is not None:
        call.store.delete(_path(name))
        call.store.delete(_lockout_path(name))
        record_login(call, name, None)
    return Response()


def list_users(call: Call) -> Response:
    """List the names of all users."""
    return listing([unescape_part(name) for name in call.store.list("user")])


def _hashing(call: Call, password: Secret) -> Callable[[], str]:
    if not 1 <= len(password) <= MAX_PASSWORD:
        raise InvalidRequest(f"a password must have 1 to {MAX_PASSWORD} bytes")
    salt = call.entropy.token(SALT_BYTES)
    return lambda: HASHER.hash(password.reveal(), salt=salt)


def _hash_of(hashed: Any) -> str:
    if isinstance(hashed, Exception):
        raise _overloaded(hashed)
    return str(hashed)


def _save(call: Call, name: str, given: TokenParamsInput, hashed: str | None) -> Response:
    """Apply changes to a user as stored now; a new password ends a lock."""
    user = _find(call, name)
    if hashed is None and user is None:
        raise InvalidRequest("missing password")
    before = user.params if user else TokenParams()
    params = before.changed(given, call.raw)
    kept = user.password_hash if user else ""
    if hashed:
        # Logging in takes the new password, so the people behind the former one no longer count.
        params = msgspec.structs.replace(params, made=made_by(call.session, call.now_ns))
    call.store.put(_path(name), _USER.encode(User(hashed or kept, params)))
    if hashed:
        call.store.delete(_lockout_path(name))
    if user is None or params.view() != before.view():
        record_login(call, name, params)
    return Response()


def _find(call: Call, name: str) -> User | None:
    raw = call.store.get(_path(name))
    return None if raw is None else _USER.decode(raw)


def _require(call: Call, name: str) -> None:
    if _find(call, name) is None:
        raise InvalidRequest("username does not exist")


def _name(call: Call) -> str:
    name = call.params["username"]
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a name has at most {MAX_NAME} printable characters")
    return name


def _path(name: str) -> str:
    return f"user/{escape_part(name)}"


def _lockout_path(name: str) -> str:
    return f"lockout/{escape_part(name)}"


def _lockout(call: Call, name: str) -> Lockout:
    raw = call.lasting.get(_lockout_path(name))
    return Lockout() if raw is None else _LOCKOUT.decode(raw)


def _locked(call: Call, name: str) -> bool:
    return call.now_ns < _lockout(call, name).until_ns


def _count_failure(call: Call, name: str) -> None:
    """Count a failure through `call.account`, so that the refusal does not undo it."""
    known = _lockout(call, name)
    recent = call.now_ns - known.last_ns < FORGET_NS and not known.until_ns
    failures = known.failures + 1 if recent else 1
    until_ns = call.now_ns + LOCKED_NS if failures >= LOCK_AFTER else 0
    store = call.lasting
    store.put(_lockout_path(name), _LOCKOUT.encode(Lockout(failures, call.now_ns, until_ns)))


def _count_nothing(call: Call) -> None:
    """Write as much as a counted failure: the commit's time must not reveal known names."""
    store = call.lasting
    store.put(_DECOY, _LOCKOUT.encode(Lockout(1, call.now_ns, 0)))


def _forgive(call: Call, name: str) -> None:
    if _lockout(call, name) != Lockout():
        call.lasting.delete(_lockout_path(name))


def _failed() -> InvalidCredentials:
    return InvalidCredentials("invalid username or password")


def _overloaded(error: Exception) -> IronkeepError:
    """Return the error for a password that could not be checked."""
    if isinstance(error, IronkeepError):
        return error
    return Unavailable("the password could not be hashed: try again, and check the free memory")


def _exists(call: Call) -> bool:
    return _find(call, _name(call)) is not None


_PARAMS: Final = (
    "token_policies",
    "token_ttl",
    "token_max_ttl",
    "token_period",
    "token_type",
    "token_bound_cidrs",
)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        Operation.UPDATE, "login/{username}", login, input=PasswordInput, login=True,
        folds="username", releases=True, help="Log in with a password.",
    ),
    Route(Operation.LIST, "users/", list_users, help="List the users."),
    Route(
        Operation.READ, "users/{username}", read_user, folds="username",
        help="A user, without the password.",
    ),
    Route(
        Operation.UPDATE, "users/{username}", write_user, input=UserInput, exists=_exists,
        makes=True, audited=_PARAMS, folds="username", help="Create or change a user.",
    ),
    Route(
        Operation.DELETE, "users/{username}", delete_user, folds="username", help="Remove a user."
    ),
    Route(
        Operation.UPDATE, "users/{username}/password", write_password, input=PasswordInput,
        folds="username", help="Change a user's password.",
    ),
    Route(
        Operation.UPDATE, "users/{username}/policies", write_policies, input=PoliciesInput,
        audited=("token_policies",), folds="username", help="Change a user's policies.",
    ),
)  # fmt: skip


class Userpass:
    """The auth method `userpass`."""

    type: Final = "userpass"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes, the same for each mount."""
        del mount
        return ROUTES

    def copyable(self, call: Call, mount: Mount) -> Iterator[Copyable]:
        """Yield all users: a password can be copied when it is typed."""
        store = call.store_of(mount)
        for name in map(unescape_part, store.names("user")):
            known = call.use(History).intervals(call.tx, LOGIN, login_name(mount, name))
            yield Copyable(
                "userpass",
                name,
                "a password logs in from anywhere",
                "register a passkey, and demand a device: tune the mount to token_device=required",
                created_ns=known[0].start_ns if known else 0,
            )
