"""Containment: end all access of exposed principals, then journal the proof of it.

Everything ends first, and that is durable before anything is listed, recorded or surveyed: no
record states what a crash may have undone, and no survey delays the cut.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.access.break_glass.break_glass import BreakGlass
from ironkeep.core.errors import Conflict, InvalidRequest
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import PRINCIPALS, NodeId, NodeKind, kind_of, name_of
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.webauthn import webauthn
from ironkeep.identity.entities import Entity
from ironkeep.identity.token_params import LOGIN, login_name
from ironkeep.identity.token_store import device_origin, role_origin
from ironkeep.incident.case.links import spell_out
from ironkeep.incident.case.workspace import Workspace, on_desk, with_brief, words
from ironkeep.incident.eviction import cut as cutting
from ironkeep.incident.eviction.cut import Cut, Cuts
from ironkeep.incident.eviction.groups import Role, group_of
from ironkeep.incident.survey.holdings import sessions_on_record
from ironkeep.incident.survey.survey import SURVEYED, Survey
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects import effects
from ironkeep.plugin.effects.effects import Steps, settled
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_ACCESSORS: Final = 1_000
"""Accessors in one record; a principal with more gets several records, counted together."""


_MANY: Final = (f"{NodeKind.ROLE} ", f"{NodeKind.WINDOW} ")
"""The beginnings of the labels of subjects with many sessions, which need not exist."""
_FOR_GOOD: Final = frozenset({NodeKind.SESSION, NodeKind.SEGMENT, NodeKind.WINDOW})


@dataclass(frozen=True)
class Contain:
    """One exposed principal, a role, a segment or a window; or all exposed principals."""

    id: str
    principal: str = field(
        default="",
        metadata={
            "help": "one exposed principal, role:auth/MOUNT/NAME, segment:NAME or "
            "window:FROM/UNTIL; default: all exposed principals"
        },
    )


@dataclass(frozen=True)
class Readmit:
    """A principal to readmit, and the person responsible for it."""

    id: str
    principal: str
    reason: str
    owner: str = field(default="", metadata={"help": "the person responsible; default: you"})


def contain(call: Call, given: Contain) -> Response | Suspend:
    """End all access of exposed principals, or of one subject (see `cut`).

    Subjects lose their access at once. If the journal cannot be asked afterwards, the request
    fails, but they do not get it back: contain again for the record, and for what they passed on.
    """
    workspace = Workspace(call, given.id)
    steps = cutting.at_once(workspace, _subjects(workspace, given.principal))

    def then(later: Call, cuts: Cuts) -> Suspend:
        desk = Workspace(later, given.id)
        question = desk.archive.ask_brief(given.id, later.now_ns)
        return with_brief(
            question, lambda call, brief: _contain(desk.briefed(call, brief), given, cuts)
        )

    return effects.run(call, steps, then)


def _contain(workspace: Workspace, given: Contain, cuts: Cuts) -> Response | Suspend:
    steps = _steps(workspace, given.principal, cuts)
    return effects.run(workspace.call, steps, _told)


def _told(_call: Call, contained: list[dict[str, Any]]) -> Response:
    """Return the answer, with a warning where a containment did less than its words promise."""
    unseen = sorted({path for each in contained for path in each["not_known_of"]})
    warnings = [f"not known: {words}" for words in unseen]
    for each in contained:
        is_group = str(each["principal"]).startswith(_MANY)
        if is_group and not each["tokens_ended"] + each["tokens_gone"]:
            warnings.append(f"{each['principal']} had no token: check how it is written")
    return Response(data={"contained": contained}, warnings=warnings)


def _subjects(workspace: Workspace, text: str) -> list[NodeId]:
    """Return what can be cut at once: the case's subjects or the one that is meant, or a group.

    A caller who is a subject cuts nobody before the journal has shown that they were readmitted.
    """
    if cutting.is_subject(workspace.call, workspace.stored.subjects):
        return []
    subjects = [each for each in workspace.stored.subjects if kind_of(each) in PRINCIPALS]
    if not text:
        return subjects
    group = group_of(workspace, text)
    if group is not None:
        return [] if kind_of(group) is NodeKind.WINDOW else [group]
    try:
        meant = workspace.names.named(text)
    except InvalidRequest:
        # It may be the label of an exposed node, which follows from the evidence.
        return []
    return [meant] if meant in subjects else []


def _chosen(workspace: Workspace, text: str) -> Steps[list[NodeId]]:
    brief = workspace.brief
    if not text:
        # Sessions of exposed people and devices end with these.
        with_others: dict[str, None] = {}
        others = [each for each in brief.exposed if kind_of(each) is not NodeKind.SESSION]
        for each in others:
            with_others.update((yield from sessions_on_record(brief, each)))
        sessions = [each for each in brief.exposed if kind_of(each) is NodeKind.SESSION]
        return [*others, *(each for each in sessions if name_of(each) not in with_others)]
    group = group_of(workspace, text)
    if group is not None:
        return [group]
    principal = _named(workspace, text)
    if kind_of(principal) not in PRINCIPALS:
        raise InvalidRequest(
            "people, tokens, devices, roles, segments and windows can be contained; secrets are "
            "rotated"
        )
    if principal not in set(brief.exposed):
        raise InvalidRequest(f"{text[:80]!r} is not exposed in this case: widen it first")
    return [principal]


def _named(workspace: Workspace, text: str) -> NodeId:
    """Return the node of a text: an exposed principal or its label, or else any name."""
    brief = workspace.brief
    found = [each for each in brief.exposed if text in {each, brief.label(each)}]
    if len(found) > 1:
        raise InvalidRequest(f"{text[:80]!r} names {len(found)} things: write the node itself")
    return found[0] if found else workspace.names.named(text)


def _steps(workspace: Workspace, text: str, before: Cuts) -> Steps[list[dict[str, Any]]]:
    """Cut all off first; then journal each containment, and survey what could have been read."""
    principals = yield from _chosen(workspace, text)
    cuts = yield from cutting.end(workspace, principals, before)
    for each in cuts:
        yield from cutting.clear(workspace, each)
    turn = yield from settled()
    for mount in workspace.names.mounts():
        workspace.house.scope.mounted(mount, turn.now_ns)
    yield from spell_out(workspace.call, workspace.names)
    for each in cuts:
        for record in _records(workspace, each):
            workspace.house.scope.note(record, turn.now_ns, workspace.by)
        turn = yield from settled()
    contained = []
    for each in cuts:
        contained.append((yield from _survey(workspace, each, turn.now_ns)))
        turn = yield from settled()
    return contained


def _survey(workspace: Workspace, cut: Cut, until_ns: int) -> Steps[dict[str, Any]]:
    secrets: int | None = None
    unknown: list[str] = []
    if kind_of(cut.principal) in SURVEYED:
        survey = Survey(workspace.call, workspace.brief, cut.principal, cut.held)
        secrets = yield from survey.link(until_ns)
        unknown = survey.unknown
    return {
        "principal": workspace.brief.label(cut.principal),
        "tokens_ended": len(cut.ended),
        "tokens_gone": len(cut.gone),
        "leases": cut.leases,
        "devices": cut.devices,
        "secrets_readable": secrets,
        "not_known_of": unknown,
    }


def _records(workspace: Workspace, cut: Cut) -> Iterable[ev.Contained]:
    for at in range(0, max(len(cut.ended), len(cut.gone), 1), MAX_ACCESSORS):
        some = slice(at, at + MAX_ACCESSORS)
        leases = 0 if at else cut.leases
        yield ev.Contained(
            workspace.case, cut.principal, tuple(cut.ended[some]), tuple(cut.gone[some]), leases
        )


def readmit(call: Call, given: Readmit) -> Suspend:
    """Let a contained principal act again; an owner takes responsibility and gives a reason."""
    return on_desk(call, given.id, lambda workspace: _readmit(workspace, given))


def _readmit(workspace: Workspace, given: Readmit) -> Response:
    call = workspace.call
    principal = group_of(workspace, given.principal) or workspace.named(given.principal)
    if workspace.file.containment(principal) is None:
        raise Conflict("only a contained principal can be readmitted")
    if kind_of(principal) in _FOR_GOOD:
        raise InvalidRequest(
            "sessions stay ended, and a segment is unsealed with its shares: people, devices and "
            "roles are readmitted"
        )
    owner = workspace.owner(given.owner)
    person = EntityId(name_of(principal))
    entity = workspace.house.identity.get(call.tx, person)
    known = entity if kind_of(principal) is NodeKind.PERSON else None
    factors = () if known is None else factors_of(workspace, known)
    reason = words(given.reason, "a reason")
    workspace.note(ev.Readmitted(given.id, principal, owner, reason, factors))
    if kind_of(principal) is NodeKind.PERSON and entity is not None:
        enabled = msgspec.structs.replace(entity, disabled=False)
        workspace.house.identity.update(call.tx, enabled, call.now_ns)
    if kind_of(principal) is NodeKind.ROLE:
        role = Role.find(workspace, name_of(principal))
        workspace.house.tokens.readmit(call.tx, role_origin(role.mount.accessor, role.name))
    if kind_of(principal) is NodeKind.DEVICE:
        workspace.house.tokens.readmit(call.tx, device_origin(DeviceId(name_of(principal))))
    return Response(data={"readmitted": workspace.label(principal), "owner": owner})


def factors_of(workspace: Workspace, entity: Entity) -> tuple[str, ...]:
    """Return the factors by which a person can log in now, as a readmission records them."""
    call, house = workspace.call, workspace.house
    mounts = {mount.accessor: mount for mount in workspace.names.mounts()}
    found = [
        f"passkey:{webauthn.encode(each.id)}"
        for each in house.features.authenticators.of(call.tx, entity.id)
    ]
    for alias in entity.aliases:
        mount = mounts.get(alias.mount)
        if mount is None or mount.type == "passkey":
            continue
        if mount.type != "userpass":
            found.append(f"login:{mount.uuid}/{alias.name}")
        elif house.history.at(call.tx, LOGIN, login_name(mount, alias.name), call.now_ns) != b"":
            found.append(f"password:{mount.uuid}/{alias.name}")
    glass = BreakGlass(house.store)
    for name in glass.people(call.tx):
        holder = glass.holder(call.tx, name)
        if holder is not None and holder.hashes and holder.entity == entity.id:
            found.append(f"codes:{name}")
    return tuple(found)


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
