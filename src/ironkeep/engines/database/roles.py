"""Static roles: existing accounts whose passwords the vault stores and rotates.

Source: the Vault HTTP API, secret/databases, static roles. A role's password is one secret,
`static-creds/<name>`, with versions; only the current version is ever returned.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.access.classes.classes import Classes
from ironkeep.access.second_person import require_another_than_root, waits
from ironkeep.core.errors import InvalidRequest, NotFound, UpstreamFailed
from ironkeep.core.event import Released
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.credentials.connections import ConnectionId, check_name
from ironkeep.credentials.managed import Credentials, Rotated
from ironkeep.credentials.rotation_record import RotationState, Stage, Strategy
from ironkeep.credentials.store import Credential, CredentialId
from ironkeep.engines.database.admission import Admission, admit, stored
from ironkeep.engines.database.configuration import check_username, rotated
from ironkeep.engines.database.options import STATIC_ROLE, refuse_others
from ironkeep.engines.database.statements import check_statements
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.effects import run, turn_of
from ironkeep.plugin.fields import CommaList, Duration
from ironkeep.plugin.response import Response, listing
from ironkeep.plugin.route import Route

FOLDER: Final = "static-creds"

MIN_PERIOD_SECONDS: Final = 60
"""A rotation presents old passwords; a shorter period could trigger a lockout policy there."""

MAX_PASSWORD: Final = 1_024


@dataclass(frozen=True)
class StaticRole:
    """A static role; of an existing one, only period and statements can change."""

    name: str
    db_name: str = ""
    username: str = ""
    rotation_period: Duration | None = None
    password: Secret | None = field(
        default=None,
        metadata={"help": "the present one; else the administrator sets a new one"},
    )
    skip_import_rotation: bool = field(
        default=False, metadata={"help": "keep the given password until it is rotated"}
    )
    self_managed: bool = field(
        default=False, metadata={"help": "the account sets its own password, not the administrator"}
    )
    credential_type: str = "password"
    rotation_statements: CommaList | None = None
    rotation_schedule: str = ""


@dataclass(frozen=True)
class RoleName:
    """The input that names a static role."""

    name: str


def id_of(call: Call, name: str) -> CredentialId:
    """Return the id of a static role's credential."""
    return CredentialId(call.mount.uuid, f"{FOLDER}/{name}")


def write(call: Call, given: StaticRole) -> Response | Suspend:
    """Admit an account and rotate its password, or change an existing role's period."""
    refuse_others(call, StaticRole, STATIC_ROLE)
    check_statements("rotation_statements", given.rotation_statements or ())
    if given.rotation_schedule:
        raise InvalidRequest("rotation_schedule is not supported: use rotation_period")
    if given.credential_type != "password":
        raise InvalidRequest("credential_type must be password")
    _check_period(given.rotation_period)
    which = id_of(call, given.name)
    about = call.use(Credentials).store.find(call.tx, which)
    return _create(call, given, which) if about is None else _change(call, given, which, about)


def _create(call: Call, given: StaticRole, which: CredentialId) -> Response | Suspend:
    check_name(given.name)
    check_username(given.username)
    if given.password is not None and not 1 <= len(given.password) <= MAX_PASSWORD:
        raise InvalidRequest(f"a password must have 1 to {MAX_PASSWORD} bytes")
    connection = call.use(Credentials).connections.find(
        call.tx, ConnectionId(call.mount.uuid, given.db_name)
    )
    if connection is None:
        raise InvalidRequest(f"db_name: there is no connection {given.db_name!r}")
    if not connection.allows(given.name):
        raise InvalidRequest(f'"{given.name}" is not an allowed role')
    if given.username == connection.username:
        raise InvalidRequest("this is the administering account: rotate it with rotate-root")
    if given.password is None and (given.self_managed or given.skip_import_rotation):
        raise InvalidRequest("self_managed and skip_import_rotation need the present password")
    about = Credential(
        connection=given.db_name,
        username=given.username,
        period_seconds=given.rotation_period or 0,
        created_ns=call.now_ns,
        rotated_ns=call.now_ns,
        statements=given.rotation_statements or (),
    )
    strategy = Strategy.SELF if given.self_managed else Strategy.ADMIN
    admission = Admission(which, about, strategy, given.password, given.skip_import_rotation)
    steps = admit(call.use(Credentials), turn_of(call), admission)
    return run(call, steps, lambda later, outcome: _admitted(later, which, outcome))


def _admitted(call: Call, which: CredentialId, outcome: Rotated | list[str]) -> Response:
    if isinstance(outcome, list):
        return stored(call, which, outcome, by_hand=True)
    return rotated(call, outcome)


def _change(call: Call, given: StaticRole, which: CredentialId, about: Credential) -> Response:
    if given.username not in {"", about.username} or given.db_name not in {"", about.connection}:
        raise InvalidRequest(
            "username and db_name of a role cannot change: its versions belong to that account"
        )
    if given.password is not None:
        raise InvalidRequest("the password of an existing role can only be rotated")
    changes: dict[str, Any] = {}
    if given.rotation_period is not None:
        changes["period_seconds"] = given.rotation_period
    if given.rotation_statements is not None:
        changes["statements"] = given.rotation_statements
    if changes:
        store = call.use(Credentials).store
        store.write_about(call.tx, which, msgspec.structs.replace(about, **changes))
        store.write_record(call.tx, which, store.record(call.tx, which), call.now_ns)
    return Response()


def _check_period(seconds: int | None) -> None:
    if seconds is not None and 0 < seconds < MIN_PERIOD_SECONDS:
        raise InvalidRequest(
            f"rotation_period must be at least {MIN_PERIOD_SECONDS} seconds, or 0 to rotate by hand"
        )


def known(call: Call, name: str) -> tuple[CredentialId, Credential]:
    """Return the id and the settings of a role; raise NotFound."""
    which = id_of(call, name)
    about = call.use(Credentials).store.find(call.tx, which)
    if about is None:
        raise NotFound("")
    return which, about


def read(call: Call, given: RoleName) -> Response:
    """Return a role and the state of its rotation, without a password."""
    which, about = known(call, given.name)
    record = call.use(Credentials).store.record(call.tx, which)
    shape: dict[str, Any] = {
        "db_name": about.connection,
        "username": about.username,
        "credential_type": "password",
        "rotation_period": about.period_seconds,
        "rotation_statements": list(about.statements),
        "last_vault_rotation": rfc3339(about.rotated_ns),
        "self_managed": record.strategy is Strategy.SELF,
        "state": str(record.state),
        "reason": record.reason,
        "versions": [
            {"version": each.number, "stage": str(each.stage), "refused": each.dead}
            for each in record.versions
        ],
    }
    return Response(data=shape)


def list_names(call: Call) -> Response:
    """Return the names of the static roles."""
    return listing(call.use(Credentials).store.paths(call.tx, call.mount.uuid, FOLDER))


def delete(call: Call, given: RoleName) -> Response:
    """Remove a role and all stored versions of its password; the database is not changed.

    Afterwards the account could be admitted under a name without rules, so removal needs the same
    approvals as a read of its password.
    """
    which = id_of(call, given.name)
    if call.use(Credentials).store.find(call.tx, which) is None:
        return Response()
    demand = call.use(Classes).demand(call.tx, call.mount.uuid, f"static-creds/{given.name}")
    answer = require_another_than_root(call, demand)
    if not waits(answer):
        call.use(Credentials).remove(turn_of(call), which)
    return answer


def read_password(call: Call, given: RoleName) -> Response:
    """Return the current password."""
    store = call.use(Credentials).store
    which = id_of(call, given.name)
    about = store.find(call.tx, which)
    if about is None:
        raise InvalidRequest(f"unknown role: {given.name}")
    record = store.record(call.tx, which)
    serving = record.serving
    if record.state is RotationState.LOST or serving is None:
        raise UpstreamFailed(
            f"no password of this role works ({record.reason or 'none was set yet'}): see "
            f"static-roles/{given.name}"
        )
    warnings = []
    if record.at(Stage.PENDING):
        warnings.append(
            "a rotation is in progress: this password may be replaced at any moment"
            + (f" ({record.reason})" if record.reason else "")
        )
    due_ns = about.due_ns
    data = {
        "username": about.username,
        "password": store.secret(call.tx, which, serving),
        "last_vault_rotation": rfc3339(about.rotated_ns),
        "rotation_period": about.period_seconds,
        "ttl": 0 if due_ns is None else max(0, (due_ns - call.now_ns) // SECOND_NS),
        "version": serving,
    }
    return Response(
        data=data,
        warnings=warnings,
        released=(Released(call.mount.uuid, which.path, serving, ("password",)),),
    )


def rotate(call: Call, given: RoleName) -> Response | Suspend:
    """Rotate now, or continue a rotation in progress."""
    which, _ = known(call, given.name)
    return run(call, call.use(Credentials).rotate(turn_of(call), which), rotated)


def reset(call: Call, given: RoleName) -> Response | Suspend:
    """Reset the password of a lost role with the administering account."""
    which, _ = known(call, given.name)
    if call.use(Credentials).store.record(call.tx, which).state is not RotationState.LOST:
        raise InvalidRequest("the role is not lost: rotate it with rotate-role")
    return run(call, call.use(Credentials).rotate(turn_of(call), which, reset=True), rotated)


def exists(call: Call) -> bool:
    """Return whether the role exists."""
    return call.use(Credentials).store.find(call.tx, id_of(call, call.params["name"])) is not None


ROUTES: Final = (
    Route(
        Operation.UPDATE, "static-roles/{name}", write, StaticRole, exists=exists, makes=True,
        audited=("db_name", "rotation_period", "self_managed", "skip_import_rotation"),
        help="Admit an account, and rotate its password.",
    ),
    Route(Operation.READ, "static-roles/{name}", read, RoleName, help="A role, no password."),
    Route(Operation.DELETE, "static-roles/{name}", delete, RoleName, help="Remove a role."),
    Route(Operation.LIST, "static-roles/", list_names, help="The names of the static roles."),
    Route(
        Operation.READ, "static-creds/{name}", read_password, RoleName, releases=True, secret=True,
        help="The current password.",
    ),
    Route(Operation.UPDATE, "rotate-role/{name}", rotate, RoleName, help="Rotate now."),
    # The path stays: another one for the same reset would be open to policies that narrow this one.
    Route(
        Operation.UPDATE, "break-glass/{name}", reset, RoleName, sudo=True,
        help="Reset the password of a lost role as administrator.",
    ),
)  # fmt: skip
