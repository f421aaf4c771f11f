"""The auth method `approle`: role ids and secret ids, as in Vault, for compatibility only.

Both can be copied. A machine whose platform can vouch for it should log in by `jwt` or `cert`.

    role        roles, and the index from role id to role
    settings    the routes that read, write and reset one setting of a role
    secret_ids  storage of secret ids
    issuing     the routes that issue, look up and destroy secret ids
    login       logins
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

from ironkeep.access.devices.machine import REQUIRED
from ironkeep.access.identity_report.copyable_logins import Copyable
from ironkeep.auth.approle import issuing, login, role, secret_ids, settings
from ironkeep.auth.approle.issuing import NewSecretId, WhichAccessor, WhichSecretId
from ironkeep.auth.approle.login import LoginInput
from ironkeep.auth.approle.role import OWN, ROLES, RoleInput
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Handler, Route
from ironkeep.store.barrier import Store

_PARAMS: Final = ("token_policies", "token_ttl", "token_max_ttl", "token_period", "token_type")
_AT: Final = "role/{role_name}"


def _secret_id(end: str, given: type, look: Handler, destroy: Handler) -> tuple[Route, ...]:
    """Return the routes that look up a secret id and destroy it, by POST or by DELETE."""
    at = f"{_AT}/{end}"
    return (
        Route(
            Operation.UPDATE,
            f"{at}/lookup",
            look,
            given,
            folds="role_name",
            help="Look up a secret id.",
        ),
        Route(
            Operation.UPDATE,
            f"{at}/destroy",
            destroy,
            given,
            folds="role_name",
            help="Destroy a secret id.",
        ),
        Route(
            Operation.DELETE,
            f"{at}/destroy",
            destroy,
            given,
            folds="role_name",
            help="Destroy a secret id.",
        ),
    )


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        Operation.UPDATE, "login", login.login, LoginInput, login=True, releases=True,
        help="Log in with role id and secret id.",
    ),
    Route(Operation.LIST, "role/", ROLES.list, help="List the roles."),
    Route(Operation.READ, _AT, role.read_role, folds="role_name", help="A role."),
    Route(
        Operation.UPDATE, _AT, role.write_role, RoleInput, exists=ROLES.exists, makes=True,
        audited=(*OWN, *_PARAMS), folds="role_name", help="Create or change a role.",
    ),
    Route(Operation.DELETE, _AT, issuing.delete_role, folds="role_name", help="Remove a role."),
    Route(
        Operation.READ, f"{_AT}/role-id", role.read_role_id, folds="role_name", help="A role's id."
    ),
    Route(
        Operation.UPDATE, f"{_AT}/role-id", role.write_role_id, RoleInput, audited=("role_id",),
        folds="role_name", help="Change a role's id.",
    ),
    Route(
        Operation.UPDATE, f"{_AT}/secret-id", issuing.generate, NewSecretId, releases=True,
        secret=True, audited=("num_uses", "ttl", "cidr_list"), folds="role_name",
        help="Issue a secret id.",
    ),
    Route(
        Operation.UPDATE, f"{_AT}/custom-secret-id", issuing.take_custom, NewSecretId,
        releases=True, secret=True, secret_as=f"{_AT}/secret-id",
        audited=("num_uses", "ttl", "cidr_list"), folds="role_name",
        help="Register a secret id that the caller chose.",
    ),
    Route(
        Operation.LIST, f"{_AT}/secret-id/", issuing.list_accessors,
        folds="role_name", help="Accessors of a role's secret ids.",
    ),
    *_secret_id("secret-id", WhichSecretId, issuing.lookup, issuing.destroy),
    *_secret_id(
        "secret-id-accessor", WhichAccessor, issuing.lookup_accessor, issuing.destroy_accessor
    ),
    Route(Operation.UPDATE, "tidy/secret-id", issuing.tidy, help="Accepted; nothing to do."),
    *settings.ROUTES,
)  # fmt: skip


class AppRole:
    """The auth method `approle`."""

    type: Final = "approle"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes, the same for each mount."""
        del mount
        return ROUTES

    def copyable(self, call: Call, mount: Mount) -> Iterator[Copyable]:
        """Yield all roles: role id and secret id are texts, which can be copied."""
        store = call.store_of(mount)
        for name, found in ROLES.all_of(store):
            where = "anywhere"
            if found.token_bound_peer == REQUIRED:
                where = "any machine with a certificate that a listener accepts"
            yield Copyable(
                "approle",
                name,
                f"a role id and a secret id log in from {where}",
                "let the platform vouch for the machine: auth/jwt or auth/cert",
                created_ns=found.created_ns,
                used_ns=found.used_ns,
            )

    def accepted(
        self, call: Call, texts: Collection[bytes], names: Collection[str]
    ) -> Iterator[tuple[str, Callable[[], bool] | None]]:
        """Yield the roles of which a text is a secret id, or the role id where that is enough."""
        del names
        short = [Secret(each) for each in texts if len(each) <= secret_ids.MAX_SECRET_ID]
        for name, found in ROLES.all_of(call.store):
            if not found.bind_secret_id and found.role_id.encode() in texts:
                yield f"it is the role id of {call.mount.path}role/{name}, which is enough", None
            hashes = (secret_ids.hash_of(call, name, each) for each in short)
            if any(secret_ids.find(call, name, each) is not None for each in hashes):
                yield f"it is a secret id of {call.mount.path}role/{name}", None

    def login_names(self, store: Store, alias: str) -> Iterable[str]:
        """Return the roles that have, or last had, the role id that an alias is."""
        return role.roles_of_id(store, alias)

    def excludes(self, store: Store, alias: str, name: str) -> bool:
        """Return false: a role that once had the role id may have admitted it."""
        del store, alias, name
        return False
