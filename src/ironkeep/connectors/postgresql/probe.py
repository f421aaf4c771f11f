"""Present one password to one PostgreSQL server over a socket, within a fixed time."""

import socket
import ssl
from contextlib import suppress
from typing import Final

from ironkeep.connectors.postgresql import scram, wire
from ironkeep.connectors.postgresql.login import Login, Outcome
from ironkeep.core.connector import Probe, ProbeResult, Target, Tls
from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Clock, Entropy
from ironkeep.core.secret import Secret

CONNECT_SECONDS: Final = 5
"""For each address of the host; a server that takes longer is of no use to its application."""

PROBE_SECONDS: Final = 10
"""For everything after the connection: TLS, login, one statement."""

_CHUNK: Final = 8192
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000


def present(
    target: Target, username: str, password: Secret, clock: Clock, entropy: Entropy
) -> ProbeResult:
    """Log in to target as username with password; return what that showed, whatever happens."""
    started = clock.now_ns()
    login = Login(
        username, password, target.database, scram.nonce(entropy.token(scram.NONCE_BYTES))
    )
    outcome = _attempt(target, login, clock)
    took = (clock.now_ns() - started) // _NS_PER_MS
    return ProbeResult(outcome.state, outcome.reason, target.endpoint, outcome.code, took)


def _attempt(target: Target, login: Login, clock: Clock) -> Outcome:
    """Run login; everything that is not the server's own word is UNKNOWN."""
    try:
        with socket.create_connection((target.host, target.port), CONNECT_SECONDS) as raw:
            return _converse(raw, target, login, clock)
    except TimeoutError:
        return Outcome(Probe.UNKNOWN, "the server did not answer in time")
    except ssl.SSLError as failure:
        return Outcome(Probe.UNKNOWN, f"TLS failed: {failure.reason or 'closed'}")
    except IntegrityError as failure:
        return Outcome(Probe.UNKNOWN, str(failure))
    except OSError as failure:
        reason = failure.strerror or "the host is not known"
        return Outcome(Probe.UNKNOWN, f"cannot reach the server: {reason}")


def _converse(raw: socket.socket, target: Target, login: Login, clock: Clock) -> Outcome:
    """Send and receive until the login is decided or the time is over."""
    deadline = clock.now_ns() + PROBE_SECONDS * _NS_PER_S
    reader = wire.Reader()
    with _secured(raw, target, deadline, clock) as channel:
        channel.sendall(login.start())
        while True:
            channel.settimeout(_remaining(deadline, clock))
            data = channel.recv(_CHUNK)
            if not data:
                return Outcome(Probe.UNKNOWN, "the server closed the connection")
            for message in reader.feed(data):
                reply = login.receive(message)
                if login.outcome:
                    _leave(channel)
                    return login.outcome
                channel.sendall(reply)


def _leave(channel: socket.socket) -> None:
    """Say goodbye; the outcome is decided, so a connection that is already gone changes nothing."""
    with suppress(OSError):
        channel.sendall(wire.TERMINATE)


def _secured(raw: socket.socket, target: Target, deadline: int, clock: Clock) -> socket.socket:
    """Return raw, or raw under TLS when target asks for it; raise IntegrityError when refused."""
    raw.settimeout(_remaining(deadline, clock))
    if target.tls is Tls.DISABLE:
        return raw
    context = ssl.create_default_context(cafile=target.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    raw.sendall(wire.SSL_REQUEST)
    # Exactly one byte: what else came in the clear must reach TLS, and fail there, not be believed.
    if raw.recv(1) != b"S":
        raise IntegrityError("the server does not offer TLS")
    return context.wrap_socket(raw, server_hostname=target.host)


def _remaining(deadline: int, clock: Clock) -> float:
    """Return the seconds left, more than zero; raise TimeoutError when there are none."""
    left = deadline - clock.now_ns()
    if left <= 0:
        raise TimeoutError
    return left / _NS_PER_S
