"""The next step for each open item of a verdict, by the name of the check that found the item.

The table has a row for every check in `core.evidence.checks.table`, and no others: a test compares
the two, so that a new or renamed check cannot silently lose its step.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class NextStep(NamedTuple):
    """A step: its place in the order of work, and the instruction; {case} is the case's id."""

    order: int
    do: str


_CONTAIN: Final = NextStep(1, "ironkeep incident contain {case}")
_KILL: Final = NextStep(3, "ironkeep incident kill {case}")
_PROBE: Final = NextStep(4, "ironkeep incident probe {case}")
_UNMANAGED: Final = "; exempt it if no connection here leads to the system"
CONFIRM: Final = NextStep(8, "another person: ironkeep incident confirm {case} ITEM")
"""For the statements of one person, and for exemptions that wait for a second one."""
_INVESTIGATE: Final = NextStep(10, "investigate it, or exempt it with an owner, a reason and a ttl")
"""For checks that no single command resolves."""

NEXT_STEPS: Final[Mapping[str, NextStep]] = {
    "not contained": _CONTAIN,
    "not surveyed": _CONTAIN,
    "unchanged factor": NextStep(
        1,
        "another person: set the password again, or remove the passkey, before they act; otherwise "
        "exempt it",
    ),
    "not known": NextStep(
        8,
        "unseal what is sealed, then ironkeep incident contain {case}; find out by other means "
        "what stays unknown, then exempt it with an owner",
    ),
    "origin unknown": NextStep(
        8, "find out what the token could read, then exempt it with an owner"
    ),
    "acts again": NextStep(1, "ironkeep incident contain {case}, after finding out how"),
    "not revoked": NextStep(
        2,
        "ironkeep incident rotate {case} (one without a connection: -secret -method -receipt)",
    ),
    "no receipt": NextStep(2, "report its revocation with a receipt"),
    "worked after revocation": NextStep(2, "it still works: revoke it in another way"),
    "sessions not ended": NextStep(_KILL.order, _KILL.do + _UNMANAGED),
    "sessions remain": NextStep(3, "find out what reconnects, then ironkeep incident kill {case}"),
    "endpoint not cleared": NextStep(
        3, "make the host or pooler reachable, then ironkeep incident kill {case}"
    ),
    "logins under way": _KILL,
    "host not swept": NextStep(5, "make the host reachable, then ironkeep incident sweep {case}"),
    "replicas not listed": NextStep(
        3, "add the replicas to the hosts of its connection, then ironkeep incident kill {case}"
    ),
    "poolers not known": NextStep(
        3,
        "write poolers to its connection, as host:port or none, then ironkeep incident kill {case}",
    ),
    "not presented": NextStep(_PROBE.order, _PROBE.do + _UNMANAGED),
    "endpoint not asked": NextStep(
        4, "make the host or pooler reachable, then ironkeep incident probe {case}"
    ),
    "not answered": NextStep(4, "ironkeep incident probe {case}, once the system answers"),
    "not watched": NextStep(_PROBE.order, _PROBE.do + _UNMANAGED),
    "accepted elsewhere": NextStep(4, "revoke it there too"),
    "no verifier": NextStep(
        4, "link the system of a connection that it opens (incident/links), or exempt it"
    ),
    "not swept": NextStep(5, "ironkeep incident sweep {case}, after the last kill"),
    "sweep too old": NextStep(5, "ironkeep incident sweep {case}"),
    "no baseline": NextStep(5, "exempt it with an owner: no earlier baseline exists"),
    "not seen": NextStep(5, "check it by hand, then exempt it with an owner"),
    "not explained": NextStep(
        6,
        "remove it, end its sessions and sweep again, or ironkeep incident explain {case} ITEM",
    ),
    "foothold in vault": NextStep(6, "undo it, then ironkeep incident explain {case} ITEM"),
    "unfinished deed": NextStep(
        6, "see what it left and undo it, then ironkeep incident explain {case} ITEM"
    ),
    "root not checked": NextStep(7, "ironkeep incident check-root {case} ITEM"),
    "root check too old": NextStep(7, "ironkeep incident check-root {case} ITEM"),
    "root unsound": NextStep(7, "repair it, then check it again"),
    "no residue": NextStep(8, "ironkeep incident residue {case} WORDS"),
    "not witnessed": NextStep(9, "have witnesses cosign the log"),
    "ends too early": NextStep(9, "wait until the witnesses have cosigned the newest entries"),
    "pack too old": NextStep(9, "ironkeep incident pack {case}, with this release"),
    "case not opened": _INVESTIGATE,
    "scope cut": _INVESTIGATE,
    "no basis": _INVESTIGATE,
    "subject unknown": NextStep(
        10,
        "submit the document (ironkeep incident document FILE), or widen the case to the right "
        "name and exempt this one",
    ),
    "scope narrowed": _INVESTIGATE,
    "unattributed record": _INVESTIGATE,
    "makers unknown": _INVESTIGATE,
    "still current": NextStep(
        4,
        "ironkeep incident probe {case}; if its value is still current, first put a new one in its "
        "place in the vault",
    ),
    "revocation sworn by one": CONFIRM,
    "explanation sworn by one": CONFIRM,
    "root check sworn by one": CONFIRM,
    "released again": _INVESTIGATE,
    "readmitted unsigned": _INVESTIGATE,
    "delivered early": _INVESTIGATE,
    "delivered to exposed": _INVESTIGATE,
    "issued from exposed": _INVESTIGATE,
    "starts too late": _INVESTIGATE,
    "clock ran back": _INVESTIGATE,
    "clock step": _INVESTIGATE,
    "indexed late": _INVESTIGATE,
    "source silent": _INVESTIGATE,
    "source lost messages": _INVESTIGATE,
    "ended session worked": _INVESTIGATE,
    "used later": _INVESTIGATE,
    "record by an exposed principal": _INVESTIGATE,
    "withheld": _INVESTIGATE,
}
