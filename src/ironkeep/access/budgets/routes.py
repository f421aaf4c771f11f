"""The routes of `sys/budgets`: limits, usage, and raising a limit for a time.

Nobody can raise their own limit or a default that binds them. This applies to all people who stand
behind the caller's token (identity/people.py). Every change raises an alert. A root token has no
person, so no limit binds it.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.budgets.budgets import Budgets
from ironkeep.access.budgets.record import (
    DEVICE,
    HOUSE,
    KINDS,
    MAX_RAISE_SECONDS,
    PERSON,
    TEAM,
    Limits,
    Subject,
    check_limits,
    check_soft,
    is_raised,
)
from ironkeep.access.devices.devices import Devices
from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.ids import DeviceId
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.entities import Identity
from ironkeep.identity.people import MAX_PEOPLE, is_same_person
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList, Duration
from ironkeep.plugin.plans import SecretPaths
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

_BOUND: Final = (
    "that would raise a limit of your own: ask a person whom this default does not bind, or use "
    "a root token"
)


@dataclass(frozen=True)
class SetDefaults:
    """Limits of one kind of subject; an omitted value stays as it is. 0 is no limit."""

    kind: str
    hour: int | None = None
    day: int | None = None
    month: int | None = None


@dataclass(frozen=True)
class SetSoft:
    """Percentage of a limit past which each further secret needs a touch; at 100 none does."""

    soft: int


@dataclass(frozen=True)
class Who:
    """One subject."""

    kind: str
    who: str


@dataclass(frozen=True)
class SetSubject:
    """Limits of one subject, or with a ttl a raise of them, or the manifest of a machine.

    A manifest lists secrets by any API path that reaches them.
    """

    kind: str
    who: str
    hour: int | None = None
    day: int | None = None
    month: int | None = None
    ttl: Duration = 0
    reason: str = ""
    manifest: CommaList | None = None


def read_defaults(call: Call) -> Response:
    """Return the default limits of each kind."""
    defaults = _budgets(call).defaults(call.tx)
    data: dict[str, Any] = {kind: msgspec.structs.asdict(defaults.of(kind)) for kind in KINDS}
    return Response(data=data | {"soft": defaults.soft})


def write_soft(call: Call, given: SetSoft) -> Response:
    """Set the soft limit: the percentage of any limit past which a read needs a touch."""
    check_soft(given.soft)
    budgets = _budgets(call)
    before = budgets.defaults(call.tx)
    # The soft limit is a percentage of every limit, so it binds every person.
    if call.actor().people and given.soft > before.soft:
        raise PermissionDenied(_BOUND)
    budgets.set_defaults(call.tx, msgspec.structs.replace(before, soft=given.soft))
    _tell(call, f"the soft limit of all budgets was set to {given.soft} percent")
    return Response()


def write_defaults(call: Call, given: SetDefaults) -> Response:
    """Set the default limits of one kind."""
    _check_kind(given.kind)
    budgets = _budgets(call)
    defaults = budgets.defaults(call.tx)
    limits = _changed(defaults.of(given.kind), given)
    if limits.allows_more_than(defaults.of(given.kind)) and _is_bound(call, given.kind):
        raise PermissionDenied(_BOUND)
    budgets.set_defaults(call.tx, msgspec.structs.replace(defaults, **{given.kind: limits}))
    _tell(call, f"the limits of every {given.kind} were set to {_shown(limits)}")
    return Response()


def read_subject(call: Call, given: Who) -> Response:
    """Return the limits and the usage of a subject."""
    _check_kind(given.kind)
    return Response(data=_view(call, given.kind, given.who))


def read_own(call: Call) -> Response:
    """Return the caller's own limits and usage, and those of the caller's device."""
    session = call.actor()
    record, data = session.record, dict[str, Any]()
    if session.payers:
        data[PERSON] = _view(call, PERSON, session.payers[0])
    if record.device:
        data[DEVICE] = _view(call, DEVICE, record.device)
    return Response(data=data)


def write_subject(call: Call, given: SetSubject) -> Response:
    """Set limits, raise them for a time, or give a machine its manifest."""
    _check_kind(given.kind)
    _check_other(call, given.kind, given.who)
    budgets = _budgets(call)
    subject = budgets.subject(call.tx, given.kind, given.who)
    if given.manifest is not None:
        paths = tuple(sorted({_secret(call, path) for path in given.manifest}))
        subject = msgspec.structs.replace(subject, manifest=paths)
        _tell(call, f"the manifest of {given.kind} {given.who} was set to {len(paths)} secrets")
    if (given.hour, given.day, given.month) != (None, None, None):
        base = subject.limits or budgets.defaults(call.tx).of(given.kind)
        limits = _changed(base, given)
        subject = _raised(call, given, subject, limits)
        _tell(call, f"the budget of {given.kind} {given.who} was set to {_shown(limits)}")
    subject = msgspec.structs.replace(subject, set_by=_hands(call, subject))
    budgets.set_subject(call.tx, given.kind, given.who, subject)
    return Response()


def delete_subject(call: Call, given: Who) -> Response:
    """Give a subject the limits of its kind again."""
    _check_kind(given.kind)
    _check_other(call, given.kind, given.who)
    _budgets(call).forget_subject(call.tx, given.kind, given.who)
    _tell(call, f"the budget of {given.kind} {given.who} is that of its kind again")
    return Response()


def _hands(call: Call, subject: Subject) -> tuple[str, ...]:
    """Return all people who have set anything for a subject, with those behind the caller.

    Raise InvalidRequest past `MAX_PEOPLE`.
    """
    people = tuple(sorted({*subject.set_by, *call.actor().people}))
    if len(people) > MAX_PEOPLE:
        raise InvalidRequest(f"more than {MAX_PEOPLE} people have set this: remove it first")
    return people


def _raised(call: Call, given: SetSubject, subject: Subject, limits: Limits) -> Subject:
    if not given.ttl:
        return msgspec.structs.replace(subject, limits=limits)
    if not 0 < given.ttl <= MAX_RAISE_SECONDS:
        raise InvalidRequest(f"a raise lasts at most {MAX_RAISE_SECONDS} seconds")
    if not given.reason:
        raise InvalidRequest("a raise needs a reason")
    until_ns = call.now_ns + given.ttl * SECOND_NS
    return msgspec.structs.replace(
        subject, raised=limits, raised_until_ns=until_ns, reason=given.reason
    )


def _changed(limits: Limits, given: SetDefaults | SetSubject) -> Limits:
    asked = {"hour": given.hour, "day": given.day, "month": given.month}
    changed = {name: value for name, value in asked.items() if value is not None}
    limits = msgspec.structs.replace(limits, **changed)
    check_limits(limits)
    return limits


def _view(call: Call, kind: str, who: str) -> dict[str, Any]:
    budgets = _budgets(call)
    subject = budgets.subject(call.tx, kind, who)
    used = budgets.usage(call.tx, kind, who, call.now_ns)
    raised = is_raised(subject, call.now_ns)
    return {
        "windows": [{"window": u.window, "used": u.used, "limit": u.limit} for u in used],
        "raised_until": rfc3339(subject.raised_until_ns) if raised else None,
        "reason": subject.reason if raised else "",
        "manifest": len(subject.manifest),
    }


def _secret(call: Call, path: str) -> str:
    """Return the name that budgets use for the secret at an API path; raise NotFound."""
    mount, name = call.use(SecretPaths).secret_at(call.tx, path)
    return f"{mount.uuid}/{name}"


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidRequest(f"the kind of a budget is one of {', '.join(KINDS)}")


def _check_other(call: Call, kind: str, who: str) -> None:
    """Raise PermissionDenied if the caller is bound by the budget that they would change."""
    session = call.actor()
    if kind == PERSON and _is_own(call, who):
        raise PermissionDenied("nobody changes their own budget: ask another person")
    if kind == DEVICE and _is_own_device(call, who):
        raise PermissionDenied("nobody changes the budget of their own device: ask another person")
    if kind == TEAM and who in _teams(call):
        raise PermissionDenied("nobody changes their own team's budget: ask another person")
    if kind == HOUSE and session.people:
        raise PermissionDenied("the vault's budget binds you too: use a root token")


def _is_bound(call: Call, kind: str) -> bool:
    """Return whether the default limits of a kind bind the caller."""
    budgets, session = _budgets(call), call.actor()
    if kind == PERSON:
        own = (budgets.subject(call.tx, PERSON, each) for each in session.people)
        return any(each.limits is None for each in own)
    if kind == DEVICE:
        owned = (call.use(Devices).owned(call.tx, each) for each in session.people)
        return bool(session.record.device) or any(owned)
    if kind == TEAM:
        teams = (budgets.subject(call.tx, TEAM, each) for each in _teams(call))
        return any(each.limits is None for each in teams)
    return bool(session.people)


def _is_own(call: Call, person: str) -> bool:
    return bool(is_same_person(call.use(Identity), call.tx, call.actor(), person))


def _is_own_device(call: Call, who: str) -> bool:
    if call.actor().record.device == who:
        return True
    found = call.use(Devices).get(call.tx, DeviceId(who))
    return found is not None and _is_own(call, found.owner)


def _teams(call: Call) -> set[str]:
    """Return the teams of all people who stand behind the caller's token."""
    found = (call.use(Identity).get(call.tx, each) for each in call.actor().people)
    return {each.metadata.get(TEAM, "") for each in found if each is not None} - {""}


def _tell(call: Call, text: str) -> None:
    record = call.actor().record
    call.use(Alerts).raise_(
        call.tx, "budget-change", text, call.now_ns, entity=record.entity, path=call.request.path
    )


def _shown(limits: Limits) -> str:
    hour, day, month = (each or "any" for each in (limits.hour, limits.day, limits.month))
    return f"{hour} an hour, {day} a day, {month} in 30 days"


def _budgets(call: Call) -> Budgets:
    found: Budgets = call.use(Budgets)
    return found


_SUBJECT_FIELDS: Final = ("hour", "day", "month", "reason")

ROUTES: Final = (
    Route(
        Operation.READ, "budgets/defaults", read_defaults, sudo=True,
        help="The default limits of each kind of subject.",
    ),
    Route(
        Operation.UPDATE, "budgets/defaults", write_soft, SetSoft, sudo=True, audited=("soft",),
        quorum=True, help="Set the soft limit, in percent of the hard one.",
    ),
    Route(
        Operation.UPDATE, "budgets/defaults/{kind}", write_defaults, SetDefaults, sudo=True,
        audited=("kind", "hour", "day", "month"), quorum=True,
        help="Set the default limits of a kind.",
    ),
    Route(
        Operation.READ, "budgets/self", read_own, any_token=True,
        help="Your own budget and usage.",
    ),
    Route(
        Operation.READ, "budgets/{kind}/{who}", read_subject, Who, sudo=True,
        help="A subject's limits and usage.",
    ),
    Route(
        Operation.UPDATE, "budgets/{kind}/{who}", write_subject, SetSubject, sudo=True,
        audited=("kind", "who", *_SUBJECT_FIELDS), quorum=True,
        help="Set a subject's limits, raise them for a time, or set a machine's manifest.",
    ),
    Route(
        Operation.DELETE, "budgets/{kind}/{who}", delete_subject, Who, sudo=True, quorum=True,
        audited=("kind", "who"), help="Give a subject the limits of its kind.",
    ),
)  # fmt: skip
