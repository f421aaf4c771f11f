"""One login to PostgreSQL as a state machine without I/O; outcome.py interprets its end.

It presents a password by SCRAM only, so that a false server learns nothing. It trusts a login only
when the server has proved that it knows the verifier: a server that accepts every password proves
nothing about this one. Failures are recognised by SQLSTATE, which is the same in every language.
"""

from enum import Enum
from typing import Final

from ironkeep.connectors.postgresql import scram, wire
from ironkeep.connectors.postgresql.outcome import REFUSED, Outcome, Proof, finished, judge
from ironkeep.core.errors import IntegrityError
from ironkeep.core.secret import Secret

ACTION: Final = "SELECT now()"
"""The harmless statement that a live credential must be able to run."""

MAX_RELEASE: Final = 64
"""Characters of the version that the server reports."""

_AUTH_OK: Final = 0
_AUTH_SASL: Final = 10
_AUTH_SASL_CONTINUE: Final = 11
_AUTH_SASL_FINAL: Final = 12
_AUTH_DONE: Final = -1

_PROTOCOL: Final = "08P01"
_REFUSALS: Final = frozenset({b"SASL authentication failed", b"password authentication failed"})
"""PgBouncer's words for a proof that does not match the verifier; it does not translate them."""

_NEXT: Final = {
    _AUTH_SASL: _AUTH_SASL_CONTINUE,
    _AUTH_SASL_CONTINUE: _AUTH_SASL_FINAL,
    _AUTH_SASL_FINAL: _AUTH_OK,
    _AUTH_OK: _AUTH_DONE,
}


class _Phase(Enum):
    AUTHENTICATING = 1
    STARTING = 2
    ACTING = 3


class Login:
    """One attempt to log in and run an action; `outcome` is None until it is decided.

    Without an action the login ends when the server is ready for queries. `release` is the version
    that the server reports, `process` the number of the process that a cancellation would name.
    """

    def __init__(
        self,
        username: str,
        password: Secret,
        database: str,
        nonce: bytes,
        *,
        action: str = ACTION,
        program: str = "ironkeep probe",
        options: str = "",
        pooler: bool = False,
    ) -> None:
        self._start = wire.startup(username, database, program, options)
        self._secret = password, nonce
        self._exchange = scram.Exchange(password, nonce)
        self._mechanism = scram.MECHANISM
        self._phase = _Phase.AUTHENTICATING
        self._expected = _AUTH_SASL
        self._pooler = pooler
        self._action = action
        self._acted = False
        self._proof = Proof.NOTHING
        self.release = ""
        self.process = 0
        self.outcome: Outcome | None = None

    def bind(self, certificate: bytes) -> None:
        """Make the proof cover the server's certificate, in DER; refuse a server that cannot."""
        self._exchange = scram.Exchange(*self._secret, scram.end_point(certificate))
        self._mechanism = scram.BOUND_MECHANISM

    def start(self) -> bytes:
        """Return the first bytes to send."""
        return self._start

    @property
    def presented(self) -> bool:
        """Return whether the server has been sent a proof of the password."""
        return self._proof in {Proof.ANSWERED, Proof.SIGNATURE}

    def broken_off(self, words: str) -> Outcome:
        """Return the outcome when the connection broke before a decision; words give the reason."""
        if self._proof is Proof.SIGNATURE:
            words = f"but then {words}"
        return judge(self._proof, "", words)

    def receive(self, message: wire.Message) -> bytes:
        """Take one message from the server and return the bytes to send back, or b"".

        Raise IntegrityError when the server breaks the protocol or fails to prove itself.
        """
        match message.kind:
            case b"R":
                return self._authenticate(*wire.authentication(message.body))
            case b"E":
                self.outcome = judge(self._proof, self._code(message.body))
            case b"D":
                self._acted = self._phase is _Phase.ACTING
            case b"S":
                self._noted(*wire.parameter(message.body))
            case b"K":
                self.process = wire.process(message.body)
            case b"Z":
                return self._ready()
            case _:
                pass  # notices and row headers do not matter here
        return b""

    def _code(self, error: bytes) -> str:
        """Return an error's SQLSTATE; PgBouncer before 1.20 has one for every error of a login."""
        code = wire.sqlstate(error)
        refused = self._pooler and code == _PROTOCOL and wire.words(error) in _REFUSALS
        return REFUSED if refused else code

    def _noted(self, name: str, value: str) -> None:
        if name == "server_version":
            self.release = value[:MAX_RELEASE]

    def _authenticate(self, code: int, rest: bytes) -> bytes:
        if code == _AUTH_OK and self._expected != _AUTH_OK:
            self._proof = Proof.LET_IN
            self.outcome = judge(self._proof, "")
            return b""
        offered = code != _AUTH_SASL or self._mechanism in wire.mechanisms(rest)
        if code != self._expected or not offered:
            words = f"the server does not ask for a {self._mechanism} login"
            self.outcome = judge(self._proof, "", words)
            return b""
        # Each step happens once, in this order: a server must not cause repeated key derivations.
        self._expected = _NEXT[code]
        if code == _AUTH_SASL:
            return wire.sasl_initial(self._mechanism, self._exchange.first())
        if code == _AUTH_SASL_CONTINUE:
            response = wire.sasl_response(self._exchange.final(rest))
            self._proof = Proof.ANSWERED
            return response
        if code == _AUTH_SASL_FINAL:
            self._exchange.verify(rest)
            self._proof = Proof.SIGNATURE
        else:
            self._phase = _Phase.STARTING
        return b""

    def _ready(self) -> bytes:
        if self._phase is _Phase.STARTING and self._action:
            self._phase = _Phase.ACTING
            return wire.query(self._action)
        if self._phase is _Phase.STARTING or (self._phase is _Phase.ACTING and self._acted):
            self.outcome = finished()
            return b""
        raise IntegrityError("the server reported that it is ready too early")
