"""The auth method `userpass`: names and passwords.

    users      users: their settings and password hashes
    hashing    argon2id, on a worker
    former     the passwords that a name had before
    lockout    the lock on a name after failed logins
    login      logins

Source: the Vault HTTP API, auth/userpass, and Vault's user lockout. A password can be copied when
it is typed: people should log in by `passkey`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

from ironkeep.access.identity_report.copyable_logins import Copyable
from ironkeep.auth.userpass import login, users
from ironkeep.auth.userpass.hashing import MAX_PASSWORD, verification
from ironkeep.auth.userpass.users import PasswordInput, PoliciesInput, UserInput
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.text.spelling import folded
from ironkeep.identity.token_params import LOGIN, login_name
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route
from ironkeep.store.barrier import Store
from ironkeep.store.history import History
from ironkeep.store.reserved import unescape_part

_PARAMS: Final = (
    "token_policies",
    "token_ttl",
    "token_max_ttl",
    "token_period",
    "token_type",
    "token_bound_cidrs",
)

_AT: Final = "users/{username}"

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        Operation.UPDATE, "login/{username}", login.login, input=PasswordInput, login=True,
        folds="username", releases=True, help="Log in with a password.",
    ),
    Route(Operation.LIST, "users/", users.list_users, help="List the users."),
    Route(
        Operation.READ, _AT, users.read_user, folds="username",
        help="A user, without the password.",
    ),
    Route(
        Operation.UPDATE, _AT, users.write_user, input=UserInput, exists=users.exists,
        makes=True, audited=_PARAMS, folds="username", help="Create or change a user.",
    ),
    Route(
        Operation.DELETE, _AT, users.delete_user, folds="username", help="Remove a user."
    ),
    Route(
        Operation.UPDATE, f"{_AT}/password", users.write_password, input=PasswordInput,
        folds="username", help="Change a user's password.",
    ),
    Route(
        Operation.UPDATE, f"{_AT}/policies", users.write_policies, input=PoliciesInput,
        audited=("token_policies",), folds="username", help="Change a user's policies.",
    ),
)  # fmt: skip


class Userpass:
    """The auth method `userpass`."""

    type: Final = "userpass"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes, the same for each mount."""
        del mount
        return ROUTES

    def copyable(self, call: Call, mount: Mount) -> Iterator[Copyable]:
        """Yield all users: a password can be copied when it is typed."""
        store = call.store_of(mount)
        for name in map(unescape_part, store.names_inside("user")):
            known = call.use(History).intervals(call.tx, LOGIN, login_name(mount, name))
            yield Copyable(
                "userpass",
                name,
                "a password logs in from anywhere",
                "register a passkey, and demand a device: tune the mount to token_device=required",
                created_ns=known[0].start_ns if known else 0,
            )

    def accepted(
        self, call: Call, texts: Collection[bytes], names: Collection[str]
    ) -> Iterator[tuple[str, Callable[[], bool] | None]]:
        """Yield the passwords of users that texts may be."""
        for name in sorted({folded(each) for each in names}):
            user = users.find(call, name) if 0 < len(name) <= users.MAX_NAME else None
            if user is None:
                continue
            words = f"it is the password of the user {call.mount.path}users/{name}"
            for text in (each for each in texts if 0 < len(each) <= MAX_PASSWORD):
                yield words, verification(user.password_hash, Secret(text))

    def login_names(self, store: Store, alias: str) -> Iterable[str]:
        """Return the one user of an alias: its own name."""
        del store
        return (alias,)

    def excludes(self, store: Store, alias: str, name: str) -> bool:
        """Return false: nothing but the name decides."""
        del store, alias, name
        return False
