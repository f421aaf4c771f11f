"""The lock on a name after failed logins in a row: Vault's user lockout.

    lockout / name -> failures, and the end of the lock
    decoy / lockout -> written for a failure that counts for no name

Only known names have a record, so invented names cannot fill the disk; the decoy makes the commit
of each failure as expensive as that of any other.
"""

from typing import Final

import msgspec

from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.call import Call
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part

LOCK_AFTER: Final = 5
"""Failures in a row; Vault's default."""
LOCKED_NS: Final = 15 * 60 * SECOND_NS
FORGET_NS: Final = 15 * 60 * SECOND_NS
"""Failures longer ago than this no longer count."""


class Lockout(msgspec.Struct, frozen=True, omit_defaults=True):
    """Failures in a row, the time of the last one, and the end of the lock, in POSIX ns."""

    failures: int = 0
    last_ns: int = 0
    until_ns: int = 0


_DECOY: Final = "decoy/lockout"
_LOCKOUT: Final = Codec(Lockout)


def is_locked(call: Call, name: str) -> bool:
    """Return whether a name is locked now."""
    return call.now_ns < _state(call, name).until_ns <= call.now_ns + LOCKED_NS


def count_failure(call: Call, name: str) -> None:
    """Count a failure through `call.account`, so that the refusal does not undo it."""
    known = _state(call, name)
    recent = call.now_ns - known.last_ns < FORGET_NS and not known.until_ns
    failures = known.failures + 1 if recent else 1
    until_ns = call.now_ns + LOCKED_NS if failures >= LOCK_AFTER else 0
    store = call.lasting
    store.put(_path(name), _LOCKOUT.encode(Lockout(failures, call.now_ns, until_ns)))


def count_nothing(call: Call) -> None:
    """Write as much as a counted failure: the commit's time must not reveal known names."""
    store = call.lasting
    store.put(_DECOY, _LOCKOUT.encode(Lockout(1, call.now_ns, 0)))


def forgive(call: Call, name: str) -> None:
    """Forget a name's failures after a login, through `call.lasting` as they were counted."""
    if _state(call, name) != Lockout():
        call.lasting.delete(_path(name))


def clear(call: Call, name: str) -> None:
    """Remove a name's record, because its password changed or its user was removed."""
    call.store.delete(_path(name))


def _state(call: Call, name: str) -> Lockout:
    raw = call.lasting.get(_path(name))
    return Lockout() if raw is None else _LOCKOUT.decode(raw)


def _path(name: str) -> str:
    return f"lockout/{escape_part(name)}"
