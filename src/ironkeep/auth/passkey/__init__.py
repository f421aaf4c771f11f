"""The auth method `passkey`: people, with authenticators that verify them and sign one challenge.

No password and no code is typed anywhere, nothing is remembered in a browser, and no single person
lets another one in. What is verified of a signature is core/webauthn/webauthn.py; whose
authenticators there are, and ever were, is access/step_up/authenticators.py, for step-ups and
approvals ask them too.

    settings      who asks, what authenticators must be, how recovery goes
    people        who may log in; tickets, by which alone an authenticator is bound
    ceremony      challenges
    registration  binding an authenticator
    login         a token, or a ticket for one more authenticator, by a touch
    loopback      a login in a browser, handed to a command
    recovery      other people and time instead of a lost authenticator
    own           looking at authenticators, and removing them
    touching      one touch for one request
"""

from collections.abc import Sequence
from typing import Final

from ironkeep.auth.passkey import login, loopback, own, people, recovery, registration
from ironkeep.auth.passkey.settings import ConfigInput, read_config, write_config
from ironkeep.auth.passkey.touching import TouchInput, read_demand, write_touch
from ironkeep.core.operation import Operation
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route

_READ: Final = Operation.READ
_UPDATE: Final = Operation.UPDATE
_DELETE: Final = Operation.DELETE
_LIST: Final = Operation.LIST

_USER: Final = "users/{username}"
_RECOVERY: Final = "recovery/{username}"

_SETTINGS: Final[tuple[Route, ...]] = (
    Route(_READ, "config", read_config, help="Who asks, and what is demanded."),
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
        help="Say who asks, and what is demanded.",
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
        help="Make or change a person.",
    ),
    Route(_DELETE, _USER, people.delete_user, folds="username", help="Remove a person's way in."),
    Route(
        _UPDATE,
        _USER + "/ticket",
        people.write_ticket,
        folds="username",
        help="Invite a person who never had an authenticator.",
    ),
    Route(_LIST, _USER + "/authenticators/", own.list_of, help="Every one that a person ever had."),
    Route(_READ, _USER + "/authenticators/{id}", own.read_of, help="One of them."),
    Route(_DELETE, _USER + "/authenticators/{id}", own.remove_of, help="Remove one that was lost."),
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
        help="Begin to ask for a ticket for one more authenticator.",
    ),
    Route(
        _UPDATE,
        "add/finish",
        login.finish_add,
        input=login.FinishInput,
        login=True,
        help="A ticket for one more authenticator, by a touch of another.",
    ),
    Route(
        _UPDATE,
        "cli/start",
        loopback.start,
        input=loopback.StartInput,
        open=True,
        help="Say where a command waits for a login in a browser.",
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
    Route(_READ, "authenticators/{id}", own.read_own, any_token=True, help="One of yours."),
    Route(_DELETE, "authenticators/{id}", own.remove_own, any_token=True, help="Remove it."),
    Route(_READ, "step-up/{id}", read_demand, open=True, help="What a touch would allow."),
    Route(
        _UPDATE,
        "step-up/{id}",
        write_touch,
        input=TouchInput,
        open=True,
        help="Allow it, once.",
    ),
)

_RECOVERING: Final[tuple[Route, ...]] = (
    Route(_LIST, "recovery/", recovery.names, help="List who is being recovered."),
    Route(_READ, _RECOVERY, recovery.read, folds="username", help="The state of a recovery."),
    Route(
        _UPDATE,
        _RECOVERY,
        recovery.approve,
        input=recovery.ApproveInput,
        audited=("reason",),
        folds="username",
        help="Approve the recovery of somebody else.",
    ),
    Route(_DELETE, _RECOVERY, recovery.cancel, folds="username", help="End a recovery."),
    Route(
        _UPDATE,
        _RECOVERY + "/ticket",
        recovery.ticket,
        folds="username",
        help="The ticket, when the delay has passed.",
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
