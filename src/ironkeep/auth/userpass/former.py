"""The former passwords of each name, as hashes, so that one that is set again is recognised.

    former / name -> the hashes of its last passwords, the present one last

They outlive the user: one that is removed and made again with the same password has the same
password. An intruder who knows it can log in again, so a case does not take it for a change.
"""

import hmac
from typing import Final

import msgspec

from ironkeep.auth.userpass.hashing import SALT_BYTES, salt_in
from ironkeep.core.errors import Conflict
from ironkeep.plugin.call import Call
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part

KEPT: Final = 64
"""Passwords kept for a name: some 6 KB. An older one counts as new again."""


class Former(msgspec.Struct, frozen=True, omit_defaults=True):
    """The hashes of the last passwords of a name."""

    hashes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Former(…)"


_FORMER: Final = Codec(Former)


def salt_of(call: Call, name: str, present: str) -> bytes:
    """Return the salt for the passwords of a name; `present` is its hash, "" without a user."""
    known = _hashes(call, name, present)
    return salt_in(known[-1]) if known else call.entropy.token(SALT_BYTES)


def add(call: Call, name: str, present: str, hashed: str) -> bool:
    """Record a new password by its hash; return whether the name had it before.

    Raises Conflict if the first password of the name was set while this one was hashed.
    """
    known = _hashes(call, name, present)
    if known and salt_in(known[-1]) != salt_in(hashed):
        raise Conflict("this user was created at the same moment by another request: try again")
    again = [hmac.compare_digest(each, hashed) for each in known]
    others = tuple(each for each, same in zip(known, again, strict=True) if not same)
    call.store.put(_path(name), _FORMER.encode(Former((*others, hashed)[-KEPT:])))
    return any(again)


def keep(call: Call, name: str, present: str) -> None:
    """Record the password of a user that is removed."""
    call.store.put(_path(name), _FORMER.encode(Former(_hashes(call, name, present))))


def _hashes(call: Call, name: str, present: str) -> tuple[str, ...]:
    # The user of an earlier release has a password, and no record of it here.
    raw = call.store.get(_path(name))
    found = () if raw is None else _FORMER.decode(raw).hashes
    return (*found, present) if present and present not in found else found


def _path(name: str) -> str:
    return f"former/{escape_part(name)}"
