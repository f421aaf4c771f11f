"""The auth method `token`, mounted at auth/token/: tokens made by tokens."""

from collections.abc import Sequence
from typing import Final

from ironkeep.auth.token import create, lifecycle, roles
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route

ROUTES: Final[tuple[Route, ...]] = (*create.ROUTES, *lifecycle.ROUTES, *roles.ROUTES)


class TokenMethod:
    """The auth method `token`; mounted once, by the house."""

    type: Final = "token"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes, the same for each mount."""
        del mount
        return ROUTES
