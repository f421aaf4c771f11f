"""Logins with name and password.

Every login does the same work and fails with the same error, whether the name is unknown, locked or
known. Hashing runs on a worker; the lock is checked again when the result arrives, so that a
thousand guesses sent at once gain nothing over guesses in sequence.
"""

from typing import Any

from ironkeep.auth.userpass import lockout
from ironkeep.auth.userpass.hashing import MAX_PASSWORD, UNMATCHED, overloaded, verification
from ironkeep.auth.userpass.users import PasswordInput, User, find, name_of
from ironkeep.core.errors import InvalidCredentials
from ironkeep.core.secret import Secret
from ironkeep.identity.token_params import display_name
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.cidr import admits
from ironkeep.plugin.response import Response


def login(call: Call, given: PasswordInput) -> Suspend:
    """Check a password on a worker, then continue in `_finish_login`."""
    name = name_of(call)
    user = find(call, name)
    expected = UNMATCHED if user is None else user.password_hash
    password = given.password
    if password is None or len(password) > MAX_PASSWORD:
        password = Secret(b"")  # matches no hash: passwords have at least one byte

    def resume(later: Call, matched: Any) -> Response:
        if isinstance(matched, Exception):
            raise overloaded(matched)
        return _finish_login(later, name, expected, matched=matched is True)

    return Suspend(verification(expected, password), resume, hashing=True)


def _finish_login(call: Call, name: str, expected: str, *, matched: bool) -> Response:
    """Decide a login by the user, its hash and the lock as they are now, after the hashing."""
    user = find(call, name)
    if user is None or not _may_come_from(call, user) or lockout.is_locked(call, name):
        # From a disallowed address, right and wrong passwords get the same answer and do not count.
        lockout.count_nothing(call)
        raise _failed()
    if not matched or user.password_hash != expected:
        lockout.count_failure(call, name)
        raise _failed()
    lockout.forgive(call, name)
    shown, metadata = display_name(call.mount, name), {"username": name}
    spec = user.params.spec(call.mount, shown, call.request.path, name, meta=metadata)
    return Response(issue=spec, audited={"username": name})


def _may_come_from(call: Call, user: User) -> bool:
    return admits(user.params.token_bound_cidrs, call.request.remote)


def _failed() -> InvalidCredentials:
    return InvalidCredentials("invalid username or password")
