"""Admit an account: try its password first, and store nothing when the database refuses it."""

from dataclasses import dataclass
from functools import partial

from ironkeep.core.credential.connector import Probe
from ironkeep.core.errors import Conflict, InvalidRequest, UpstreamFailed
from ironkeep.core.event import WROTE, Value
from ironkeep.core.secret import Secret
from ironkeep.credentials import jobs
from ironkeep.credentials.connections import Connection, ConnectionId
from ironkeep.credentials.jobs import Shown
from ironkeep.credentials.managed import Credentials, Rotated
from ironkeep.credentials.rotation_record import Strategy
from ironkeep.credentials.store import Credential, CredentialId
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.answer import Outside
from ironkeep.plugin.effects.effects import Steps, Turn
from ironkeep.plugin.response import Response


@dataclass(frozen=True, slots=True)
class Admission:
    """An account to admit; `known` is its present password, which `keep` leaves in place."""

    which: CredentialId
    about: Credential
    strategy: Strategy
    known: Secret | None
    keep: bool


def admit(credentials: Credentials, turn: Turn, given: Admission) -> Steps[Rotated | list[str]]:
    """Try the given password, store the account, and rotate the password unless `keep` is set.

    Return the rotation, or the warnings if there was none.
    """
    warnings: list[str] = []
    if given.known is not None:
        where = ConnectionId(given.which.mount, given.about.connection)
        connection = credentials.connections.get(turn.tx, where)
        account = jobs.Account(
            credentials.connections.connector(connection),
            connection.targets(credentials.accounts.admin_secret(turn.tx, where)),
            connection.system,
            given.about.username,
        )
        presented = partial(jobs.present, account, given.known)
        turn, shown = yield Outside(presented, account.system)
        # Other requests ran meanwhile and may have created the role or changed the connection.
        if credentials.store.find(turn.tx, given.which) is not None:
            raise Conflict("another request created the role meanwhile: read it first")
        if credentials.connections.get(turn.tx, where) != connection:
            raise Conflict("another request changed the connection meanwhile: try again")
        warnings = _judged(connection, shown, given)
    credentials.create(turn, given.which, given.about, given.strategy, given.known)
    if given.keep:
        return warnings
    outcome: Rotated = yield from credentials.rotate(turn, given.which)
    return outcome


def _judged(connection: Connection, shown: Shown, given: Admission) -> list[str]:
    """Return the warnings for an accepted password; raise when it is not accepted."""
    if shown.state is Probe.ALIVE:
        return [] if not shown.blocked else [f"the password is stored, but {shown.reason}"]
    if shown.state is Probe.DEAD or shown.refused:
        raise InvalidRequest(f"the database refuses this password: {shown.reason}")
    if not given.keep and given.strategy is Strategy.ADMIN:
        return []  # the administering account sets a new password anyway
    if connection.verify:
        raise UpstreamFailed(
            f"the password could not be tried, and nothing was stored: {shown.reason}. Write "
            "verify_connection=false to the connection to accept untried passwords"
        )
    return [f"the password was stored untried: {shown.reason}"]


def stored(call: Call, which: CredentialId, warnings: list[str], *, by_hand: bool) -> Response:
    """Answer a change of an account; by hand, whoever asked knows the password that it stored."""
    current = call.use(Credentials).store.current(call.tx, which) if by_hand else None
    wrote: dict[str, Value] = {} if current is None else {WROTE: f"{which.path}@{current}"}
    return Response(warnings=warnings, audited=wrote)
