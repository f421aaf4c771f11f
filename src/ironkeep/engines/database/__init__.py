"""The database engine: rotates passwords of existing accounts and checks that old ones fail.

    configuration   connections: config/, reset/, rotate-root/; parsed by url and statements
    roles           static roles: static-roles/, static-creds/, rotate-role/, break-glass/
    admission       the first password of a new role: presented, then rotated
    care            actions of a responder on one account: probe/, sessions/, kill/, lock/, unlock/
    watch           inventory/, baseline/, diff/, explain/: who can get into the system, and changes

The engine parses requests and answers them. The state machine of a rotation, the store of versions
and all work at the database are in `credentials`; slow work there is an effect (plugin.effects),
so a crash at any point leaves a record from which the rotation continues. No password is ever
returned except by static-creds/, and only the current one.
"""

from collections.abc import Sequence
from typing import Final

from ironkeep.engines.database import care, configuration, roles, watch
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route

ROUTES: Final = (*configuration.ROUTES, *roles.ROUTES, *care.ROUTES, *watch.ROUTES)


class Database:
    """Vault's `database` engine, for static roles."""

    type: Final = "database"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes of all parts."""
        return ROUTES
