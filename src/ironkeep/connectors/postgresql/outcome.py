"""What the end of a login says of the password that was presented: one table, without I/O.

Three things decide: what was proven, how far the login came, and the server's own SQLSTATE
("PostgreSQL documentation, Appendix A").

    proof           SQLSTATE      state     blocked
    signature       any, none     ALIVE     unless the login came to its end
    answer sent     28P01         DEAD
    answer sent     any other     UNKNOWN
    nothing sent    any           UNKNOWN
    let in          any, none     UNKNOWN

*signature*: the server proved by SCRAM that it holds the verifier of this password, which it does
only after it has checked ours: the password is right, whatever is refused after it (53300, no
connection left; 28000, NOLOGIN; 42501, no CONNECT; 58P01, a library is missing). *let in*: the
server asked for no password (`trust`), and would have taken any. A 28P01 before our answer was sent
refuses something else than the password.
"""

from enum import Enum
from typing import Final

import msgspec

from ironkeep.core.credential.connector import Probe


class Proof(Enum):
    """How far the two sides came in proving what they know."""

    NOTHING = "nothing was presented"
    ANSWERED = "our proof of the password was sent"
    LET_IN = "the server asked for no password"
    SIGNATURE = "the server proved that it holds the verifier of the password"


class Outcome(msgspec.Struct, frozen=True):
    """What a login showed; the fields are those of core.credential.connector.ProbeResult."""

    state: Probe
    reason: str
    code: str = ""
    blocked: bool = False
    full: bool = False


REFUSED: Final = "28P01"
FULL: Final = "53300"

_BLOCKED: Final = {
    "28000": "but the role may not log in (NOLOGIN), or not by this way",
    "42501": "but the role may not connect to this database",
    "3D000": "but there is no such database",
    "53300": "but no connection is left for the role, the database or the server",
    "57P01": "but the server is stopping",
    "57P02": "but the server is stopping",
    "57P03": "but the server is starting or stopping",
    "58P01": "but a library that the role, the database or the server loads is missing",
}
_UNKNOWN: Final = {
    "28000": "the server turned this address or role away before it asked for the password",
    "28P01": "the server refused the login before the password was presented",
    "53300": "the server has no connection left, and did not ask for the password",
    "57P03": "the server is starting or stopping",
    "3D000": "there is no such database",
}


def finished() -> Outcome:
    """Return the outcome of a login that came to its end."""
    return Outcome(Probe.ALIVE, "logged in")


def judge(proof: Proof, code: str, words: str = "") -> Outcome:
    """Return the outcome of a login that ended at proof with code, or by words of our own."""
    full = code == FULL
    if proof is Proof.SIGNATURE:
        cause = words or _BLOCKED.get(code, "but the server refused what came after it")
        reason = f"the password is right, {cause}"
        return Outcome(Probe.ALIVE, _named(reason, code), code, blocked=True, full=full)
    if proof is Proof.LET_IN:
        reason = "the server let us in without any password, so that this says nothing of it"
        return Outcome(Probe.UNKNOWN, _named(reason, code), code)
    if proof is Proof.ANSWERED and code == REFUSED:
        return Outcome(Probe.DEAD, _named("the server refused the password", code), code)
    reason = words or _UNKNOWN.get(code, "the server could not take the login now")
    return Outcome(Probe.UNKNOWN, _named(reason, code), code, full=full)


def _named(reason: str, code: str) -> str:
    """Return reason with the server's own code, of which nothing but letters and digits is kept."""
    return f"{reason} ({code})" if code.isalnum() else reason
