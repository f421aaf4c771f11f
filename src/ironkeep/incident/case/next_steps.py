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
_LOOK: Final = NextStep(10, "look into it, or exempt it with an owner, a reason and an end")
"""For checks that no single command resolves."""

NEXT_STEPS: Final[Mapping[str, NextStep]] = {
    "not contained": _CONTAIN,
    "not surveyed": _CONTAIN,
    "acts again": NextStep(1, "ironkeep incident contain {case}, after finding out how"),
    "not revoked": NextStep(
        2, "ironkeep incident rotate {case} (by hand: -secret -method -receipt)"
    ),
    "no receipt": NextStep(2, "report its revocation with a receipt"),
    "worked after revocation": NextStep(2, "it still works: revoke it in another way"),
    "sessions not ended": _KILL,
    "sessions remain": NextStep(3, "find out who comes back, then ironkeep incident kill {case}"),
    "not presented": _PROBE,
    "not answered": NextStep(4, "ironkeep incident probe {case}, once the system answers"),
    "not watched": _PROBE,
    "accepted elsewhere": NextStep(4, "revoke it there too"),
    "no verifier": NextStep(4, "link what it opens (incident/links), or exempt it"),
    "not swept": NextStep(5, "ironkeep incident sweep {case}"),
    "no baseline": NextStep(5, "exempt it with an owner: nothing was on record before"),
    "not seen": NextStep(5, "look at it by hand, then exempt it with an owner"),
    "not explained": NextStep(
        6, "remove it and sweep again, or ironkeep incident explain {case} ITEM"
    ),
    "stranger acts": NextStep(6, "remove it, end its sessions, and sweep again"),
    "foothold in vault": NextStep(6, "take it back, then ironkeep incident explain {case} ITEM"),
    "root not checked": NextStep(7, "ironkeep incident check-root {case} ITEM"),
    "root unsound": NextStep(7, "mend it, then check it again"),
    "no residue": NextStep(8, "ironkeep incident residue {case} WORDS"),
    "not witnessed": NextStep(9, "have witnesses cosign the log"),
    "ends too early": NextStep(9, "wait until the witnesses have cosigned the newest entries"),
    "case not opened": _LOOK,
    "scope cut": _LOOK,
    "no basis": _LOOK,
    "subject unknown": _LOOK,
    "scope narrowed": _LOOK,
    "hand of nobody": _LOOK,
    "released again": _LOOK,
    "readmitted unsigned": _LOOK,
    "delivered early": _LOOK,
    "delivered to exposed": _LOOK,
    "issued from exposed": _LOOK,
    "starts too late": _LOOK,
    "clock ran back": _LOOK,
    "source silent": _LOOK,
    "source lost messages": _LOOK,
    "ended session worked": _LOOK,
    "used later": _LOOK,
    "hand of exposed": _LOOK,
    "withheld": _LOOK,
}
