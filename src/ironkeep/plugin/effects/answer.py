"""The two ways in which execution ends: with an answer, or waiting for work on a worker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ironkeep.journal.journal import Receipt

JSON: Final = "application/json"


class Answer(msgspec.Struct, frozen=True):
    """A response that may be sent once the batch of `receipt` is durable.

    `error` is None on success; the edge maps error classes to statuses. A `body` of None means no
    content. `absent` is Vault's 404 with a body, `accepted` its 202. `step_up` is where the missing
    authenticator touch can be given.
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
    """Work on another system, which may hang; `urgent` work is for a waiting incident responder."""

    work: Callable[[], Any]
    system: str
    urgent: bool = False

    def __call__(self) -> Any:
        """Do the work."""
        return self.work()


@dataclass(frozen=True, slots=True)
class Waiting:
    """An execution that waits for `work`: run it on a worker, then call `finish` with its result.

    With a receipt the work is an effect: it starts only when the batch of that receipt is durable.
    `hashing` work takes argon2's memory. Workers are shared fairly by `caller`, the network that
    the request comes from, and by `name`, the name that it asks for.
    """

    work: Callable[[], Any]
    finish: Callable[[Any], "Answer | Waiting"]
    receipt: Receipt | None = None
    hashing: bool = False
    caller: str = ""
    name: str = ""
