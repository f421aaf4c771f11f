"""The report on break-glass openings: the secrets each released, and whether they are replaced.

A secret counts as exposed until a person who did not take part in the opening writes another value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ironkeep.access.break_glass.break_glass import BreakGlass, Case
from ironkeep.core.errors import NotFound
from ironkeep.core.event import Entry, Released, decode
from ironkeep.core.ids import MountUuid
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.credentials.listing import kept_of
from ironkeep.credentials.managed import Credentials
from ironkeep.identity.entities import Identity
from ironkeep.identity.people import hand_of, is_one_hand
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.questions import question_of
from ironkeep.plugin.entries import BEHIND
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Plugins, Route
from ironkeep.store.reserved import MOUNTS

_WRITES: Final = frozenset({"create", "update", "patch"})
_BELOW: Final = ("", "data/", "rotate-role/")
"""Prefixes under which a new value of a secret is written: KV 1, KV 2, a database's static role."""


@dataclass(frozen=True)
class Which:
    """One opening."""

    id: str


def list_cases(call: Call) -> Response:
    """Return the ids of all openings."""
    keys = _glass(call).cases(call.tx)
    if not keys:
        raise NotFound("")
    return Response(data={"keys": keys})


def read_case(call: Call, given: Which) -> Suspend:
    """Return an opening, the secrets it released, and which of them are still exposed."""
    case = _glass(call).case(call.tx, given.id)
    if case is None:
        raise NotFound("no opening has that id")
    writes = {uuid: [path + below for below in _BELOW] for uuid, path in _paths(call).items()}
    about = {"accessor": case.accessor, "first": case.first, "writes": writes}

    def resume(later: Call, found: Any) -> Response:
        if isinstance(found, Exception):
            raise found
        exposed = _exposed(later, case, [(index, decode(body)) for index, body in found])
        return Response(data=_shape(case, exposed))

    return Suspend(question_of(call, "session", about), resume)


def _shape(case: Case, exposed: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": case.id,
        "reason": case.reason,
        "people": list(case.people),
        "opened": rfc3339(case.opened_ns),
        "until": rfc3339(case.until_ns),
        "accessor": case.accessor,
        "released": exposed,
        "exposed": sum(not each["replaced"] for each in exposed),
    }


def _paths(call: Call) -> dict[MountUuid, str]:
    """Return the paths of all mounts."""
    table = call.use(Mounts).table(call.services.store(call.tx, MOUNTS)).by_path.values()
    return {mount.uuid: mount.path for mount in table}


def _exposed(call: Call, case: Case, entries: list[tuple[int, Entry]]) -> list[dict[str, Any]]:
    """Return the secrets released to a case's token, given its entries and the writes of them."""
    paths = _paths(call)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    openers = _openers(call, case)
    for index, entry in entries:
        if entry.accessor == case.accessor:
            for one in entry.released:
                found[one.mount, one.path] = _shown(one, entry, index, paths)
        elif entry.op in _WRITES and entry.outcome == "ok" and not _is_opener(call, openers, entry):
            _replace(found, entry, paths)
    _compare(call, found)
    return list(found.values())


def _openers(call: Call, case: Case) -> frozenset[str]:
    """Return all people behind the openers of a case: their writes replace no exposed secret."""
    glass = _glass(call)
    holders = [glass.holder(call.tx, name) for name in case.people]
    known = (
        hand_of(call.use(Identity), call.tx, each.entity) for each in holders if each is not None
    )
    return frozenset(case.hands).union(*known)


def _is_opener(call: Call, openers: frozenset[str], entry: Entry) -> bool:
    """Return whether one of the openers wrote an entry, even with a token without a person."""
    behind = entry.audited.get(BEHIND)
    people = behind if isinstance(behind, list) else [entry.entity]
    identity = call.use(Identity)
    return any(is_one_hand(openers, hand_of(identity, call.tx, each)) for each in people)


def _compare(call: Call, found: Mapping[tuple[str, str], dict[str, Any]]) -> None:
    """Unmark as replaced each secret whose present value is still the one that was released.

    A mount that keeps no earlier values (KV version 1) cannot be compared: there a write counts.
    """
    replaced = {key: each for key, each in found.items() if each["replaced"]}
    mounts = call.use(Mounts).table(call.services.store(call.tx, MOUNTS)).by_path.values()
    for mount in mounts:
        wanted = {path for uuid, path in replaced if uuid == mount.uuid}
        if not wanted:
            continue
        store = call.store_of(mount)
        credentials = call.use(Credentials).store
        for kept in kept_of(call.use(Plugins)[mount.type], mount, store, credentials, call.tx):
            one = replaced.get((mount.uuid, kept.path)) if kept.path in wanted else None
            if one is not None and one["version"]:
                before = [value.reveal() for value in kept.values(one["version"])]
                now = [value.reveal() for value in kept.values(kept.current)]
                one["replaced"] = one["version"] != kept.current and (not before or before != now)


def _shown(
    one: Released, entry: Entry, index: int, paths: Mapping[MountUuid, str]
) -> dict[str, Any]:
    return {
        "mount": paths.get(MountUuid(one.mount), one.mount),
        "path": one.path,
        "version": one.version,
        "time": rfc3339(entry.time_ns),
        "entry": index,
        "replaced": False,
    }


def _replace(
    found: Mapping[tuple[str, str], dict[str, Any]], entry: Entry, paths: Mapping[MountUuid, str]
) -> None:
    """Mark the secret as replaced to which an entry wrote a new value."""
    mount = paths.get(MountUuid(entry.mount), "")
    relative = entry.path.removeprefix(mount)
    for below in _BELOW:
        path = relative.removeprefix(below)
        if relative.startswith(below) and (entry.mount, path) in found:
            found[entry.mount, path]["replaced"] = True


def _glass(call: Call) -> BreakGlass:
    return BreakGlass(call.services.store)


ROUTES: Final = (
    Route(Operation.LIST, "break-glass/cases/", list_cases, sudo=True, help="All openings."),
    Route(
        Operation.READ, "break-glass/cases/{id}", read_case, Which, sudo=True,
        help="An opening, the secrets it released, and which are replaced.",
    ),
)  # fmt: skip
