"""Statements of people in a case: exemptions, checks of Ironkeep's own root, residue.

An exemption, a check of the root, an explanation and a revocation by word are in force once another
person has confirmed them (core/evidence/sworn.py).
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.claim import Status
from ironkeep.core.evidence.sworn import Stated, is_sworn
from ironkeep.core.evidence.verdict import NEVER_EXEMPT
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.incident.case import root
from ironkeep.incident.case.workspace import Workspace, on_desk, words
from ironkeep.incident.evidence.views import when
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.fields import CommaList, Duration
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_EXEMPTION_SECONDS: Final = 366 * 86_400
"""Exemptions are temporary; one that is still needed after a year has to be renewed."""


MAX_CONFIRMED: Final = 100
"""Statements in one confirmation: the person has to read each of them."""


@dataclass(frozen=True)
class Exempt:
    """An open item that an owner accepts for a limited time."""

    id: str
    item: str = field(metadata={"help": "the subject of an open item, or its label"})
    reason: str
    ttl: Duration = field(metadata={"help": "time until it expires, such as 720h"})
    owner: str = field(default="", metadata={"help": "the person who accepts it; default: you"})


@dataclass(frozen=True)
class CheckRoot:
    """The result of checking one item of Ironkeep's own root of trust."""

    id: str
    item: str = field(metadata={"help": ", ".join(ev.ROOT_ITEMS)})
    sound: bool
    detail: str = field(
        default="", metadata={"help": "what was reviewed; default: the journal's summary"}
    )


@dataclass(frozen=True)
class Confirm:
    """Statements of other people that the caller vouches for too."""

    id: str
    items: CommaList = field(metadata={"help": "entries of statements: entry:17, or their items"})


@dataclass(frozen=True)
class Words:
    """The residue in words: facts that cannot be known, and damage that cannot be undone."""

    id: str
    words: str


def exempt(call: Call, given: Exempt) -> Suspend:
    """Accept an open item for a time; failed items and the log itself are never exempt."""
    return on_desk(call, given.id, lambda workspace: _exempt(workspace, given), judged=True)


def _exempt(workspace: Workspace, given: Exempt) -> Response:
    if not 0 < given.ttl <= MAX_EXEMPTION_SECONDS:
        raise InvalidRequest("the ttl of an exemption is more than 0 and at most a year")
    verdict = workspace.verdict
    known = [
        *((each.subject, each.label) for each in verdict.open_items()),
        *((each.item, each.label) for each in verdict.exemptions),
    ]
    item = next((subject for subject, label in known if given.item in {subject, label}), None)
    if item is None:
        raise InvalidRequest(
            "the case has no such open item: give one as its steps name it (About), such as "
            "'secret/app version 1'"
        )
    failed = {each.subject for each in verdict.open_items() if each.status is Status.FAILED}
    failed -= {each.item for each in verdict.exemptions}  # so that one in force can be ended
    if item.startswith(NEVER_EXEMPT) or item in failed:
        raise InvalidRequest(
            f"{workspace.label(item)} cannot be exempted, like every failed item, the log, the "
            "scope and the case itself: do what its steps say"
        )
    owner = workspace.owner(given.owner)
    expires = workspace.call.now_ns + given.ttl * SECOND_NS
    reason = words(given.reason, "a reason")
    index = workspace.note(ev.Exempted(given.id, item, owner, reason, expires, workspace.vouching))
    data: dict[str, Any] = {
        "confirm": f"entry:{index}",
        "exempt": workspace.label(item),
        "owner": owner,
        "expires": when(expires),
    }
    return Response(data=data)


def check_root(call: Call, given: CheckRoot) -> Suspend:
    """Record the result of checking one item of Ironkeep's own root of trust."""
    return on_desk(
        call, given.id, lambda workspace: _check_root(workspace, given), kinds=root.CHANGES
    )


def _check_root(workspace: Workspace, given: CheckRoot) -> Response:
    item = given.item if given.item.startswith("root:") else f"root:{given.item}"
    if item not in ev.ROOT_ITEMS:
        raise InvalidRequest(f"item must be one of {', '.join(ev.ROOT_ITEMS)}")
    detail = words(given.detail or root.summary(workspace, item), "detail")
    index = workspace.note(ev.RootChecked(given.id, item, given.sound, detail, workspace.vouching))
    confirm = f"entry:{index}"
    return Response(
        data={"checked": item, "sound": given.sound, "detail": detail, "confirm": confirm}
    )


def confirm(call: Call, given: Confirm) -> Suspend:
    """Vouch for statements of other people; each is in force once two people vouch for it."""
    return on_desk(call, given.id, lambda workspace: _confirm(workspace, given))


def _confirm(workspace: Workspace, given: Confirm) -> Response:
    if not workspace.by.entity:
        raise PermissionDenied(
            "a confirmation takes a person: log in as one, this token belongs to nobody"
        )
    behind = workspace.vouching
    if not 0 < len(given.items) <= MAX_CONFIRMED:
        raise InvalidRequest(f"name 1 to {MAX_CONFIRMED} statements: entry:17")
    stated = _stated(workspace)
    for item in given.items:
        people = stated.get(item)
        if people is None:
            raise InvalidRequest(
                f"{item[:80]} is no statement of this case that takes a confirmation: its steps "
                "list those that wait"
            )
        if people & {workspace.by.entity, *behind}:
            raise PermissionDenied(
                f"{item} was stated or confirmed by you, or by a token that you gave out: another "
                "person has to confirm it"
            )
    items = tuple(dict.fromkeys(given.items))
    workspace.note(ev.Confirmed(given.id, items, behind))
    return Response(data={"confirmed": list(items)})


def _stated(workspace: Workspace) -> dict[str, set[str]]:
    """Return the statements of the case that take a confirmation, with the people behind each.

    An exemption that has expired, or that a later one of its item has replaced, takes none.
    """
    file = workspace.file
    of_case = (each for each in file.filed(ev.Exempted) if each.record.case == workspace.case)
    last = {each.record.item: each for each in of_case}
    now = workspace.call.now_ns
    stated: list[Stated] = [
        *(each for each in last.values() if each.record.expires_ns > now),
        *file.filed(ev.Explained),
        *file.filed(ev.RootChecked),
        *file.filed(ev.Revoked),
    ]
    made = {
        f"entry:{each.index}": {each.entry.entity, *each.record.people} - {""}
        for each in stated
        if each.record.case == workspace.case and is_sworn(each.record)
    }
    for item, people in made.items():
        for by in file.confirmations.get((workspace.case, item), ()):
            people |= {by.entry.entity, *by.record.people}
    return made


def residue(call: Call, given: Words) -> Suspend:
    """Record the residue: facts that cannot be known, and damage that cannot be undone."""
    return on_desk(call, given.id, lambda workspace: _residue(workspace, given))


def _residue(workspace: Workspace, given: Words) -> Response:
    workspace.note(ev.Residue(given.id, words(given.words, "what cannot be known or undone")))
    return Response(data={"residue": given.words.strip()})


ROUTES: Final = (
    Route(
        Operation.UPDATE, "cases/{id}/exempt", exempt, Exempt, sudo=True, audited=("id", "ttl"),
        help="Accept an open item for a limited time.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/check-root", check_root, CheckRoot, sudo=True,
        audited=("id", "item", "sound"), help="Record a check of Ironkeep's own root of trust.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/confirm", confirm, Confirm, sudo=True,
        audited=("id", "items"), help="Vouch for statements that another person made.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/residue", residue, Words, sudo=True, audited=("id",),
        help="Record what cannot be known or undone.",
    ),
)  # fmt: skip
