"""The database engine: passwords of existing accounts, rotated, watched, proved dead."""

from collections.abc import Sequence
from typing import Final

from ironkeep.engines.database import care, configuration, roles, watch
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route

ROUTES: Final = (*configuration.ROUTES, *roles.ROUTES, *care.ROUTES, *watch.ROUTES)


class Database:
    """Vault's `database`, for static roles."""

    type: Final = "database"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes of all the parts."""
        return ROUTES
