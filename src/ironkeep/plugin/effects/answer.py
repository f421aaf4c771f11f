"""How the execution of something ends: with an answer, or waiting for work outside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ironkeep.journal.journal import Receipt

JSON: Final = "application/json"


class Answer(msgspec.Struct, frozen=True):
    """What may be sent once the batch that holds `receipt` is durable.

    `error` is None when it went well; the edge owns the table from error class to status. `body`
    None means no content. `absent` is Vault's 404 with a body, `accepted` its 202. `step_up` is
    where the touch is given that the request lacks.
    """

    receipt: Receipt | None
    body: bytes | None = None
    error: type[Exception] | None = None
    absent: bool = False
    accepted: bool = False
    content_type: str = JSON
    quorum: bool = False
    step_up: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """Work at an outside system, which may hang: `urgent` is what a responder waits for."""

    work: Callable[[], Any]
    system: str
    urgent: bool = False

    def __call__(self) -> Any:
        """Do it."""
        return self.work()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for `work`: run it on a worker, then call `finish` with what came of it.

    With a receipt the work is an effect: it starts only when the batch of that receipt is durable.
    `hashing` work takes argon2's memory. Turns are given fairly by `caller`, the network that it
    comes from, and by `name`, what it asks for.
    """

    work: Callable[[], Any]
    finish: Callable[[Any], "Answer | Waiting"]
    receipt: Receipt | None = None
    hashing: bool = False
    caller: str = ""
    name: str = ""
