"""The auth method `jwt`: a workload logs in with a token that its platform signed for it.

The token it gets is short-lived and, where the role demands it, bound to a client certificate.

    config   trusted issuer and keys; fetching and caching of published keys
    keys     parsing public keys and verifying signatures
    role     roles: the tokens they accept and the token they yield
    claims   checks of a verified token's claims against a role
    login    logins, and `explain`, which tells an administrator why a token is refused

Source: the Vault HTTP API, auth/jwt, without its logins through a browser (OIDC).
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ironkeep.access.devices.machine import REQUIRED
from ironkeep.access.identity_report.copyable_logins import Copyable
from ironkeep.auth.jwt import claims, config, login, role
from ironkeep.auth.jwt.config import ConfigInput
from ironkeep.auth.jwt.login import LoginInput
from ironkeep.auth.jwt.role import ROLES, RoleInput
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route
from ironkeep.store.barrier import Store

_AT: Final = "role/{name}"
_PARAMS: Final = (
    "token_policies", "token_ttl", "token_max_ttl", "token_type", "bound_audiences",
    "bound_issuer", "bound_subject", "user_claim", "jti_single_use", "token_bound_peer",
)  # fmt: skip

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        Operation.UPDATE, "login", login.login, LoginInput, login=True, releases=True,
        help="Log in with a signed token.",
    ),
    Route(Operation.READ, "config", config.read_config, help="Trusted issuer and keys."),
    Route(
        Operation.UPDATE, "config", config.write_config, ConfigInput,
        audited=("jwks_url", "bound_issuer", "jwt_supported_algs", "default_role"),
        help="Set trusted issuer and keys.",
    ),
    Route(Operation.LIST, "role/", ROLES.list, help="List the roles."),
    Route(Operation.READ, _AT, role.read_role, folds="name", help="A role."),
    Route(
        Operation.UPDATE, _AT, role.write_role, RoleInput, exists=ROLES.exists, makes=True,
        audited=_PARAMS, folds="name", help="Create or change a role.",
    ),
    Route(Operation.DELETE, _AT, ROLES.delete, folds="name", help="Remove a role."),
    Route(
        Operation.UPDATE, f"{_AT}/explain", login.explain, LoginInput, folds="name",
        help="Test whether a token would log in, and why not.",
    ),
)  # fmt: skip


class Jwt:
    """The auth method `jwt`."""

    type: Final = "jwt"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes, the same for each mount."""
        del mount
        return ROUTES

    def copyable(self, call: Call, mount: Mount) -> Iterator[Copyable]:
        """Yield the roles that need no client certificate: there a signed token is enough."""
        store = call.store_of(mount)
        for name, found in ROLES.all_of(store):
            if found.token_bound_peer == REQUIRED:
                continue
            often = "once" if found.jti_single_use else "any number of times"
            yield Copyable(
                "jwt",
                name,
                f"a signed token logs in from anywhere until it expires, {often}",
                "give the workload a certificate, and set token_bound_peer=required",
                created_ns=found.created_ns,
            )

    def login_names(self, store: Store, alias: str) -> None:
        """Return None: any role may admit a workload whose other claims are not known."""
        del store, alias

    def excludes(self, store: Store, alias: str, name: str) -> bool:
        """Return whether a role demands another value of the claim that the alias is."""
        raw = store.get(ROLES.path(name))
        return raw is not None and claims.excludes(role.ROLE.decode(raw), alias)
