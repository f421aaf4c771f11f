"""One API request as received.

It is a msgspec Struct because every request makes one, in a third of the time of a dataclass.
"""

from typing import Any, Final

import msgspec

from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.plugin.peer import Peer

MAX_PATH: Final = 4_096
"""Characters in a request path; Vault's clients stay far below."""


class Request(msgspec.Struct):
    """One API request as received; `path` is the decoded part after /v1/.

    `grant` is the accessor of the approval that authorised it; only the pipeline sets it.
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
