"""The protocol by which an auth method lists its identities whose login secret can be copied.

A secret that can be copied works for anybody who has it. An identity whose login is bound (to a
device, to the key of a certificate, to an authenticator) is not listed: a copy of its secret works
nowhere else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount


@dataclass(frozen=True, slots=True)
class Copyable:
    """One identity. Times are POSIX nanoseconds; 0 is unknown, and in `expires_ns` never."""

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
        """Yield the identities of a mount; raise Sealed when its segment is sealed."""
        ...
