"""Present one password to one PostgreSQL server, within a fixed time."""

import ssl
from contextlib import suppress
from typing import Final

import msgspec

from ironkeep.connectors.postgresql import channel, scram, wire
from ironkeep.connectors.postgresql.channel import Budget, Channel
from ironkeep.connectors.postgresql.login import Login
from ironkeep.connectors.postgresql.outcome import Outcome
from ironkeep.core.credential.connector import ProbeResult, Target
from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Clock, Entropy
from ironkeep.core.secret import Secret

PROBE_SECONDS: Final = 10
"""Time for the whole probe: connection, TLS, login and one statement."""

PROBE_BYTES: Final = 1024 * 1024
"""Bytes that the server may send; a login takes about 500, and a module may add notices."""

_NS_PER_MS: Final = 1_000_000


def present(
    target: Target, username: str, password: Secret, clock: Clock, entropy: Entropy
) -> ProbeResult:
    """Log in to target as username with password; return a result in every case."""
    started = clock.now_ns()
    login = Login(
        username,
        password,
        target.database,
        scram.nonce(entropy.token(scram.NONCE_BYTES)),
        pooler=target.pooler,
    )
    outcome = _attempt(target, login)
    took = (clock.now_ns() - started) // _NS_PER_MS
    return ProbeResult(
        outcome.state,
        outcome.reason,
        target.endpoint,
        outcome.code,
        took,
        blocked=outcome.blocked,
        full=outcome.full,
        unreached=outcome.unreached,
    )


def _attempt(target: Target, login: Login) -> Outcome:
    """Run login; a broken connection leaves the outcome to what was proven before."""
    reached = False
    try:
        with channel.opened(target, Budget(PROBE_SECONDS, PROBE_BYTES)) as way:
            reached = True
            if target.bind:
                login.bind(way.certificate())
            outcome = converse(way, login)
            with suppress(OSError):
                way.send(wire.TERMINATE)
            return outcome
    except (OSError, IntegrityError) as failure:
        outcome = login.broken_off(words_for(failure))
        return outcome if reached else msgspec.structs.replace(outcome, unreached=True)


def converse(way: Channel, login: Login) -> Outcome:
    """Send and receive until the login is decided."""
    way.send(login.start())
    while login.outcome is None:
        way.send(login.receive(way.next()))
    return login.outcome


def words_for(failure: OSError | IntegrityError) -> str:
    """Return the reason why a connection broke, as a clause."""
    match failure:
        case IntegrityError():
            return str(failure)
        case ConnectionResetError():
            return "the server closed the connection"
        case TimeoutError():
            return "the server did not answer in time"
        case ssl.SSLError():
            return f"TLS failed: {failure.reason or 'closed'}"
        case _:
            return f"cannot reach the server: {failure.strerror or 'the host is not known'}"
