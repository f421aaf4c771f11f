"""How an account comes into care: its password is tried first, and nothing stays of a refusal."""

from dataclasses import dataclass
from functools import partial

from ironkeep.core.credential.connector import Probe
from ironkeep.core.credential.rotation_record import Strategy
from ironkeep.core.errors import Conflict, InvalidRequest, UpstreamFailed
from ironkeep.core.secret import Secret
from ironkeep.credentials import jobs as performing
from ironkeep.credentials.connections import Connection, ConnectionId
from ironkeep.credentials.jobs import Shown
from ironkeep.credentials.managed import Credentials, Rotated
from ironkeep.credentials.store import Credential, CredentialId
from ironkeep.plugin.effects.answer import Outside
from ironkeep.plugin.effects.effects import Steps, Turn


@dataclass(frozen=True, slots=True)
class Admission:
    """An account to take in; `known` is its password, and with `keep` it stays that."""

    which: CredentialId
    about: Credential
    strategy: Strategy
    known: Secret | None
    keep: bool


def admit(credentials: Credentials, turn: Turn, given: Admission) -> Steps[Rotated | list[str]]:
    """Try the given password, keep the account, and rotate it unless its password is to stay.

    Return the rotation, or else the warnings.
    """
    warnings: list[str] = []
    if given.known is not None:
        where = ConnectionId(given.which.mount, given.about.connection)
        connection = credentials.connections.get(turn.tx, where)
        account = performing.Account(
            credentials.connections.connector(connection),
            connection.targets(credentials.admin_secret(turn.tx, where)),
            connection.system,
            given.about.username,
        )
        presented = partial(performing.present, account, given.known)
        turn, shown = yield Outside(presented, account.system)
        # It was out for a while: another request may have made the role, or moved the connection.
        if credentials.store.find(turn.tx, given.which) is not None:
            raise Conflict("the role was made by somebody else meanwhile: read it first")
        if credentials.connections.get(turn.tx, where) != connection:
            raise Conflict("the connection was changed by somebody else meanwhile: try again")
        warnings = _judged(connection, shown, given)
    credentials.create(turn, given.which, given.about, given.strategy, given.known)
    if given.keep:
        return warnings
    outcome: Rotated = yield from credentials.rotate(turn, given.which)
    return outcome


def _judged(connection: Connection, shown: Shown, given: Admission) -> list[str]:
    """Return what to warn of when a password is taken in; raise when it is not."""
    if shown.state is Probe.ALIVE:
        return [] if not shown.blocked else [f"the password is kept, but {shown.reason}"]
    if shown.state is Probe.DEAD or shown.refused:
        raise InvalidRequest(f"the database does not take this password: {shown.reason}")
    if not given.keep and given.strategy is Strategy.ADMIN:
        return []  # the administering account sets a new one, whatever this one is
    if connection.verify:
        raise UpstreamFailed(
            f"the password could not be tried, and nothing was kept: {shown.reason}. Write "
            "verify_connection=false to the connection to take passwords in untried"
        )
    return [f"the password was kept untried: {shown.reason}"]
