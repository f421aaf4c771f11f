"""The reserved places in which the kernel's services keep their own records.

A place is not reachable by any request path: services read and write it, engines cannot.
"""

from collections.abc import Callable
from typing import Final

from ironkeep.store.barrier import Store
from ironkeep.store.state import Tx

StoreOf = Callable[[Tx, str], Store]
"""From a transaction and a place to its records; raises Sealed without keys. See House.store."""

HISTORY: Final = "sys/history"
POLICIES: Final = "sys/policies"
IDENTITY: Final = "sys/identity"
TOKENS: Final = "sys/tokens"
LEASES: Final = "sys/leases"
WRAPPING: Final = "sys/wrapping"
MOUNTS: Final = "sys/mounts"
JOURNAL: Final = "sys/journal"
UPKEEP: Final = "sys/upkeep"
CUBBYHOLE: Final = "sys/cubbyhole"
SEGMENTS: Final = "sys/segments"
"""Features of access/ name their own places, as `PLACE`."""

_RESERVED: Final = "sys"
"""How every reserved place begins; a mount's is named by a UUID, in hexadecimal."""


def is_reserved(place: str) -> bool:
    """Return whether a place is the house's own, and not a mount's."""
    return place.startswith(_RESERVED)


def segment(name: str) -> str:
    """Return name as one path segment: it may hold a slash, which would open a folder."""
    return name.replace("%", "%25").replace("/", "%2F")


def unsegment(text: str) -> str:
    """Return the name that `segment` gave text for."""
    return text.replace("%2F", "/").replace("%25", "%")
