"""The logs of a vault, as its journal records them: when each joined, and when it departed.

A log joins with the first unsealing that writes to it. It departs when a later epoch takes its
place (kernel/adoption.py), which the later log records. A log of an earlier release has no record
that it joined.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from ironkeep.core.event import Entry, Value

JOINED: Final = "log-joined"
DEPARTED: Final = "log-departed"
"""The operations of the two notices."""


class Member(msgspec.Struct, frozen=True):
    """One log: its node, and the positions of its notices as (log, index), None without one.

    `size` is the number of its leaves that the later log continues, `at` the number of the last
    commit when it departed; both are 0 before.
    """

    origin: str
    node: int
    joined: tuple[str, int] | None = None
    departed: tuple[str, int] | None = None
    size: int = 0
    at: int = 0


def joined(origin: str, node: int) -> dict[str, Value]:
    """Return the facts of the notice that a log joined."""
    return {"log": origin, "node": node}


def departed(origin: str, node: int, size: int, at: int) -> dict[str, Value]:
    """Return the facts of the notice that a log departed; size is 0 if no checkpoint is known."""
    return {"log": origin, "node": node, "size": size, "at": at}


def members(entries: Iterable[tuple[str, int, Entry]]) -> tuple[Member, ...]:
    """Return the logs named by notices, in the order in which they are first named.

    entries are (log, index, entry), those of older logs first. A notice that a crash made the
    server repeat counts once: the first to join and the last to depart.
    """
    found: dict[str, Member] = {}
    for log, index, entry in entries:
        if entry.kind != "notice" or entry.op not in {JOINED, DEPARTED}:
            continue
        origin, node = str(entry.audited["log"]), int(str(entry.audited["node"]))
        known = found.setdefault(origin, Member(origin, node))
        if entry.op == DEPARTED:
            size, at = int(str(entry.audited["size"])), int(str(entry.audited["at"]))
            found[origin] = msgspec.structs.replace(known, departed=(log, index), size=size, at=at)
        elif known.joined is None:
            found[origin] = msgspec.structs.replace(known, joined=(log, index))
    return tuple(found.values())
