"""Rotation: replace exposed credentials, and check that systems refuse them.

The rotation, the end of sessions (endings.py) and the refusal are separate records, each written
after the fact.
Managed credentials are handled here, those of administering accounts first. A person revokes other
credentials at their issuer and reports it (reported.py).
"""

from dataclasses import dataclass, field
from typing import Any, Final, cast

from ironkeep.core.credential.connector import ConnectorError, Probe
from ironkeep.core.credential.inventory import InventoryItem
from ironkeep.core.errors import Conflict, InvalidRequest, NotFound, Sealed, TooManyRequests
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, name_of
from ironkeep.core.ids import MountUuid
from ironkeep.core.operation import Operation
from ironkeep.credentials.managed import Rotated
from ironkeep.credentials.outcomes import Probed
from ironkeep.credentials.rotation_record import Record, RotationState, Stage
from ironkeep.credentials.store import CredentialId
from ironkeep.incident.case.workspace import Workspace, answered, on_desk
from ironkeep.incident.eviction.containment import require_contained
from ironkeep.incident.eviction.places import put_on_record, systems_of
from ironkeep.incident.eviction.present import comparable, compare
from ironkeep.incident.eviction.reported import report
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects import effects
from ironkeep.plugin.effects.effects import Steps, Turn, settled, turn_of
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

_MEANS: Final = (
    "sessions of the account listed at the system while nobody has been given the new credential; "
    "the old one presented again"
)
_MEANS_IN_USE: Final = (
    "sessions of the account listed at the system that began before the new credential was first "
    "given out; the old one presented again"
)
_SLACK_NS: Final = 1_000_000_000
"""Tolerance for the start of a session, because the query for its age takes time: one that seems to
begin shortly before the new credential was given out may belong to that credential's consumer. The
old credential is refused by then."""


@dataclass(frozen=True)
class Rotate:
    """One exposed credential, or all managed ones.

    For a credential not managed here: how it was revoked at its issuer, with the receipt.
    """

    id: str
    secret: str = field(default="", metadata={"help": "mount/path or mount/path@version"})
    system: str = field(default="", metadata={"help": "by hand: the system where it was revoked"})
    method: str = field(default="", metadata={"help": "by hand: how it was revoked"})
    receipt: str = field(default="", metadata={"help": "by hand: the issuer's own statement"})
    replacement: str = field(default="", metadata={"help": "by hand: the new version"})


@dataclass(frozen=True)
class One:
    """One exposed credential, or all managed and revoked ones."""

    id: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Exposed:
    """A managed credential with its exposed versions."""

    which: CredentialId
    versions: tuple[int, ...]


def managed(workspace: Workspace, secret: str = "") -> list[Exposed]:
    """Return all exposed managed credentials, or the named one; administering accounts first."""
    found: dict[CredentialId, list[int]] = {}
    only = workspace.named(secret) if secret else None
    for version in workspace.file.credentials:
        which, number = _split(version)
        known = number >= 0 and _is_managed(workspace, which, named=only == version)
        if known and only in (None, version):
            found.setdefault(which, []).append(number)
    ordered = sorted(found, key=lambda which: (not which.path.startswith("config/"), which))
    return [Exposed(which, tuple(found[which])) for which in ordered]


def _is_managed(workspace: Workspace, which: CredentialId, *, named: bool) -> bool:
    """Return whether a credential is managed here and can be handled now.

    A credential in a sealed segment cannot, and stays open in the case; raise Sealed if the request
    named it.
    """
    try:
        return workspace.house.credentials.store.find(workspace.call.tx, which) is not None
    except Sealed:
        if named:
            raise
    except NotFound:  # its segment is destroyed
        pass
    return False


def _split(version: NodeId) -> tuple[CredentialId, int]:
    """Split a secret version into credential and number; -1 if it is not a single version."""
    mount, _, rest = name_of(version).partition("/")
    path, _, number = rest.rpartition("@")
    single = kind_of(version) is NodeKind.SECRET and number.isdigit()
    return CredentialId(MountUuid(mount), path), int(number) if single else -1


def rotate(call: Call, given: Rotate) -> Suspend:
    """Replace exposed credentials; refused while an exposed principal could read the new ones."""
    return on_desk(call, given.id, lambda workspace: _rotate(workspace, given))


def _rotate(workspace: Workspace, given: Rotate) -> Response | Suspend:
    require_contained(workspace)
    if not given.secret and (given.system or given.method or given.receipt or given.replacement):
        raise InvalidRequest("name the one credential that was revoked by hand: secret")
    chosen = managed(workspace, given.secret)
    if given.secret and not chosen:
        return report(
            workspace,
            given.secret,
            system=given.system,
            method=given.method,
            receipt=given.receipt,
            replacement=given.replacement,
        )
    steps = _rotations(workspace, chosen, turn_of(workspace.call))
    return effects.run(workspace.call, steps, answered("rotated"))


def _rotations(
    workspace: Workspace, chosen: list[Exposed], turn: Turn
) -> Steps[list[dict[str, Any]]]:
    results = []
    for each in chosen:
        results.append((yield from _rotation(workspace, each, turn)))
        # Each credential gets a turn of its own.
        turn = yield from settled()
    return results


def _rotation(workspace: Workspace, each: Exposed, turn: Turn) -> Steps[dict[str, Any]]:
    house, which = workspace.house, each.which
    label = workspace.label(which.version(max(each.versions)))
    state = house.credentials.store.record(turn.tx, which)
    while not _has_replaced(state, each.versions):
        # The first round may only end a rotation of before, to a version that is exposed, too.
        rotated: Rotated = yield from house.credentials.rotate(turn, which)
        turn = yield from settled()
        if not rotated.done:
            told = "lost" if rotated.lost else "waiting"
            return {"secret": label, "state": told, "detail": rotated.reason}
        state = house.credentials.store.record(turn.tx, which)
    current = state.at(Stage.CURRENT)[0]
    system = house.credentials.system_of(turn.tx, which)
    receipt = f"version {current} is the one that works there, each earlier one is refused"
    for number in each.versions:
        record = ev.Revoked(
            workspace.case,
            which.version(number),
            system,
            turn.now_ns,
            "replaced at the system",
            receipt,
            which.version(current),
            measured=True,
        )
        house.scope.note(record, turn.now_ns, workspace.by)
    return {"secret": label, "state": "revoked", "detail": receipt}


def _has_replaced(record: Record, versions: tuple[int, ...]) -> bool:
    """Return whether another version is in force, and every older one was seen to be refused."""
    current = record.at(Stage.CURRENT)
    is_over = record.state is RotationState.IDLE and not record.unproven()
    return is_over and bool(current) and current[0] not in versions


def revoked(workspace: Workspace, secret: str) -> list[Exposed]:
    """Return the chosen credentials with those versions that are on record as revoked."""
    found = _those_revoked(workspace, secret)
    if not found:
        raise Conflict("no managed credential of this case is revoked yet: rotate first")
    return found


def _those_revoked(workspace: Workspace, secret: str) -> list[Exposed]:
    found = [
        Exposed(
            each.which, tuple(n for n in each.versions if _is_revoked(workspace, each.which, n))
        )
        for each in managed(workspace, secret)
    ]
    return [each for each in found if each.versions]


def _is_revoked(workspace: Workspace, which: CredentialId, number: int) -> bool:
    return bool(workspace.file.revocations(which.version(number)))


def probe(call: Call, given: One) -> Suspend:
    """Present revoked credentials to every host of their systems, and look for their use.

    All revoked secrets, managed or not, are compared with what the vault gives out now.
    """
    return on_desk(call, given.id, lambda workspace: _probe(workspace, given))


def _probe(workspace: Workspace, given: One) -> Response | Suspend:
    only = workspace.named(given.secret) if given.secret else None
    stored = comparable(workspace, only)
    chosen = _those_revoked(workspace, given.secret)
    if not stored and not chosen:
        raise Conflict("no credential of this case is revoked yet: rotate first")

    def steps() -> Steps[dict[str, Any]]:
        yield from settled()
        compared = yield from compare(workspace, stored)
        turn = yield from settled()
        probes = yield from _probes(workspace, chosen, turn)
        return {"compared": compared, "probes": probes}

    return effects.run(workspace.call, steps(), lambda _call, found: Response(data=found))


def _probes(workspace: Workspace, chosen: list[Exposed], turn: Turn) -> Steps[list[dict[str, Any]]]:
    results: list[dict[str, Any]] = []
    for which, number in [(each.which, n) for each in chosen for n in each.versions]:
        put_on_record(workspace, which, turn)
        try:
            probed: Probed = yield from workspace.house.credentials.accounts.probe(
                turn, which, number
            )
        except NotFound:
            results.append(_unknown(workspace, which, number, turn))
            turn = yield from settled()
            continue
        except TooManyRequests as limit:
            results.append(_result(workspace, which, number, Probe.UNKNOWN, str(limit)))
            break
        turn = yield from settled()
        _note_probe(workspace, probed, turn)
        yield from _watch(workspace, which, number, turn)
        turn = yield from settled()
        results.append(_result(workspace, which, number, probed.shown.state, probed.shown.reason))
    return results


def _note_probe(workspace: Workspace, probed: Probed, turn: Turn) -> None:
    for system, endpoints in systems_of(workspace, probed.version, probed.system):
        for answer in probed.shown.answers:
            if endpoints is not None and answer.host not in endpoints:
                continue
            record = ev.Probed(
                workspace.case,
                probed.version,
                system,
                answer.endpoint,
                answer.state,
                answer.code,
                answer.reason,
                probed.at_ns,
                max(answer.took_ms, 0),
            )
            workspace.house.scope.note(record, turn.now_ns, workspace.by)


def _unknown(workspace: Workspace, which: CredentialId, number: int, turn: Turn) -> dict[str, Any]:
    reason = "the old credential is not kept any more, so it cannot be presented"
    system = workspace.house.credentials.system_of(turn.tx, which)
    record = ev.Probed(
        workspace.case, which.version(number), system, "", Probe.UNKNOWN, "", reason, turn.now_ns, 0
    )
    workspace.house.scope.note(record, turn.now_ns, workspace.by)
    return _result(workspace, which, number, Probe.UNKNOWN, reason)


def _result(
    workspace: Workspace, which: CredentialId, number: int, state: Probe, why: str
) -> dict[str, Any]:
    return {"secret": workspace.label(which.version(number)), "state": str(state), "detail": why}


def _watch(workspace: Workspace, which: CredentialId, number: int, turn: Turn) -> Steps[None]:
    """Record the observed use of a revoked credential (see _MEANS).

    If a session cannot be attributed, nothing is recorded and the claim stays open.
    """
    version = which.version(number)
    revoked = workspace.file.revocations(version)[-1].record
    system = workspace.house.credentials.system_of(turn.tx, which)
    asked_ns = turn.now_ns
    try:
        found = yield from workspace.house.credentials.accounts.sessions(turn, which)
    except ConnectorError:
        return
    turn = yield from settled()
    first_ns = yield from _first_release(workspace, NodeId(revoked.replacement))
    turn = yield from settled()
    sessions = [session for _, session in found]
    if first_ns is not None:
        successes = _begun_before(sessions, asked_ns, first_ns - _SLACK_NS)
    else:
        successes = len(sessions)
    if successes is None:
        return
    means = _MEANS if first_ns is None else _MEANS_IN_USE
    # Sessions were listed at every place, so this holds for the systems of former hosts too.
    for place, _ in systems_of(workspace, version, system):
        attempts = len(workspace.file.probes(version, place)) + 1
        record = ev.Watched(
            workspace.case, version, place, revoked.done_ns, turn.now_ns, successes, attempts, means
        )
        workspace.house.scope.note(record, turn.now_ns, workspace.by)


def _first_release(workspace: Workspace, version: NodeId) -> Steps[int | None]:
    """Return when a version was first given out; None if it was not, or there is no version."""
    question = workspace.archive.ask_first(version) if version else None
    if question is None:
        return None
    _, first_ns = yield question
    return cast("int | None", first_ns)


def _begun_before(sessions: list[InventoryItem], asked_ns: int, until_ns: int) -> int | None:
    """Return how many sessions began before until_ns; None if any start is unknown."""
    ages = [dict(session.attributes).get("open_us") for session in sessions]
    if not all(age is not None and age.isdigit() for age in ages):
        return None
    return sum(asked_ns - int(age or 0) * 1_000 < until_ns for age in ages)


ROUTES: Final = (
    Route(
        Operation.UPDATE, "cases/{id}/rotate", rotate, Rotate, sudo=True,
        audited=("id",), help="Replace exposed credentials, or report one replaced by hand.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/probe", probe, One, sudo=True, audited=("id",),
        help="Present revoked credentials to their verifiers, and compare stored secrets.",
    ),
)  # fmt: skip
