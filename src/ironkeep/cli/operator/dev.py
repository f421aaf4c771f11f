"""A development server: initialised, unsealed, KV version 2 at secret/, in a temporary directory.

It is set up through the pipeline like any other server, so every step is journalled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ironkeep.config.environment import environment
from ironkeep.config.settings import Config, Listener
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.kernel.house import House
from ironkeep.kernel.pipeline import Pipeline
from ironkeep.plugin.effects.answer import Answer
from ironkeep.plugin.request import Request

DEFAULT_ADDRESS: Final = "127.0.0.1:8200"


@dataclass(frozen=True, slots=True)
class DevKeys:
    """The keys that a development server prints: its one unseal share and its root token."""

    unseal_key: Secret
    root_token: Secret


def config_for(address: str) -> Config:
    """Return the configuration of a development server at host:port, without TLS."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) >= 1 << 16:
        raise InvalidRequest(f"-dev-listen-address is host:port, not {address!r}")
    listener = Listener(host.strip("[]") or "127.0.0.1", int(port))
    return Config(listeners=(listener,), api_addr=environment("VAULT_API_ADDR"), development=True)


def prepare(house: House, root_token_id: str) -> DevKeys:
    """Initialise and unseal house and mount KV at secret/, before it serves.

    root_token_id becomes the root token; if empty, a random one is made.
    """
    setup = _Setup(house)
    made = setup.write("sys/init", {"secret_shares": 1, "secret_threshold": 1})
    key, root = made["keys_base64"][0], made["root_token"]
    setup.write("sys/unseal", {"key": key})
    setup.token = Secret(root.encode())
    setup.write(
        "sys/mounts/secret",
        {"type": "kv", "options": {"version": "2"}, "description": "key/value secret storage"},
    )
    if root_token_id:
        wish = {"id": root_token_id, "policies": ["root"], "no_parent": True}
        setup.write("auth/token/create", {**wish, "display_name": "root"})
        setup.write("auth/token/revoke-self", {})
        root = root_token_id
    return DevKeys(Secret(key.encode()), Secret(root.encode()))


class _Setup:
    """Executes requests in sequence, each durable before the next."""

    def __init__(self, house: House) -> None:
        self._ledger: Final = house.ledger
        self._pipeline: Final = Pipeline(house)
        self.token: Secret | None = None

    def write(self, path: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write data to path; return the answer's document, empty if it has none."""
        request = Request(Operation.UPDATE, path, dict(data), self.token, "dev")
        answer = self._pipeline.handle(request)
        batch = self._ledger.close()
        if batch is not None:
            self._ledger.persist(batch)
            self._ledger.settle(batch)
        assert isinstance(answer, Answer), "no request of this set-up waits for work"
        document: dict[str, Any] = json.loads(answer.body) if answer.body else {}
        if answer.error is not None:
            raise InvalidRequest(f"{path}: {'; '.join(document['errors'])}")
        return document
