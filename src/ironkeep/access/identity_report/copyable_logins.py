"""Who could log in with a copied secret: what an auth method says of its own.

A secret that can be copied works for whoever has it. What is bound (to a device, to the key of a
certificate, to an authenticator) is not named here: its copy is worth nothing elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount


@dataclass(frozen=True, slots=True)
class Copyable:
    """One identity; times are POSIX nanoseconds, 0 when it is not known (or never, at the end)."""

    kind: str
    name: str
    why: str
    mend: str
    created_ns: int = 0
    used_ns: int = 0
    expires_ns: int = 0


@runtime_checkable
class TellsCopyable(Protocol):
    """An auth method that lets identities log in with secrets that can be copied."""

    def copyable(self, call: Call, mount: Mount) -> Iterator[Copyable]:
        """Yield those of a mount; raise Sealed when its segment is."""
        ...
