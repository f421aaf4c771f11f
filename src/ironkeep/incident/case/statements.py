"""What people state in a case: exemptions, looks at Ironkeep's own root, what stays unknown."""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence import records as ev
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.incident.case import root
from ironkeep.incident.case.workspace import Desk, on_desk, when, words
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.fields import Duration
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_EXEMPTION_SECONDS: Final = 366 * 86_400
"""An exemption is for now: whoever still needs it in a year states it again."""


@dataclass(frozen=True)
class Exempt:
    """An open item that its owner accepts for now."""

    id: str
    item: str = field(metadata={"help": "the subject of an open item, or its label"})
    reason: str
    ttl: Duration = field(metadata={"help": "when it expires: 720h"})
    owner: str = field(default="", metadata={"help": "who accepts it; by default you"})


@dataclass(frozen=True)
class CheckRoot:
    """A look at one of Ironkeep's own."""

    id: str
    item: str = field(metadata={"help": ", ".join(ev.ROOT_ITEMS)})
    sound: bool
    detail: str = field(
        default="", metadata={"help": "what was looked at; without it, what the journal says"}
    )


@dataclass(frozen=True)
class Words:
    """What cannot be known or undone."""

    id: str
    words: str


def exempt(call: Call, given: Exempt) -> Suspend:
    """Accept an open item until it expires. What failed is never exempt, nor the log itself."""
    return on_desk(call, given.id, lambda desk: _exempt(desk, given), judged=True)


def _exempt(desk: Desk, given: Exempt) -> Response:
    if not 0 < given.ttl <= MAX_EXEMPTION_SECONDS:
        raise InvalidRequest("an exemption expires within a year")
    item = next(
        (each.subject for each in desk.verdict.open_items()
         if given.item in {each.subject, each.label}),
        None,
    )  # fmt: skip
    if item is None:
        raise InvalidRequest("that is no open item of the case: read its steps")
    owner = words(given.owner or desk.by.name or "root", "an owner")
    expires = desk.call.now_ns + given.ttl * SECOND_NS
    desk.note(ev.Exempted(given.id, item, owner, words(given.reason, "a reason"), expires))
    data: dict[str, Any] = {"exempt": desk.label(item), "owner": owner, "expires": when(expires)}
    return Response(data=data)


def check_root(call: Call, given: CheckRoot) -> Suspend:
    """State what came of looking at one of Ironkeep's own."""
    return on_desk(call, given.id, lambda desk: _check_root(desk, given))


def _check_root(desk: Desk, given: CheckRoot) -> Response:
    item = given.item if given.item.startswith("root:") else f"root:{given.item}"
    if item not in ev.ROOT_ITEMS:
        raise InvalidRequest(f"item is one of {', '.join(ev.ROOT_ITEMS)}")
    detail = words(given.detail or root.summary(desk, item), "detail")
    desk.note(ev.RootChecked(given.id, item, given.sound, detail))
    return Response(data={"checked": item, "sound": given.sound, "detail": detail})


def residue(call: Call, given: Words) -> Suspend:
    """State what cannot be known or undone."""
    return on_desk(call, given.id, lambda desk: _residue(desk, given))


def _residue(desk: Desk, given: Words) -> Response:
    desk.note(ev.Residue(given.id, words(given.words, "what cannot be known or undone")))
    return Response(data={"residue": given.words.strip()})


ROUTES: Final = (
    Route(
        Operation.UPDATE, "cases/{id}/exempt", exempt, Exempt, sudo=True, audited=("id", "ttl"),
        help="Accept an open item for now.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/check-root", check_root, CheckRoot, sudo=True,
        audited=("id", "item", "sound"), help="State what came of looking at Ironkeep's own.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/residue", residue, Words, sudo=True, audited=("id",),
        help="State what cannot be known or undone.",
    ),
)  # fmt: skip
