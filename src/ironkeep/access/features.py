"""The features wired together: their services, their due records, their routes below `sys/`.

This is the only list of the features. To delete one, remove it from here and, if reads of secrets
ask it, from access/guards.py.
"""

from collections.abc import Callable
from typing import Final

from ironkeep.access.alerts import routes as alert_routes
from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.approvals import control_group
from ironkeep.access.approvals.approvals import Approvals
from ironkeep.access.approvals.approvers import Approvers
from ironkeep.access.break_glass import routes as break_glass_routes
from ironkeep.access.budgets import budgets, routes as budget_routes
from ironkeep.access.budgets.budgets import Budgets
from ironkeep.access.classes import routes as class_routes
from ironkeep.access.classes.classes import Classes
from ironkeep.access.devices.devices import Devices
from ironkeep.access.guards import Guards
from ironkeep.access.identity_report import routes as identity_report_routes
from ironkeep.access.second_person import Approval
from ironkeep.access.segments.flow_table import FlowTable
from ironkeep.access.step_up.authenticators import Authenticators
from ironkeep.access.step_up.step_ups import StepUps
from ironkeep.core.event import Entry
from ironkeep.identity.entities import Identity
from ironkeep.identity.tokens import Tokens
from ironkeep.journal.journal import Receipt
from ironkeep.plugin.route import Route
from ironkeep.plugin.services import Services
from ironkeep.plugin.settings import ServerSettings
from ironkeep.seal.segments import Segments
from ironkeep.store.barrier import DueRecord
from ironkeep.store.history import History
from ironkeep.store.state import Tx

SYSTEM_ROUTES: Final[tuple[Route, ...]] = (
    *identity_report_routes.ROUTES,
    *budget_routes.ROUTES,
    *class_routes.ROUTES,
    *control_group.ROUTES,
    *alert_routes.ROUTES,
    *break_glass_routes.ROUTES,
)
"""The routes of features below `sys/`; the other features are engines of their own."""


class Features:
    """The services of all features.

    `due` maps a reserved place to the function that handles its records once they are due.
    """

    def __init__(self, services: Services, append: Callable[[Entry], Receipt]) -> None:
        stores, history = services.store, services.use(History)
        identity, tokens = services.use(Identity), services.use(Tokens)
        self.devices: Final = Devices(stores)
        self.classes: Final = Classes(stores, history)
        self.alerts: Final = Alerts(stores, append)
        self.authenticators: Final = Authenticators(stores, self.alerts)
        self.step_ups: Final = StepUps(
            stores, self.authenticators, services.use(ServerSettings).api_addr
        )
        tokens.on_ended.append(self.step_ups.ended)
        self.budgets: Final = Budgets(stores, identity)
        approvers = Approvers(identity, self.devices, self.authenticators)
        self.approvals: Final = Approvals(stores, tokens, approvers, self.alerts)
        self.guards: Final = Guards(
            self.classes,
            self.alerts,
            self.budgets,
            self.approvals,
            self.step_ups,
        )
        self.flows: Final = FlowTable(
            stores, history, services.use(Segments), self.devices, tokens.store
        )
        self.due: Final[dict[str, Callable[[Tx, DueRecord, int], None]]] = {
            budgets.PLACE: self.budgets.expire,
        }
        services.provide_as(Approval, self.approvals)
        services.provide(
            self.devices,
            self.classes,
            self.alerts,
            self.authenticators,
            self.step_ups,
            self.budgets,
            self.approvals,
            self.flows,
            self.guards,
        )
