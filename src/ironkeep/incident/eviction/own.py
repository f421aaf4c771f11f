"""Own work in a sweep: differences that the vault itself made explain themselves.

A rotation changes the password's verifier, and a lock the right to log in. The system has one
verifier for an account: while it accepts the vault's current version, that verifier is the one that
the vault set. Everything else about the account still needs an explanation by a person.
"""

from collections.abc import Iterator
from typing import Final

from ironkeep.core.credential.connector import Probe
from ironkeep.core.credential.inventory import Changed, Kind
from ironkeep.core.errors import NotFound, TooManyRequests
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId
from ironkeep.credentials.baselines import Comparison, text_of
from ironkeep.credentials.outcomes import Probed
from ironkeep.credentials.store import Credential, CredentialId
from ironkeep.incident.case.workspace import Workspace
from ironkeep.incident.eviction.lines import line_of
from ironkeep.incident.eviction.places import connections_to
from ironkeep.plugin.effects.effects import Steps, Turn, settled

OWNER: Final = "ironkeep"
"""The owner of these explanations."""

VERIFIER: Final = "password"
"""The source of the items that a rotation changes, in a connector's inventory."""

LOGIN: Final = "may_log_in"
"""The attribute that a lock changes, in an account's item."""


def explain_own(
    workspace: Workspace, system: NodeId, compared: Comparison, turn: Turn
) -> Steps[set[str]]:
    """Explain the changes that the vault made at the compared host; return them as recorded."""
    found: set[str] = set()
    for cred, about, change in list(_candidates(workspace, system, compared, turn)):
        if change.after.kind is Kind.KEY:
            version = yield from _accepted(workspace, cred, compared, turn)
            turn = yield from settled()
            words = f"version {version}, which this vault set, is the password there"
        else:
            version = 1 if about.locked else 0
            words = "this vault locked the account"
        if version:
            item = line_of(text_of(change.after))
            record = ev.Explained(
                workspace.case, system, item, OWNER, words, workspace.people, measured=True
            )
            workspace.house.scope.note(record, turn.now_ns, workspace.by)
            found.add(item)
    return found


def _candidates(
    workspace: Workspace, system: NodeId, compared: Comparison, turn: Turn
) -> Iterator[tuple[CredentialId, Credential, Changed]]:
    """Yield the changes that a rotation or a lock makes, with the account's credential."""
    credentials = workspace.house.credentials
    accounts: dict[str, tuple[CredentialId, Credential]] = {}
    for which in connections_to(workspace, system, turn.tx):
        for path in credentials.connections.accounts(turn.tx, which).values():
            cred = CredentialId(which.mount, path)
            about = credentials.store.about(turn.tx, cred)
            accounts[about.username] = (cred, about)
    for change in compared.difference.changed:
        known = accounts.get(change.after.name)
        if known is None:
            continue
        since = known[1].rotated_ns > compared.baseline.taken_ns
        rotated = since and change.after.kind is Kind.KEY and change.after.source == VERIFIER
        if rotated or (change.after.kind is Kind.PRINCIPAL and _only_locked(change)):
            yield *known, change


def _only_locked(change: Changed) -> bool:
    before, after = dict(change.before.attributes), dict(change.after.attributes)
    return before | {LOGIN: "false"} == after and before.get(LOGIN) == "true"


def _accepted(
    workspace: Workspace, cred: CredentialId, compared: Comparison, turn: Turn
) -> Steps[int]:
    """Return the current version if the compared host accepts it, else 0."""
    credentials = workspace.house.credentials
    version = credentials.store.current(turn.tx, cred)
    if version is None:
        return 0
    try:
        probed: Probed = yield from credentials.accounts.probe(turn, cred, version)
    except (NotFound, TooManyRequests):
        return 0
    states = [
        each.state
        for each in probed.shown.answers
        if each.host == compared.stock.inventory.endpoint and not each.unreached
    ]
    return version if states and set(states) == {Probe.ALIVE} else 0
