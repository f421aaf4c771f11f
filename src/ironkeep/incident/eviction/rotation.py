"""Rotation: replace exposed credentials, end their sessions, and check that systems refuse them.

The rotation, the end of sessions and the refusal are separate records, each written after the fact.
Managed credentials are handled here, those of administering accounts first. A person revokes other
credentials at their issuer and reports it.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.credential.connector import ConnectorError, Probe
from ironkeep.core.credential.inventory import InventoryItem
from ironkeep.core.errors import Conflict, InvalidRequest, NotFound, Sealed, TooManyRequests
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, name_of
from ironkeep.core.ids import MountUuid
from ironkeep.core.operation import Operation
from ironkeep.credentials.managed import Rotated
from ironkeep.credentials.outcomes import Probed
from ironkeep.credentials.store import CredentialId
from ironkeep.incident.case.workspace import Desk, answered, on_desk, words
from ironkeep.incident.eviction.containment import require_contained
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


def managed(desk: Desk, secret: str = "") -> list[Exposed]:
    """Return all exposed managed credentials, or the named one; administering accounts first."""
    found: dict[CredentialId, list[int]] = {}
    only = desk.named(secret) if secret else None
    for version in desk.file.credentials:
        which, number = _split(version)
        known = number >= 0 and _is_managed(desk, which, named=only == version)
        if known and only in (None, version):
            found.setdefault(which, []).append(number)
    ordered = sorted(found, key=lambda which: (not which.path.startswith("config/"), which))
    return [Exposed(which, tuple(found[which])) for which in ordered]


def _is_managed(desk: Desk, which: CredentialId, *, named: bool) -> bool:
    """Return whether a credential is managed here and can be handled now.

    A credential in a sealed segment cannot, and stays open in the case; raise Sealed if the request
    named it.
    """
    try:
        return desk.house.credentials.store.find(desk.call.tx, which) is not None
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
    return on_desk(call, given.id, lambda desk: _rotate(desk, given))


def _rotate(desk: Desk, given: Rotate) -> Response | Suspend:
    require_contained(desk)
    chosen = managed(desk, given.secret)
    if given.secret and not chosen:
        return _by_hand(desk, given)
    steps = _rotations(desk, chosen, turn_of(desk.call))
    return effects.run(desk.call, steps, answered("rotated"))


def _by_hand(desk: Desk, given: Rotate) -> Response:
    version = desk.named(given.secret)
    if version not in desk.file.credentials:
        raise InvalidRequest(f"{desk.label(version)} is not an exposed credential of this case")
    system = str(desk.names.node(given.system)) if given.system else ""
    if not system and desk.file.estate.verifiers(version):
        opened = ", ".join(map(desk.label, desk.file.estate.verifiers(version)))
        raise InvalidRequest(f"give the system where it was revoked: it opens {opened}")
    replacement = str(desk.names.secret(given.replacement)) if given.replacement else ""
    record = ev.Revoked(
        desk.case,
        version,
        system,
        desk.call.now_ns,
        words(given.method, "method"),
        words(given.receipt, "receipt"),
        replacement,
    )
    desk.note(record)
    done = {"secret": desk.label(version), "state": "revoked", "detail": "as reported"}
    return Response(data={"rotated": [done]})


def _rotations(desk: Desk, chosen: list[Exposed], turn: Turn) -> Steps[list[dict[str, Any]]]:
    results = []
    for each in chosen:
        results.append((yield from _rotation(desk, each, turn)))
        # Each credential gets a turn of its own.
        turn = yield from settled()
    return results


def _rotation(desk: Desk, each: Exposed, turn: Turn) -> Steps[dict[str, Any]]:
    house, which = desk.house, each.which
    label = desk.label(which.version(max(each.versions)))
    current = house.credentials.store.current(turn.tx, which)
    if current in each.versions or current is None:
        rotated: Rotated = yield from house.credentials.rotate(turn, which)
        turn = yield from settled()
        if not rotated.done:
            state = "lost" if rotated.lost else "waiting"
            return {"secret": label, "state": state, "detail": rotated.reason}
        current = rotated.current
    system = house.credentials.system_of(turn.tx, which)
    receipt = f"version {current} is the one that works there, each earlier one is refused"
    for number in each.versions:
        record = ev.Revoked(
            desk.case,
            which.version(number),
            system,
            turn.now_ns,
            "replaced at the system",
            receipt,
            which.version(current),
        )
        house.scope.note(record, turn.now_ns, desk.by)
    return {"secret": label, "state": "revoked", "detail": receipt}


def kill(call: Call, given: One) -> Suspend:
    """End the sessions that were opened with revoked credentials."""
    return on_desk(call, given.id, lambda desk: _kill(desk, given))


def _kill(desk: Desk, given: One) -> Response | Suspend:
    steps = _endings(desk, _revoked(desk, given.secret), turn_of(desk.call))
    return effects.run(desk.call, steps, answered("sessions"))


def _revoked(desk: Desk, secret: str) -> list[Exposed]:
    """Return the chosen credentials with those versions that are on record as revoked."""
    found = [
        Exposed(each.which, tuple(n for n in each.versions if _is_revoked(desk, each.which, n)))
        for each in managed(desk, secret)
    ]
    if not any(each.versions for each in found):
        raise Conflict("no managed credential of this case is revoked yet: rotate first")
    return [each for each in found if each.versions]


def _is_revoked(desk: Desk, which: CredentialId, number: int) -> bool:
    return bool(desk.file.revocations(which.version(number)))


def _endings(desk: Desk, chosen: list[Exposed], turn: Turn) -> Steps[list[dict[str, Any]]]:
    results = []
    for each in chosen:
        ended = yield from desk.house.credentials.accounts.kill(turn, each.which)
        for number in each.versions if ended.remaining >= 0 else ():
            record = ev.Ended(
                desk.case,
                each.which.version(number),
                ended.system,
                ended.done_ns,
                ended.ended,
                ended.remaining,
            )
            desk.house.scope.note(record, ended.done_ns, desk.by)
        results.append(
            {
                "secret": desk.label(each.which.version(max(each.versions))),
                "ended": ended.ended,
                "remaining": ended.remaining if ended.remaining >= 0 else None,
                "detail": ended.reason,
            }
        )
        turn = yield from settled()
    return results


def probe(call: Call, given: One) -> Suspend:
    """Present revoked credentials to every host of their systems, and look for their use."""
    return on_desk(call, given.id, lambda desk: _probe(desk, given))


def _probe(desk: Desk, given: One) -> Response | Suspend:
    steps = _probes(desk, _revoked(desk, given.secret), turn_of(desk.call))
    return effects.run(desk.call, steps, answered("probes"))


def _probes(desk: Desk, chosen: list[Exposed], turn: Turn) -> Steps[list[dict[str, Any]]]:
    results: list[dict[str, Any]] = []
    for which, number in [(each.which, n) for each in chosen for n in each.versions]:
        try:
            probed: Probed = yield from desk.house.credentials.accounts.probe(turn, which, number)
        except NotFound:
            results.append(_unknown(desk, which, number, turn))
            turn = yield from settled()
            continue
        except TooManyRequests as limit:
            results.append(_result(desk, which, number, Probe.UNKNOWN, str(limit)))
            break
        turn = yield from settled()
        _note_probe(desk, probed, turn)
        yield from _watch(desk, which, number, turn)
        turn = yield from settled()
        results.append(_result(desk, which, number, probed.shown.state, probed.shown.reason))
    return results


def _note_probe(desk: Desk, probed: Probed, turn: Turn) -> None:
    for answer in probed.shown.answers:
        record = ev.Probed(
            desk.case,
            probed.version,
            probed.system,
            answer.endpoint,
            answer.state,
            answer.code,
            answer.reason,
            probed.at_ns,
            max(answer.took_ms, 0),
        )
        desk.house.scope.note(record, turn.now_ns, desk.by)


def _unknown(desk: Desk, which: CredentialId, number: int, turn: Turn) -> dict[str, Any]:
    reason = "the old credential is not kept any more, so it cannot be presented"
    system = desk.house.credentials.system_of(turn.tx, which)
    record = ev.Probed(
        desk.case, which.version(number), system, "", Probe.UNKNOWN, "", reason, turn.now_ns, 0
    )
    desk.house.scope.note(record, turn.now_ns, desk.by)
    return _result(desk, which, number, Probe.UNKNOWN, reason)


def _result(desk: Desk, which: CredentialId, number: int, state: Probe, why: str) -> dict[str, Any]:
    return {"secret": desk.label(which.version(number)), "state": str(state), "detail": why}


def _watch(desk: Desk, which: CredentialId, number: int, turn: Turn) -> Steps[None]:
    """Record the observed use of a revoked credential (see _MEANS).

    If a session cannot be attributed, nothing is recorded and the claim stays open.
    """
    version = which.version(number)
    revoked = desk.file.revocations(version)[-1].record
    system = desk.house.credentials.system_of(turn.tx, which)
    asked_ns = turn.now_ns
    try:
        found = yield from desk.house.credentials.accounts.sessions(turn, which)
    except ConnectorError:
        return
    turn = yield from settled()
    reads = desk.file.deeds.reads_of(NodeId(revoked.replacement))
    sessions = [session for _, session in found]
    if reads:
        successes = _begun_before(sessions, asked_ns, reads[0].deed.entry.time_ns - _SLACK_NS)
    else:
        successes = len(sessions)
    if successes is None:
        return
    means = _MEANS_IN_USE if reads else _MEANS
    attempts = len(desk.file.probes(version, system)) + 1
    record = ev.Watched(
        desk.case, version, system, revoked.done_ns, turn.now_ns, successes, attempts, means
    )
    desk.house.scope.note(record, turn.now_ns, desk.by)


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
        Operation.UPDATE, "cases/{id}/kill", kill, One, sudo=True, audited=("id",),
        help="End sessions opened with revoked credentials.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/probe", probe, One, sudo=True, audited=("id",),
        help="Present revoked credentials to their verifiers.",
    ),
)  # fmt: skip
