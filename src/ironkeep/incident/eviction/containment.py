"""Containment: end all access of exposed principals, then journal the proof of it.

The revocations are durable before the record is written, so that no record states what a crash may
have undone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.core.errors import Conflict, InvalidRequest
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import PRINCIPALS, NodeId, NodeKind, kind_of, name_of
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.incident.case.links import spell_out
from ironkeep.incident.case.survey import SURVEYED, Survey, Tokens, tokens_of
from ironkeep.incident.case.workspace import Workspace, answered, on_desk, words
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects import effects
from ironkeep.plugin.effects.effects import Steps
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_ACCESSORS: Final = 1_000
"""Accessors in one record; a principal with more gets several records, counted together."""


@dataclass(frozen=True)
class Contain:
    """One exposed principal, or all exposed principals of the case."""

    id: str
    principal: str = field(default="", metadata={"help": "one exposed principal; default: all"})


@dataclass(frozen=True)
class Readmit:
    """A principal to readmit, and the person responsible for it."""

    id: str
    principal: str
    reason: str
    owner: str = field(default="", metadata={"help": "the person responsible; default: you"})


@dataclass(frozen=True, slots=True)
class Cut:
    """A principal that was cut off, with the tokens and the number of leases it had."""

    principal: NodeId
    tokens: Tokens
    leases: int


def contain(call: Call, given: Contain) -> Suspend:
    """End all tokens, child tokens and leases of exposed principals, and disable their logins."""
    return on_desk(call, given.id, lambda workspace: _contain(workspace, given))


def _contain(workspace: Workspace, given: Contain) -> Response | Suspend:
    cuts: list[Cut] = []
    for principal in _chosen(workspace, given.principal):
        ended = {each for cut in cuts for each in cut.tokens.accessors}
        if kind_of(principal) is not NodeKind.SESSION or name_of(principal) not in ended:
            cuts.append(_cut(workspace, principal))

    def durable(later: Call, _: object) -> Suspend:
        return on_desk(later, given.id, lambda again: _record(again, cuts))

    return effects.run(workspace.call, effects.settled(), durable)


def _chosen(workspace: Workspace, text: str) -> list[NodeId]:
    if not text:
        # People and devices come first, because their sessions end with them.
        return sorted(workspace.file.principals, key=lambda each: kind_of(each) is NodeKind.SESSION)
    principal = workspace.named(text)
    if kind_of(principal) not in PRINCIPALS:
        raise InvalidRequest(
            "only people, tokens and devices can be contained; secrets are rotated"
        )
    if principal not in workspace.file.rows:
        raise InvalidRequest(
            f"{workspace.label(principal)} is not exposed in this case: widen it first"
        )
    return [principal]


def _cut(workspace: Workspace, principal: NodeId) -> Cut:
    """End the tokens of a principal, and the logins of a person."""
    call, house = workspace.call, workspace.house
    tokens = tokens_of(call, workspace.file, principal)
    person = EntityId(name_of(principal)) if kind_of(principal) is NodeKind.PERSON else ""
    if workspace.by.accessor in tokens.live or person in call.actor().people:
        raise Conflict("this would end your own session: use one outside the case")
    leases = sum(house.leases.count_of(call.tx, hash_) for hash_ in tokens.live.values())
    for hash_ in tokens.live.values():
        house.tokens.revoke(call.tx, hash_, call.now_ns)
    if kind_of(principal) is NodeKind.PERSON:
        _shut_out(call, EntityId(name_of(principal)))
    return Cut(principal, tokens, leases)


def _shut_out(call: Call, person: EntityId) -> None:
    """End all tokens of an entity, batch tokens included, and disable the entity."""
    house = call.use(House)
    entity = house.identity.get(call.tx, person)
    if entity is None:
        return
    house.tokens.revoke_entity_before(call.tx, person, call.now_ns, call.now_ns)
    entity = house.identity.get(call.tx, person) or entity
    # Logins that this person configured stay refused until another person writes them again.
    disabled = msgspec.structs.replace(entity, disabled=True, contained_ns=call.now_ns)
    house.identity.update(call.tx, disabled, call.now_ns)
    # Tokens issued through their roles are invalid now; tidy removes them with their leases.
    house.tokens.tidy(call.tx, call.now_ns)


def _record(workspace: Workspace, cuts: list[Cut]) -> Response | Suspend:
    """Journal the containment, which is durable by now, and survey what could have been read."""
    call = workspace.call
    for mount in workspace.names.mounts():
        workspace.house.scope.mounted(mount, call.now_ns)
    spell_out(call, workspace.names)
    for cut in cuts:
        for each in _records(workspace, cut):
            workspace.note(each)

    return effects.run(call, _surveys(workspace, cuts), answered("contained"))


def _surveys(workspace: Workspace, cuts: list[Cut]) -> Steps[list[dict[str, Any]]]:
    contained = []
    for cut in cuts:
        secrets, unknown = 0, list[str]()
        if kind_of(cut.principal) in SURVEYED:
            survey = Survey(
                workspace.call, workspace.file, workspace.names, cut.principal, cut.tokens
            )
            secrets = yield from survey.link(workspace.call.now_ns)
            unknown = survey.unknown
        contained.append(
            {
                "principal": workspace.label(cut.principal),
                "tokens_ended": len(cut.tokens.live),
                "tokens_gone": len(cut.tokens.accessors) - len(cut.tokens.live),
                "leases": cut.leases,
                "secrets_readable": secrets,
                "not_known_of": unknown,
            }
        )
    return contained


def _records(workspace: Workspace, cut: Cut) -> Iterable[ev.Contained]:
    ended = [each for each in cut.tokens.accessors if each in cut.tokens.live]
    gone = [each for each in cut.tokens.accessors if each not in cut.tokens.live]
    for at in range(0, max(len(ended), len(gone), 1), MAX_ACCESSORS):
        some = slice(at, at + MAX_ACCESSORS)
        leases = 0 if at else cut.leases
        yield ev.Contained(
            workspace.case, cut.principal, tuple(ended[some]), tuple(gone[some]), leases
        )


def readmit(call: Call, given: Readmit) -> Suspend:
    """Let a contained principal act again; an owner takes responsibility and gives a reason."""
    return on_desk(call, given.id, lambda workspace: _readmit(workspace, given))


def _readmit(workspace: Workspace, given: Readmit) -> Response:
    call = workspace.call
    principal = workspace.named(given.principal)
    if workspace.file.containment(principal) is None:
        raise Conflict("only a contained principal can be readmitted")
    if kind_of(principal) is NodeKind.SESSION:
        raise InvalidRequest("a session stays ended: readmit its person")
    owner = workspace.owner(given.owner)
    workspace.note(ev.Readmitted(given.id, principal, owner, words(given.reason, "a reason")))
    person = EntityId(name_of(principal))
    entity = workspace.house.identity.get(call.tx, person)
    if kind_of(principal) is NodeKind.PERSON and entity is not None:
        enabled = msgspec.structs.replace(entity, disabled=False)
        workspace.house.identity.update(call.tx, enabled, call.now_ns)
    return Response(data={"readmitted": workspace.label(principal), "owner": owner})


def require_contained(workspace: Workspace) -> None:
    """Raise Conflict while an exposed principal can act, as it could read new secrets at once."""
    free = [each for each in workspace.file.principals if workspace.file.containment(each) is None]
    if free:
        names: list[Any] = [workspace.label(each) for each in free[:5]]
        raise Conflict(f"contain first: {', '.join(names)} can still act")


ROUTES: Final = (
    Route(
        Operation.UPDATE, "cases/{id}/contain", contain, Contain, sudo=True,
        audited=("id",), help="Cut off all exposed principals, or one.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/readmit", readmit, Readmit, sudo=True,
        audited=("id",), help="Let a contained principal act again.",
    ),
)  # fmt: skip
