"""The auth method `cert`: a workload logs in with the client certificate of its connection.

The token it gets is short-lived and bound to the certificate's key. SPIFFE ids are supported.

    chain   checks of a certificate against the CAs of a role
    role    roles: the certificates they accept and the token they yield
    login   logins

Source: the Vault HTTP API, auth/cert, without CRLs and OCSP: certificates of workloads live for
minutes, and removing a role takes effect at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ironkeep.auth.cert import login, role
from ironkeep.auth.cert.login import LoginInput
from ironkeep.auth.cert.role import PATTERNS, ROLES, CertInput
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.store.barrier import Store

_AT: Final = "certs/{name}"


@dataclass(frozen=True)
class ConfigInput:
    """The settings of Vault's cert config that clients may send."""

    disable_binding: bool = field(
        default=False, metadata={"help": "Must be false: tokens are always bound to their key."}
    )


def write_config(call: Call, given: ConfigInput) -> Response:
    """Accept what Vault's clients send; refuse to disable the binding of tokens."""
    del call
    if given.disable_binding:
        raise InvalidRequest("tokens are bound to their certificate's key; this cannot be disabled")
    return Response()


def read_config(call: Call) -> Response:
    """Return the configuration, which cannot be changed."""
    del call
    return Response(data={"disable_binding": False})


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        Operation.UPDATE, "login", login.login, LoginInput, login=True, releases=True,
        help="Log in with the client certificate of the connection.",
    ),
    Route(Operation.LIST, "certs/", ROLES.list, help="List the roles."),
    Route(Operation.READ, _AT, role.read_cert, folds="name", help="A role."),
    Route(
        Operation.UPDATE, _AT, role.write_cert, CertInput, exists=ROLES.exists, makes=True,
        audited=("token_policies", "token_ttl", "token_max_ttl", "token_type", *PATTERNS),
        folds="name", help="Create or change a role.",
    ),
    Route(Operation.DELETE, _AT, ROLES.delete, folds="name", help="Remove a role."),
    Route(Operation.READ, "config", read_config, help="The configuration."),
    Route(
        Operation.UPDATE, "config", write_config, ConfigInput, help="Accepted; nothing to set."
    ),
)  # fmt: skip


class CertMethod:
    """The auth method `cert`."""

    type: Final = "cert"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes, the same for each mount."""
        del mount
        return ROUTES

    def login_names(self, store: Store, alias: str) -> Iterable[str]:
        """Return the one role of an alias, which begins with its name."""
        del store
        return (alias.partition(":")[0],)

    def excludes(self, store: Store, alias: str, name: str) -> bool:
        """Return false: what else a certificate must have is not part of the alias."""
        del store, alias, name
        return False
