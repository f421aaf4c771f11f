"""Hashing and checking of passwords with argon2id, on a worker.

The parameters are the second set that RFC 9106, 4 recommends. A password of an unknown name is
checked with a hash of the same cost, so that the duration of a login does not reveal known names.

All passwords of one name are hashed with one salt, so that a password that the name had before is
recognised by its hash (`former`). No two names share a salt.
"""

from base64 import b64decode
from collections.abc import Callable
from typing import Any, Final

import argon2

from ironkeep.core.errors import InvalidRequest, IronkeepError, Unavailable
from ironkeep.core.secret import Secret

MAX_PASSWORD: Final = 4_096
"""Bytes; argon2 would accept more, but no real password is longer."""
SALT_BYTES: Final = 16

HASHER: Final = argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)

UNMATCHED: Final = (
    f"$argon2id$v=19$m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)
"""A hash of the same cost that matches no password; passwords of unknown names are checked with it.
"""


def verification(expected: str, password: Secret) -> Callable[[], bool]:
    """Return the work that checks a password against a hash."""

    def matches() -> bool:
        try:
            return HASHER.verify(expected, password.reveal())
        except argon2.exceptions.VerifyMismatchError:
            # Other errors propagate: out of memory, for example, says nothing about the password.
            return False

    return matches


def hashing(password: Secret, salt: bytes) -> Callable[[], str]:
    """Return the work that hashes a new password; raise InvalidRequest for one of wrong length."""
    if not 1 <= len(password) <= MAX_PASSWORD:
        raise InvalidRequest(f"a password must have 1 to {MAX_PASSWORD} bytes")
    return lambda: HASHER.hash(password.reveal(), salt=salt)


def salt_in(hashed: str) -> bytes:
    """Return the salt in a hash that this module made."""
    salt = hashed.split("$")[4]
    return b64decode(salt + "=" * (-len(salt) % 4))


def hash_of(hashed: Any) -> str:
    """Return the hash that a worker made; raise the error that it answered with instead."""
    if isinstance(hashed, Exception):
        raise overloaded(hashed)
    return str(hashed)


def overloaded(error: Exception) -> IronkeepError:
    """Return the error for a password that could not be checked."""
    if isinstance(error, IronkeepError):
        return error
    return Unavailable("the password could not be hashed: try again, and check the free memory")
