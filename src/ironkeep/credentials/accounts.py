"""The accounts behind credentials, and the operations on them that change no password.

An `Account` has the connector, the hosts and the administering password that a job needs. The
operations present a version, list or end sessions, and lock or unlock the account. Each is an
effect (plugin/effects/effects.py), and all but the list of sessions are journalled. Responders
need to end sessions and to lock at once, so neither waits for a rotation of the credential.
"""

from functools import partial
from typing import Final

import msgspec

from ironkeep.core.credential.inventory import InventoryItem
from ironkeep.core.errors import TooManyRequests
from ironkeep.core.secret import Secret
from ironkeep.credentials import jobs
from ironkeep.credentials.connections import ConnectionId, Connections
from ironkeep.credentials.jobs import Account
from ironkeep.credentials.outcomes import Ended, Outcomes, Probed
from ironkeep.credentials.rotation import recent_refusals
from ironkeep.credentials.rotation_record import RotationState
from ironkeep.credentials.store import CredentialId, CredentialStore
from ironkeep.plugin.effects.answer import Outside
from ironkeep.plugin.effects.effects import Effects, Steps, Turn, key_of
from ironkeep.store.state import Tx


class Accounts:
    """Finds the account of a credential, and acts on it at its system."""

    def __init__(
        self,
        store: CredentialStore,
        connections: Connections,
        effects: Effects,
        outcomes: Outcomes,
    ) -> None:
        self._store: Final = store
        self._connections: Final = connections
        self._effects: Final = effects
        self._outcomes: Final = outcomes

    def admin(self, which: ConnectionId) -> CredentialId:
        """Return the credential of a connection's administering account."""
        return CredentialId(which.mount, f"config/{which.name}")

    def admin_secret(self, tx: Tx, which: ConnectionId) -> Secret:
        """Return the password of a connection's administering account; raise NotFound."""
        admin = self.admin(which)
        serving = self._store.record(tx, admin).serving
        assert serving is not None, "an account that sets its own password has a current version"
        return self._store.secret(tx, admin, serving)

    def admin_secrets(self, tx: Tx, which: ConnectionId) -> list[Secret]:
        """Return the password of the administering account, then those that replicas may ask for.

        The others are of a rotation that the first host has finished and a replica has not yet.
        """
        admin = self.admin(which)
        record = self._store.record(tx, admin)
        earlier = [self._store.secret(tx, admin, each) for each in record.awaited()]
        return [self.admin_secret(tx, which), *earlier]

    def account(self, tx: Tx, which: CredentialId, *, everywhere: bool = False) -> Account:
        """Return the account of a credential, with all that a job needs to act on it.

        With `everywhere`, also at poolers, and at hosts that are not configured any more.
        """
        about = self._store.about(tx, which)
        connection_id = ConnectionId(which.mount, about.connection)
        connection = self._connections.get(tx, connection_id)
        passwords = self.admin_secrets(tx, connection_id)
        targets = (connection.everywhere if everywhere else connection.targets)(*passwords)
        connector = self._connections.connector(connection)
        return Account(connector, targets, connection.system, about.username)

    def probe(
        self, turn: Turn, which: CredentialId, version: int, *, everywhere: bool = True
    ) -> Steps[Probed]:
        """Present one version to every host, and to former hosts and poolers unless told not to.

        Raise TooManyRequests when the account has had its limit of refused logins in a minute, or
        half of it while a rotation waits for the rest: frequent probes would keep it from ending.
        """
        with self._effects.claimed(claim_of(which)):
            record = self._store.record(turn.tx, which)
            is_free = record.state in {RotationState.IDLE, RotationState.LOST}
            limit = record.refusals if is_free else max(record.refusals // 2, 1)
            if len(recent_refusals(record, turn.now_ns)) >= limit:
                raise TooManyRequests(
                    "the account has had its limit of refused logins in a minute: "
                    "try again in a minute"
                )
            account = self.account(turn.tx, which, everywhere=everywhere)
            secret = self._store.secret(turn.tx, which, version)
            began_ns = turn.now_ns
            turn, shown = yield Outside(partial(jobs.present, account, secret), account.system)
            if shown.refused:
                self._count_refusal(turn, which)
            return self._outcomes.presented(turn, which, account, version, began_ns, shown)

    def kill(self, turn: Turn, which: CredentialId) -> Steps[Ended]:
        """End every session of the account, and count those that remain and logins under way.

        It looks at every host, former host and pooler.
        """
        with self._effects.claimed(f"sessions of {claim_of(which)}", urgent=True):
            account = self.account(turn.tx, which, everywhere=True)
            began_ns = turn.now_ns
            work = partial(jobs.end_sessions, account, settle=True)
            turn, hosts = yield Outside(work, account.system, urgent=True)
            return self._outcomes.ended(turn, which, account, hosts, began_ns)

    def sessions(
        self, turn: Turn, which: CredentialId
    ) -> Steps[tuple[tuple[str, InventoryItem], ...]]:
        """Return (endpoint, session) for every open session of the account."""
        account = self.account(turn.tx, which, everywhere=True)
        work = partial(jobs.sessions, account)
        _, found = yield Outside(work, account.system, urgent=True)
        return found  # type: ignore[no-any-return]

    def lock(self, turn: Turn, which: CredentialId) -> Steps[None]:
        """Forbid new logins of the account; open sessions continue."""
        with self._effects.claimed(f"lock of {claim_of(which)}", urgent=True):
            account = self.account(turn.tx, which)
            work = partial(jobs.lock, account)
            turn, _ = yield Outside(work, account.system, urgent=True)
            self._outcomes.switched(turn, which, account, "lock")
            self._note_lock(turn, which, locked=True)

    def unlock(self, turn: Turn, which: CredentialId) -> Steps[None]:
        """Allow logins of the account again."""
        with self._effects.claimed(f"lock of {claim_of(which)}", urgent=True):
            account = self.account(turn.tx, which)
            work = partial(jobs.unlock, account)
            turn, _ = yield Outside(work, account.system, urgent=True)
            self._outcomes.switched(turn, which, account, "unlock")
            self._note_lock(turn, which, locked=False)

    def _note_lock(self, turn: Turn, which: CredentialId, *, locked: bool) -> None:
        about = self._store.find(turn.tx, which)
        if about is not None:  # it may have been removed meanwhile
            about = msgspec.structs.replace(about, locked=locked)
            self._store.write_about(turn.tx, which, about)

    def _count_refusal(self, turn: Turn, which: CredentialId) -> None:
        record = self._store.record(turn.tx, which)
        refused = (*recent_refusals(record, turn.now_ns), turn.now_ns)
        counted = msgspec.structs.replace(record, refused_ns=refused)
        self._store.write_record(turn.tx, which, counted, turn.now_ns)


def claim_of(which: CredentialId) -> str:
    """Return the claim that admits one operation at a time on the credential's versions."""
    return key_of(which.mount, which.row)
