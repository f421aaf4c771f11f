"""The incident engine: all routes below `incident/`, mounted once by the server."""

from collections.abc import Sequence
from typing import Final

from ironkeep.incident.case import (
    cases,
    documents,
    links,
    proof as proving,
    reads,
    root,
    statements,
    views,
)
from ironkeep.incident.eviction import (
    containment as containing,
    endings as ending,
    rotation as evicting,
    sweep as sweeping,
)
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route


class Incident:
    """The plugin for cases, exposure, eviction and proof."""

    type: Final = "incident"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes of all parts."""
        return ROUTES


ROUTES: Final = (
    *cases.ROUTES,
    *views.ROUTES,
    *containing.ROUTES,
    *evicting.ROUTES,
    *ending.ROUTES,
    *sweeping.ROUTES,
    *statements.ROUTES,
    *proving.ROUTES,
    *reads.ROUTES,
    *root.ROUTES,
    *documents.ROUTES,
    *links.ROUTES,
)
