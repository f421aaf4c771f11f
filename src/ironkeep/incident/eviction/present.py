"""Compare exposed versions of secrets with what the vault gives out under their names today.

Whoever replaces a secret by hand says so, and the vault can look: it has the versions. A version
that is still current, or whose value the current one has again, is not replaced. Neither is one
whose value another secret has: who knows it can use it there (elsewhere.py). The comparison is a
record of its own (`records.Compared`), without any value.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, place_of
from ironkeep.credentials.listing import Kept
from ironkeep.incident.case.guesses import DAY_NS, MAX_HITS, Guesses, guessers
from ironkeep.incident.case.workspace import Workspace
from ironkeep.incident.eviction.accepted import accepted
from ironkeep.incident.eviction.elsewhere import HIDDEN, Elsewhere, elsewhere
from ironkeep.incident.eviction.texts import fields_of, is_among
from ironkeep.plugin.effects.effects import Steps, Turn, pause

IN_A_TURN: Final = 8
"""Secrets compared in one turn: some milliseconds."""

MAX_NAMED: Final = 5
"""Sealed mounts named in one answer."""

_GONE: Final = "the vault has no such secret any more"
_GONE_UNSEEN: Final = (
    "the vault has no such secret any more, and nobody compared it before it was removed, so "
    "whether its value is in use under another name cannot be told: exempt it"
)
_CURRENT: Final = re.compile(r"version \d+ is current")
_SEALED: Final = "its segment is sealed: open it, and probe again"
_UNSEEN: Final = (
    "whether its value is in use in {mounts} cannot be told, which is sealed: open it, and probe "
    "again"
)
_SPENT: Final = (
    "enough secrets that you may not read were found to have an exposed value: have another person "
    "probe, or somebody who may read them"
)
_ALERT: Final = "a probe found an exposed value in a secret that its sender may not read"
_UNVERSIONED: Final = (
    "the mount keeps no versions, so whether the value was replaced cannot be told: delete it, and "
    "store the new one in a mount of version 2"
)
_UNREADABLE: Final = (
    "version {number} is not kept as it was read, or has no text, so whether version {current} has "
    "its value cannot be told: undelete it and probe again, or exempt it"
)


def compare(workspace: Workspace, chosen: Iterable[NodeId]) -> Steps[list[dict[str, Any]]]:
    """Record the comparison of each revoked version in chosen; return the results.

    A secret in a sealed segment cannot be looked at, and stays open in the case.
    """
    results, versions = list[dict[str, Any]](), list(chosen)
    others = yield from elsewhere(workspace, versions)
    logins = yield from accepted(workspace, versions)
    turn = yield from pause()
    for number, version in enumerate(versions, start=1):
        judged = _judged(_look(workspace, version), version, others, logins)
        found, words = _in_reach(workspace, version, *judged, turn)
        if found is not None:
            record = ev.Compared(workspace.case, version, turn.now_ns, found, words)
            workspace.house.scope.note(record, turn.now_ns, workspace.by)
        state = "unknown" if found is None else "current" if found else "replaced"
        results.append({"secret": workspace.label(version), "state": state, "detail": words})
        if number % IN_A_TURN == 0:
            turn = yield from pause()
    return results


def _judged(
    looked: tuple[bool, str] | None, version: NodeId, others: Elsewhere, logins: dict[NodeId, str]
) -> tuple[bool | None, str]:
    """Return whether a version is given out or in use, None if that is not known; and why."""
    if looked is None:
        return None, _SEALED
    same, words = looked
    further = [each[version] for each in (others.found, logins) if version in each]
    if further:
        return True, "; ".join(dict.fromkeys([words, *further] if same else further))
    if not same and version in others.searched and others.sealed:
        return None, _UNSEEN.format(mounts=", ".join(others.sealed[:MAX_NAMED]))
    return same, words


def _in_reach(
    workspace: Workspace, version: NodeId, found: bool | None, words: str, turn: Turn
) -> tuple[bool | None, str]:
    """Return a judgement, as far as the caller may have it; see guesses.MAX_HITS.

    That a value stands in a secret out of the caller's reach confirms a guess, and so does that it
    stands in none: past the limit neither is told.
    """
    last = workspace.file.about(ev.Compared, version, "")[-1:]
    if found is None or any(each.record.words == words for each in last):
        return found, words
    guesses = Guesses(workspace.house.mount_store(turn.tx, workspace.call.mount), turn.now_ns)
    who = guessers(workspace.call)
    if any(len(guesses.recent(f"hits/{each}", DAY_NS)) >= MAX_HITS for each in who):
        return (found, words) if found and HIDDEN not in words else (None, _SPENT)
    if HIDDEN in words:
        for each in who:
            guesses.count(f"hits/{each}", DAY_NS)
        workspace.house.features.alerts.raise_(
            turn.tx, "probe", _ALERT, turn.now_ns,
            entity=workspace.by.entity, device=workspace.by.device,
            path=workspace.call.request.path,
        )  # fmt: skip
    return found, words


def comparable(workspace: Workspace, only: NodeId | None) -> list[NodeId]:
    """Return the exposed and revoked versions of secrets, or the one named."""
    file = workspace.file
    return [
        each
        for each in file.credentials
        if kind_of(each) is NodeKind.SECRET
        and not each.endswith("@*")
        and file.revocations(each)
        and only in (None, each)
    ]


def _look(workspace: Workspace, version: NodeId) -> tuple[bool, str] | None:
    """Return whether a version is still given out, and that in words; None if it is sealed."""
    uuid, path = place_of(version)
    number = int(version.rpartition("@")[2])
    names = workspace.names
    mount = next((each for each in names.mounts() if each.uuid == uuid), None)
    if mount is None:
        return _gone(workspace, version)
    if names.is_sealed(mount):
        return None
    kept = names.kept_at(mount, path)
    if kept is None:
        return _gone(workspace, version)
    if kept.current == 0 and number == 0:
        return True, _UNVERSIONED
    if kept.current == number:
        return True, f"version {number} is current"
    replaced = f"version {kept.current} is current"
    # A version that began later is that of a secret that was stored anew under the old name.
    anew = _began(kept, number) > _known_ns(workspace, version)
    exposed = () if anew else fields_of(kept, number)
    if exposed:
        if is_among(exposed, fields_of(kept, kept.current)):
            return True, f"version {kept.current} has the value of version {number}"
        return False, replaced
    if kept.is_generated or _seen(workspace, version, kept):
        return False, replaced
    return True, _UNREADABLE.format(number=number, current=kept.current)


def _gone(workspace: Workspace, version: NodeId) -> tuple[bool, str]:
    """Return whether a version that is gone may be in use, by its last comparison, and in words.

    A comparison while it was itself current is enough if its value was nowhere else.
    """
    last = workspace.file.about(ev.Compared, version, "")[-1:]
    if any(each.record.words == _GONE or _CURRENT.fullmatch(each.record.words) for each in last):
        return False, _GONE
    return True, _GONE_UNSEEN


def _known_ns(workspace: Workspace, version: NodeId) -> int:
    """Return when a version was exposed, or was named as a subject, which is later."""
    file = workspace.file
    opening = file.case.opening
    named = opening.entry.time_ns if opening and version in file.case.subjects else 0
    return max(file.rows[version].exposed_ns, named)


def _seen(workspace: Workspace, version: NodeId, kept: Kept) -> bool:
    """Return whether the last comparison saw that this current version has another value."""
    began_ns = _began(kept, kept.current)
    last = workspace.file.about(ev.Compared, version, "")[-1:]
    words = f"version {kept.current} is current"
    return any(
        not each.record.same and each.record.words == words and each.record.at_ns >= began_ns
        for each in last
    )


def _began(kept: Kept, number: int) -> int:
    """Return the instant since which a version could be read; 0 if it is not known."""
    return next((each.from_ns for each in kept.versions if each.number == number), 0)
