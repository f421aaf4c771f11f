"""The auth method `token`, mounted once, at auth/token/: tokens made by tokens.

    create      which policies, parent, lifetime and type a caller may ask for
    lifecycle   looking up, renewing and revoking tokens
    roles       token roles, which fix or limit the tokens made through them

Tokens themselves are stored by identity/token_store.py; this method only checks requests.
"""

from collections.abc import Sequence
from typing import Final

from ironkeep.auth.token import create, lifecycle, roles
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route

ROUTES: Final[tuple[Route, ...]] = (*create.ROUTES, *lifecycle.ROUTES, *roles.ROUTES)


class TokenMethod:
    """The auth method `token`; the server mounts it once, and it cannot be mounted again."""

    type: Final = "token"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes, the same for each mount."""
        del mount
        return ROUTES
