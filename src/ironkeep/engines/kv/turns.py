"""Work on many versions of a key in turns, so that other requests are served in between.

Each turn is a transaction of its own with an entry in the journal. After a crash in between, a part
of the versions is done; the caller got no answer, and the same request does the rest.
"""

from collections.abc import Callable
from typing import Any, Final

from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.pauses import next_turn
from ironkeep.plugin.response import Response

VERSIONS: Final = 64
"""Versions removed or changed in one turn: each takes some 50 us with its row."""
LISTED: Final = 512
"""Versions listed in one turn: each takes some 5 us."""


def then(go_on: Callable[[Call], Response | Suspend], *, durable: bool = True) -> Suspend:
    """Return the end of this turn: `go_on` runs in the next one, after it is durable.

    A turn that has only read is not `durable` and leaves no entry.
    """

    def resume(call: Call, result: Any) -> Response | Suspend:
        if isinstance(result, Exception):
            raise result
        return go_on(call)

    return Suspend(next_turn, resume, durable=durable)
