"""What is asked of a request beyond policy, wired together: from where, how often, with whom."""

from collections.abc import Callable
from typing import Final

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.approvals.approvals import Approvals
from ironkeep.access.approvals.approvers import Approvers
from ironkeep.access.budgets.budgets import Budgets
from ironkeep.access.classes.classes import Classes
from ironkeep.access.devices.devices import Devices
from ironkeep.access.guards import Guards
from ironkeep.access.segments.flow_table import FlowTable
from ironkeep.access.step_up.authenticators import Authenticators
from ironkeep.access.step_up.step_ups import StepUps
from ironkeep.core.event import Entry
from ironkeep.identity.entities import Identity
from ironkeep.identity.tokens import Tokens
from ironkeep.journal.journal import Receipt
from ironkeep.seal.segments import Segments
from ironkeep.store.history import History
from ironkeep.store.reserved import StoreOf


class Gate:
    """The services that the pipeline asks between policy and the handler.

    `address` is where people reach the server, for links that they are given.
    """

    def __init__(
        self,
        stores: StoreOf,
        history: History,
        identity: Identity,
        tokens: Tokens,
        segments: Segments,
        append: Callable[[Entry], Receipt],
        address: str,
    ) -> None:
        self.devices: Final = Devices(stores)
        self.classes: Final = Classes(stores, history)
        self.alerts: Final = Alerts(stores, append)
        self.authenticators: Final = Authenticators(stores, self.alerts)
        self.step_ups: Final = StepUps(stores, self.authenticators)
        tokens.on_ended.append(self.step_ups.ended)
        self.budgets: Final = Budgets(stores, identity)
        approvers = Approvers(identity, self.devices, self.authenticators)
        self.approvals: Final = Approvals(stores, tokens, approvers, self.alerts)
        self.guards: Final = Guards(
            self.classes, self.alerts, self.budgets, self.approvals, self.step_ups, address
        )
        self.flows: Final = FlowTable(stores, history, segments, self.devices, tokens.store)
        self.on_client_ca: Callable[[bytes], None] = _unheard


def _unheard(_certificate: bytes) -> None:
    """No listener takes client certificates."""
