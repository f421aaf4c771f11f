"""One API request as received.

It is a msgspec Struct because every request makes one, in a third of the time of a dataclass.
"""

from typing import Any, Final, Protocol

import msgspec

from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.plugin.peer import Peer

MAX_PATH: Final = 4_096
"""Characters in a request path; Vault's clients stay far below."""


class Connection(Protocol):
    """The connection that a request came over; any thread may ask it."""

    def is_closing(self) -> bool:
        """Return whether the client is gone, so that nobody waits for the answer."""
        ...


class Request(msgspec.Struct):
    """One API request as received; `path` is the decoded part after /v1/.

    `grant` is the accessor of the approval that authorised it; only the pipeline sets it.
    `connection` is None for a request that came over none.
    """

    op: Operation
    path: str
    data: dict[str, Any] = {}
    token: Secret | None = None
    remote: str = ""
    wrap_ttl_seconds: int | None = None
    namespace: str = ""
    parent: str = ""
    peer: Peer | None = None
    grant: str = ""
    connection: Connection | None = None

    def is_abandoned(self) -> bool:
        """Return whether the client has closed its connection."""
        return self.connection is not None and self.connection.is_closing()
