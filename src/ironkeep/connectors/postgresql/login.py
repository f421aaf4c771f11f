"""One login to PostgreSQL, a state machine without I/O, and what its end says of a credential.

It exists beside the driver because libpq reports a refused login as text in the server's
language, without the SQLSTATE that tells a dead password from a full server. It presents a
password by SCRAM only, so that a false server learns nothing, and believes a login only when the
server proved in turn that it knows the verifier: a server that lets everybody in says nothing
about a password.

SQLSTATE to state, "PostgreSQL documentation, Appendix A":

    28P01                 DEAD     wrong password, no password, expired (VALID UNTIL), no such role
    28000, after proof    DEAD     the password is good, but the role may not log in (NOLOGIN)
    28000, before proof   UNKNOWN  pg_hba.conf turned this address away; the password was not asked
    08* 53* 57* 58* XX*   UNKNOWN  no connection, no room, starting or stopping, broken
    other, before proof   UNKNOWN
    other, after proof    ALIVE    the password was good; the role or database forbade the rest
"""

from enum import Enum
from typing import Final

import msgspec

from ironkeep.connectors.postgresql import scram, wire
from ironkeep.core.connector import Probe
from ironkeep.core.errors import IntegrityError
from ironkeep.core.secret import Secret

ACTION: Final = "SELECT now()"
"""The harmless action that a live credential must be able to perform."""

_AUTH_OK: Final = 0
_AUTH_SASL: Final = 10
_AUTH_SASL_CONTINUE: Final = 11
_AUTH_SASL_FINAL: Final = 12
_AUTH_DONE: Final = -1

_NEXT: Final = {
    _AUTH_SASL: _AUTH_SASL_CONTINUE,
    _AUTH_SASL_CONTINUE: _AUTH_SASL_FINAL,
    _AUTH_SASL_FINAL: _AUTH_OK,
    _AUTH_OK: _AUTH_DONE,
}

_NOT_NOW: Final = ("08", "53", "57", "58", "XX")
_REFUSED: Final = "28P01"
_NOT_ALLOWED: Final = "28000"


class Outcome(msgspec.Struct, frozen=True):
    """What a login showed; `reason` and `code` as in ProbeResult."""

    state: Probe
    reason: str
    code: str = ""


class _Phase(Enum):
    AUTHENTICATING = 1
    STARTING = 2
    ACTING = 3


class Login:
    """One attempt to log in and act; `outcome` is None until it is decided."""

    def __init__(self, username: str, password: Secret, database: str, nonce: bytes) -> None:
        self._start = wire.startup(username, database)
        self._exchange = scram.Exchange(password, nonce)
        self._phase = _Phase.AUTHENTICATING
        self._expected = _AUTH_SASL
        self._acted = False
        self.outcome: Outcome | None = None

    def start(self) -> bytes:
        """Return the first bytes to send."""
        return self._start

    def receive(self, message: wire.Message) -> bytes:
        """Take one message from the server and return what to send back, perhaps nothing.

        Raise IntegrityError when the server breaks the protocol or fails to prove itself.
        """
        match message.kind:
            case b"R":
                return self._authenticate(*wire.authentication(message.body))
            case b"E":
                self.outcome = self._refused(wire.sqlstate(message.body))
            case b"D":
                self._acted = self._phase is _Phase.ACTING
            case b"Z":
                return self._ready()
            case _:
                pass  # notices, parameters, the cancel key, row headers: nothing to decide
        return b""

    def _authenticate(self, code: int, rest: bytes) -> bytes:
        if code == _AUTH_OK and self._expected != _AUTH_OK:
            self.outcome = Outcome(Probe.UNKNOWN, "the server let us in without any password")
            return b""
        offered = code != _AUTH_SASL or scram.MECHANISM in wire.mechanisms(rest)
        if code != self._expected or not offered:
            self.outcome = Outcome(Probe.UNKNOWN, "the server does not ask for a SCRAM login")
            return b""
        # Each step once, in this order: every answer to a challenge costs a key derivation.
        self._expected = _NEXT[code]
        if code == _AUTH_SASL:
            return wire.sasl_initial(scram.MECHANISM, self._exchange.first())
        if code == _AUTH_SASL_CONTINUE:
            return wire.sasl_response(self._exchange.final(rest))
        if code == _AUTH_SASL_FINAL:
            self._exchange.verify(rest)
        else:
            self._phase = _Phase.STARTING
        return b""

    def _ready(self) -> bytes:
        if self._phase is _Phase.STARTING:
            self._phase = _Phase.ACTING
            return wire.query(ACTION)
        if self._phase is _Phase.ACTING and self._acted:
            self.outcome = Outcome(Probe.ALIVE, f"logged in and ran {ACTION}")
            return b""
        raise IntegrityError("the server is ready before it should be")

    def _refused(self, code: str) -> Outcome:
        proved = self._phase is not _Phase.AUTHENTICATING
        if code == _REFUSED:
            return Outcome(Probe.DEAD, "the server refused the password", code)
        if code == _NOT_ALLOWED and proved:
            return Outcome(Probe.DEAD, "the role may not log in", code)
        if code == _NOT_ALLOWED:
            return Outcome(Probe.UNKNOWN, "the server turned this address away", code)
        if not proved or code.startswith(_NOT_NOW):
            return Outcome(Probe.UNKNOWN, "the server could not take the login now", code)
        return Outcome(Probe.ALIVE, "the password was accepted, what came after it refused", code)
