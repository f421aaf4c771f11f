"""Ironkeep's own root of trust in a case (claim E9): present state and changes to review."""

from collections.abc import Iterator
from typing import Any, Final

from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.operation import Operation
from ironkeep.core.policy.builtin import ROOT_POLICY_NAME
from ironkeep.identity import policies
from ironkeep.incident.case.cases import Case
from ironkeep.incident.case.proof import pack_key
from ironkeep.incident.case.workspace import Workspace, on_desk
from ironkeep.incident.evidence.views import when
from ironkeep.index.terms import Kind
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.tlog.note import KeyType

MAX_SHOWN: Final = 100
"""Changes listed per item in one answer; the counts include all."""

_CHANGES: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.PATCH, Operation.DELETE})

_ABOUT: Final = {
    "root:administrators": ("sys/generate-root", "auth/", "identity/"),
    "root:policies": ("sys/policies/", "sys/policy/"),
    "root:seal-shares": ("sys/rekey", "sys/generate-root", "sys/seal", "sys/unseal", "sys/init"),
    "root:journal-key": ("sys/rotate", "sys/audit"),
    "root:case-key": ("incident/trust",),
}
"""The requests that change an item, by the prefixes of their paths."""

_LOGIN: Final = "/login/"

CHANGES: Final = (str(Kind.ACCESS_CHANGE),)
"""The kinds of entries that `changed` looks at, beside those of every case."""


def read(call: Call, given: Case) -> Suspend:
    """Return the present state of each item and its changes since the case's start."""
    return on_desk(call, given.id, _read, writes=False, kinds=CHANGES)


def _read(workspace: Workspace) -> Response:
    data: dict[str, Any] = {}
    for item in ev.ROOT_ITEMS:
        changes = [
            _shape(workspace, index, entry) for index, entry in changed(workspace.file, item)
        ]
        data[item] = {
            "now": _now(workspace, item),
            "changes": len(changes),
            "changed": changes[-MAX_SHOWN:],
        }
    return Response(data=data)


def changed(file: CaseFile, item: str) -> Iterator[tuple[int, Entry]]:
    """Yield the granted requests since the case's start that changed an item."""
    for act in file.activity.all:
        entry = act.entry
        if (
            entry.time_ns >= file.case.from_ns
            and entry.op in _CHANGES
            and entry.path.startswith(_ABOUT[item])
            and _LOGIN not in entry.path
        ):
            yield act.index, entry


def summary(workspace: Workspace, item: str) -> str:
    """Return a sentence on the changes of an item since the case's start."""
    changes = list(changed(workspace.file, item))
    exposed = sum(
        any(actor in workspace.file.rows for actor in _actors(entry)) for _, entry in changes
    )
    return f"{len(changes)} changes since the case's start, {exposed} of them by somebody exposed"


def _actors(entry: Entry) -> tuple[str, str]:
    return f"person:{entry.entity}", f"session:{entry.accessor}"


def _now(workspace: Workspace, item: str) -> list[str]:
    """Return the present state of an item as lines of text."""
    call, house = workspace.call, workspace.house
    match item:
        case "root:administrators":
            return list(_root_tokens(workspace))
        case "root:policies":
            names = house.history.names(call.tx, policies.KIND)
            return [name for name in names if _is_new(workspace, name)]
        case "root:seal-shares":
            seal = house.seal
            return ["sealed" if seal.sealed else "open"]
        case "root:journal-key":
            return [house.journal.key.format()]
        case _:
            return [pack_key(call).verifier_key(KeyType.ED25519).format()]


def _is_new(workspace: Workspace, policy: str) -> bool:
    """Return whether a policy was written or removed since the case's start."""
    intervals = workspace.house.history.intervals(workspace.call.tx, policies.KIND, policy)
    times = [time for each in intervals for time in (each.start_ns, each.end_ns or 0)]
    return any(time >= workspace.file.case.from_ns for time in times)


def _root_tokens(workspace: Workspace) -> Iterator[str]:
    tokens, call = workspace.house.tokens, workspace.call
    for accessor in tokens.accessors(call.tx):
        found = tokens.find_accessor(call.tx, accessor, call.now_ns)
        if found is not None and ROOT_POLICY_NAME in found[1].policies:
            record = found[1]
            yield f"{record.display_name or 'token'} {accessor}, since {when(record.issued_ns)}"


def _shape(workspace: Workspace, index: int, entry: Entry) -> dict[str, Any]:
    return {
        "item": f"entry:{index}",
        "time": when(entry.time_ns),
        "op": entry.op,
        "path": entry.path,
        "by": entry.name or entry.accessor,
        "exposed": any(actor in workspace.file.rows for actor in _actors(entry)),
    }


ROUTES: Final = (
    Route(
        Operation.READ, "cases/{id}/check-root", read, Case, sudo=True, audited=("id",),
        help="Ironkeep's own root of trust: state, and changes to review.",
    ),
)  # fmt: skip
