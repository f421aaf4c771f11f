"""The services of credentials, connected to each other and to effects."""

from collections.abc import Callable, Mapping
from typing import Final

from ironkeep.core.credential.connector import Connector
from ironkeep.core.event import Entry
from ironkeep.core.ports import Entropy
from ironkeep.credentials.baselines import Baselines
from ironkeep.credentials.connections import Connections
from ironkeep.credentials.managed import Credentials
from ironkeep.credentials.scope import Scope
from ironkeep.credentials.store import ROOM, CredentialStore
from ironkeep.journal.journal import Receipt
from ironkeep.plugin.effects.effects import Effects
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx


class CredentialServices:
    """Credentials and baselines, and the scope chain, which records every change of both."""

    def __init__(
        self,
        stores: StoreOf,
        entropy: Entropy,
        connectors: Mapping[str, Connector],
        effects: Effects,
        begin: Callable[[], Tx],
        append: Callable[[Entry], Receipt],
    ) -> None:
        connections = Connections(stores, connectors)
        self.credentials: Final = Credentials(
            CredentialStore(stores, entropy), connections, effects
        )
        effects.register(ROOM, self.credentials.resume, self.credentials.turns)
        self.baselines: Final = Baselines(stores, connections, self.credentials, effects)
        self.scope: Final = Scope(stores, begin, append)
        self.credentials.on_linked.append(self.scope.credential_linked)
        self.credentials.on_addressed.append(self.scope.addressed)
        self.baselines.on_baseline.append(self.scope.baselined)
