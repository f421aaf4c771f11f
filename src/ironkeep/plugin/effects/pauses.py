"""A request's work in turns of the loop: between two turns, all other requests are served.

    def pages(call: Call) -> Pauses[list[str]]:
        ... a few milliseconds of work ...
        call = yield
        ... more, with the next turn's call ...

Each turn is admitted again, so work ends with the right to it. Writes to `call.account` are kept
turn by turn, those to `call.tx` only of the last turn. A crash ends the work between two turns, so
work that must go on afterwards first stores a row that is due (`intent`).

Work whose every turn stands for itself ends its turn by `later`, with `durable`: each turn is then
a transaction of its own with an entry. After a crash in between, a part of the work is done; the
caller got no answer, and the same request does the rest.
"""

from collections.abc import Callable, Generator
from typing import TypeVar

from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.response import Response

T = TypeVar("T")

Pauses = Generator[None, Call, T]
"""Yields between two turns, and is sent the call of the next."""


def next_turn() -> None:
    """Do nothing: a `Waiting` with this work goes on in a later turn of the loop, on no worker."""


def later(go_on: Callable[[Call], Response | Suspend], *, durable: bool = False) -> Suspend:
    """Return the end of this turn: `go_on` runs in the next one.

    With `durable`, this turn's writes and an entry are made durable before that.
    """

    def resume(call: Call, refused: object) -> Response | Suspend:
        if isinstance(refused, Exception):
            raise refused
        return go_on(call)

    return Suspend(next_turn, resume, durable=durable)


def in_turns(
    call: Call,
    steps: Pauses[T],
    then: Callable[[Call, T], Response | Suspend],
    *,
    intent: bool = False,
) -> Response | Suspend:
    """Run steps begun with call; `then` makes the response from their result.

    With `intent`, the first turn's writes and an entry are made durable before the second turn.
    """

    def go_on(call: Call) -> Response | Suspend:
        try:
            steps.send(call)
        except StopIteration as end:
            return then(call, end.value)
        return later(go_on)

    try:
        next(steps)
    except StopIteration as end:
        return then(call, end.value)
    return later(go_on, durable=intent)
