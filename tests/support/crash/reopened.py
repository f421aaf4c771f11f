"""A server's directory opened in this process, as a start does it, and asked without a wire.

with reopened(folder) as server:
    server.ask("PUT", "sys/unseal", {"key": key})
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from ironkeep.api.errors import status_of
from ironkeep.app import Server
from ironkeep.config.settings import Config
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.kernel.house import House
from ironkeep.kernel.pipeline import Pipeline
from ironkeep.plugin.effects.answer import Answer
from ironkeep.plugin.request import Request

_OK: Final = 200
_OPERATIONS: Final = {
    "GET": Operation.READ,
    "PUT": Operation.UPDATE,
    "POST": Operation.UPDATE,
    "DELETE": Operation.DELETE,
}


class Reopened:
    """A server that is open in this process; `found` is how many journal leaves the start found."""

    def __init__(self, house: House) -> None:
        self.house: Final = house
        self.found: Final = house.journal.durable_size
        self.token = ""
        self._pipeline: Final = Pipeline(house)

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Ask as `mixed_load.Ask` says; what it changes is durable with the next `flush`."""
        token = Secret(self.token.encode()) if self.token else None
        request = Request(_OPERATIONS[method], path, dict(data or {}), token, "127.0.0.1:1")
        answer = self._pipeline.handle(request)
        if not isinstance(answer, Answer):
            raise TypeError(f"{path} has to wait for something")
        status = _OK if answer.error is None else status_of(answer.error)
        return status, None if answer.body is None else json.loads(answer.body)

    def flush(self) -> None:
        """Make durable what was executed."""
        batch = self.house.ledger.close()
        if batch is not None:
            self.house.ledger.persist(batch)
            self.house.ledger.settle(batch)


@contextmanager
def reopened(data: Path) -> Iterator[Reopened]:
    """Start on the directory that a server kept its data in; it is sealed, if it has keys."""
    with closing(Server(Config((), path=data))) as server:
        yield Reopened(server.house)
