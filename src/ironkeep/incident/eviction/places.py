"""The places at which the credentials of a case are accepted, for each of their systems."""

from collections.abc import Container, Iterator

from ironkeep.core.evidence.node import NodeId
from ironkeep.credentials.connections import ConnectionId
from ironkeep.credentials.store import CredentialId
from ironkeep.incident.case.workspace import Workspace
from ironkeep.plugin.effects.effects import Turn
from ironkeep.store.state import Tx


def put_on_record(workspace: Workspace, which: CredentialId, turn: Turn) -> None:
    """Put the endpoints of a credential's connection on record, for the verdict to ask about."""
    credentials = workspace.house.credentials
    credentials.put_on_record(turn, credentials.store.connection_of(turn.tx, which))


def systems_of(
    workspace: Workspace, version: NodeId, system: NodeId
) -> Iterator[tuple[NodeId, Container[str] | None]]:
    """Yield the system that a credential opens now, and former ones with their endpoints."""
    yield system, None
    estate = workspace.file.estate
    for other in estate.verifiers(version):
        if other != system and other in estate.addresses:
            yield other, estate.addresses[other].all()


def connections_to(workspace: Workspace, system: NodeId, tx: Tx) -> Iterator[ConnectionId]:
    """Yield every connection that leads to a system now, except in sealed segments."""
    connections = workspace.house.credentials.connections
    for mount in workspace.names.mounts():
        if workspace.names.is_sealed(mount):
            continue
        for name in connections.names(tx, mount.uuid):
            which = ConnectionId(mount.uuid, name)
            if connections.get(tx, which).system == system:
                yield which
