"""What is asked of a request beyond policy, wired together: from where, how often, with whom."""

from collections.abc import Callable
from typing import Final

from ironkeep.core.event import Entry
from ironkeep.kernel.alerts import Alerts
from ironkeep.kernel.approvals import Approvals
from ironkeep.kernel.approvers import Approvers
from ironkeep.kernel.authenticators import Authenticators
from ironkeep.kernel.budgets import Budgets
from ironkeep.kernel.classes import Classes
from ironkeep.kernel.devices import Devices
from ironkeep.kernel.flow_table import FlowTable
from ironkeep.kernel.guards import Guards
from ironkeep.kernel.history import History
from ironkeep.kernel.identity import Identity
from ironkeep.kernel.journal import Receipt
from ironkeep.kernel.places import StoreOf
from ironkeep.kernel.segments import Segments
from ironkeep.kernel.step_ups import StepUps
from ironkeep.kernel.tokens import Tokens


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
