"""The reserved places with the records of Ironkeep's own services.

No request path leads to a reserved place: services read and write it, engines cannot. Each feature
of access/ names its own place in its module, as `PLACE`.
"""

from collections.abc import Callable
from typing import Final

from ironkeep.store.barrier import Store
from ironkeep.store.state import Tx

StoreOf = Callable[[Tx, str], Store]
"""Returns the records of a place in a transaction; raises Sealed without keys. See House.store."""

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

_RESERVED: Final = "sys"
"""The prefix of every reserved place; a mount's place is named by a hexadecimal UUID."""


def is_reserved(place: str) -> bool:
    """Return whether a place is reserved, and not a mount's."""
    return place.startswith(_RESERVED)


def escape_part(name: str) -> str:
    """Return name as one path segment, with slashes escaped."""
    return name.replace("%", "%25").replace("/", "%2F")


def unescape_part(text: str) -> str:
    """Return the name from which `escape_part` made text."""
    return text.replace("%2F", "/").replace("%25", "%")
