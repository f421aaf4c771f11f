"""The auth method `passkey`: people log in with WebAuthn authenticators that verify their user.

No password or code is typed anywhere, nothing is stored in the browser, and no single person can
let another person in.

    settings      relying party, requirements on authenticators, rules of recovery
    people        the people who may log in; tickets, the only way to bind an authenticator
    ceremony      challenges
    registration  binding an authenticator
    login         a touch yields a token, or a ticket for one more authenticator
    loopback      handing a login in a browser to a command on the same machine
    recovery      several other people and a delay replace a lost authenticator
    own           reading and removing authenticators
    touching      the page where a touch allows one request

core/webauthn/webauthn.py verifies signatures. access/step_up/authenticators.py keeps all
authenticators, removed ones included, because step-ups and approvals use them too.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from ironkeep.auth.passkey import login, loopback, own, people, recovery, registration
from ironkeep.auth.passkey.settings import ConfigInput, read_config, write_config
from ironkeep.auth.passkey.touching import TouchInput, read_demand, write_touch
from ironkeep.core.operation import Operation
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route
from ironkeep.store.barrier import Store

_READ: Final = Operation.READ
_UPDATE: Final = Operation.UPDATE
_DELETE: Final = Operation.DELETE
_LIST: Final = Operation.LIST

_USER: Final = "users/{username}"
_RECOVERY: Final = "recovery/{username}"

_SETTINGS: Final[tuple[Route, ...]] = (
    Route(_READ, "config", read_config, help="Relying party and requirements."),
    Route(
        _UPDATE,
        "config",
        write_config,
        input=ConfigInput,
        audited=(
            "rp_id",
            "origins",
            "attestation",
            "privileged_attestation",
            "aaguids",
            "recovery_quorum",
            "recovery_delay",
        ),
        help="Set relying party and requirements.",
    ),
    Route(_LIST, "users/", people.list_users, help="List the people."),
    Route(_READ, _USER, people.read_user, folds="username", help="A person."),
    Route(
        _UPDATE,
        _USER,
        people.write_user,
        input=people.UserInput,
        exists=people.exists,
        makes=True,
        audited=("privileged", "token_policies", "token_ttl", "token_max_ttl", "token_bound_cidrs"),
        folds="username",
        help="Create or change a person.",
    ),
    Route(
        _DELETE,
        _USER,
        people.delete_user,
        folds="username",
        help="Remove a person from this mount.",
    ),
    Route(
        _UPDATE,
        _USER + "/ticket",
        people.write_ticket,
        folds="username",
        help="Invite a person who never had an authenticator.",
    ),
    Route(_LIST, _USER + "/authenticators/", own.list_of, help="All of a person, removed too."),
    Route(_READ, _USER + "/authenticators/{id}", own.read_of, help="An authenticator of a person."),
    Route(
        _DELETE, _USER + "/authenticators/{id}", own.remove_of, help="Remove a lost authenticator."
    ),
)

_PEOPLE: Final[tuple[Route, ...]] = (
    Route(
        _UPDATE,
        "register/begin",
        registration.begin_registration,
        input=registration.BeginInput,
        open=True,
        help="Begin to register an authenticator, with a ticket.",
    ),
    Route(
        _UPDATE,
        "register/finish",
        registration.finish_registration,
        input=registration.FinishInput,
        audited=("label",),
        open=True,
        help="Register an authenticator.",
    ),
    Route(
        _UPDATE,
        "login/begin",
        login.begin_login,
        input=login.BeginInput,
        open=True,
        help="Begin to log in.",
    ),
    Route(
        _UPDATE,
        "login/finish",
        login.finish_login,
        input=login.FinishInput,
        login=True,
        releases=True,
        help="Log in.",
    ),
    Route(
        _UPDATE,
        "add/begin",
        login.begin_add,
        input=login.BeginInput,
        open=True,
        help="Begin to get a ticket for one more authenticator.",
    ),
    Route(
        _UPDATE,
        "add/finish",
        login.finish_add,
        input=login.FinishInput,
        login=True,
        help="Get a ticket for one more authenticator, by a touch of another.",
    ),
    Route(
        _UPDATE,
        "cli/start",
        loopback.start,
        input=loopback.StartInput,
        open=True,
        help="Begin a login in a browser for a command on the same machine.",
    ),
    Route(
        _UPDATE,
        "cli/finish",
        login.fetch_login,
        input=loopback.FetchInput,
        login=True,
        releases=True,
        help="Fetch the token of a login in a browser.",
    ),
    Route(_LIST, "authenticators/", own.list_own, any_token=True, help="Your authenticators."),
    Route(
        _READ,
        "authenticators/{id}",
        own.read_own,
        any_token=True,
        help="One of your authenticators.",
    ),
    Route(
        _DELETE, "authenticators/{id}", own.remove_own, any_token=True, help="Remove one of yours."
    ),
    Route(
        _READ, "step-up/{id}", read_demand, open=True, help="The request that a touch would allow."
    ),
    Route(
        _UPDATE,
        "step-up/{id}",
        write_touch,
        input=TouchInput,
        open=True,
        help="Allow the request, once.",
    ),
)

_RECOVERING: Final[tuple[Route, ...]] = (
    Route(_LIST, "recovery/", recovery.names, help="List the people being recovered."),
    Route(_READ, _RECOVERY, recovery.read, folds="username", help="The state of a recovery."),
    Route(
        _UPDATE,
        _RECOVERY,
        recovery.approve,
        input=recovery.ApproveInput,
        audited=("reason",),
        folds="username",
        help="Approve the recovery of another person.",
    ),
    Route(_DELETE, _RECOVERY, recovery.cancel, folds="username", help="End a recovery."),
    Route(
        _UPDATE,
        _RECOVERY + "/ticket",
        recovery.ticket,
        folds="username",
        help="Get the ticket, once the delay has passed.",
    ),
)

ROUTES: Final[tuple[Route, ...]] = _SETTINGS + _PEOPLE + _RECOVERING


class Passkey:
    """The auth method `passkey`."""

    type: Final = "passkey"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes, the same for each mount."""
        del mount
        return ROUTES

    def login_names(self, store: Store, alias: str) -> Iterable[str]:
        """Return the one person of an alias: its own name."""
        del store
        return (alias,)

    def excludes(self, store: Store, alias: str, name: str) -> bool:
        """Return false: nothing but the name decides."""
        del store, alias, name
        return False
