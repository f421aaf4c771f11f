"""The meaning of a login's end for the password that was presented: one table, without I/O.

It is decided by what was proven, how far the login came, and the server's SQLSTATE ("PostgreSQL
documentation, Appendix A").

    proof           SQLSTATE      state     blocked
    signature       any, none     ALIVE     unless the login completed
    answer sent     28P01         DEAD
    answer sent     any other     UNKNOWN
    nothing sent    any           UNKNOWN
    let in          any, none     UNKNOWN

*signature*: the server proved by SCRAM that it holds the verifier of this password, which it does
only after it has checked our proof. The password is right even if the server refuses a later step
(53300, no connection left; 28000, NOLOGIN; 42501, no CONNECT; 58P01, a library is missing).
*let in*: the server asked for no password (`trust`) and would have accepted any. A 28P01 before our
proof was sent does not refer to the password.
"""

from enum import Enum
from typing import Final

import msgspec

from ironkeep.core.credential.connector import Probe


class Proof(Enum):
    """The last step reached in proving that client and server know password and verifier."""

    NOTHING = "nothing was presented"
    ANSWERED = "our proof of the password was sent"
    LET_IN = "the server asked for no password"
    SIGNATURE = "the server proved that it holds the verifier of the password"


class Outcome(msgspec.Struct, frozen=True):
    """The result of a login; the fields are those of core.credential.connector.ProbeResult."""

    state: Probe
    reason: str
    code: str = ""
    blocked: bool = False
    full: bool = False
    unreached: bool = False


REFUSED: Final = "28P01"
FULL: Final = "53300"

_BLOCKED: Final = {
    "28000": "but the role may not log in (NOLOGIN), or not over this connection",
    "42501": "but the role may not connect to this database",
    "3D000": "but there is no such database",
    "53300": "but no connection is left for the role, the database or the server",
    "57P01": "but the server is stopping",
    "57P02": "but the server is stopping",
    "57P03": "but the server is starting or stopping",
    "58P01": "but a library that the role, the database or the server loads is missing",
}
_UNKNOWN: Final = {
    "28000": "the server refused this address or role before it asked for the password",
    "28P01": "the server refused the login before the password was presented",
    "53300": "the server has no connection left, and did not ask for the password",
    "57P03": "the server is starting or stopping",
    "3D000": "there is no such database",
}


def finished() -> Outcome:
    """Return the outcome of a login that completed."""
    return Outcome(Probe.ALIVE, "logged in")


def judge(proof: Proof, code: str, words: str = "") -> Outcome:
    """Return the outcome of a login that ended at proof with the server's code or our own words."""
    full = code == FULL
    if proof is Proof.SIGNATURE:
        cause = words or _BLOCKED.get(code, "but the server refused a later step")
        reason = f"the password is right, {cause}"
        return Outcome(Probe.ALIVE, _named(reason, code), code, blocked=True, full=full)
    if proof is Proof.LET_IN:
        reason = "the server let us in without any password, which says nothing about this one"
        return Outcome(Probe.UNKNOWN, _named(reason, code), code)
    if proof is Proof.ANSWERED and code == REFUSED:
        return Outcome(Probe.DEAD, _named("the server refused the password", code), code)
    reason = words or _UNKNOWN.get(code, "the server could not accept the login now")
    return Outcome(Probe.UNKNOWN, _named(reason, code), code, full=full)


def _named(reason: str, code: str) -> str:
    """Return reason with the server's code, unless the code has other than letters and digits."""
    return f"{reason} ({code})" if code.isalnum() else reason
