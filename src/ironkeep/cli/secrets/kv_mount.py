"""The version of a KV mount, and the API path of a key in it.

Users write `secret/app`; version 2 stores it at `secret/data/app`. As in Vault's CLI, the server is
asked which mount serves the path (`sys/internal/ui/mounts/<path>`).
"""

import argparse
from dataclasses import dataclass, replace
from typing import Final

from ironkeep.cli.client.client import Client, connect
from ironkeep.cli.client.connection import connection_of
from ironkeep.cli.command import Context
from ironkeep.cli.failures import Refused

_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Key:
    """A key in a KV mount: the mount's path with its slash, the key's name, the KV version."""

    mount: str
    name: str
    version: int

    def at(self, kind: str) -> str:
        """Return the key's API path; `kind` (`data`, `metadata`, …) is part of version 2 only."""
        return f"{self.mount}{kind}/{self.name}" if self.is_v2 else f"{self.mount}{self.name}"

    @property
    def is_v2(self) -> bool:
        """Whether the mount keeps versions."""
        return self.version == 2  # noqa: PLR2004 - KV's own number


def key_arguments(parser: argparse.ArgumentParser) -> None:
    """Add PATH and -mount, which `open_key` reads."""
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("--mount", metavar="PATH", help="the mount; PATH is then below it")


def open_key(context: Context) -> tuple[Client, Key]:
    """Return a client, and the key that the command's path and -mount name."""
    args: argparse.Namespace = context.args
    connection = connection_of(args)
    # Always send the request for the mount, without wrapping, even if the command's own request
    # is only printed, or its answer wrapped.
    asking = connect(context, replace(connection, only_print=False, wrap_ttl=""))
    path = args.path.strip("/")
    if args.mount:
        mount = args.mount.strip("/") + "/"
        _, version = _ask(asking, mount)
        return connect(context, connection), Key(mount, path, version)
    mount, version = _ask(asking, path)
    # Remove one slash only: a second one makes it another name, which the server refuses.
    name = path.removeprefix(mount.rstrip("/")).removeprefix("/") if mount else path
    return connect(context, connection), Key(mount, name, version)


def _ask(client: Client, path: str) -> tuple[str, int]:
    """Return the mount that serves path, and its version; version 1 if the server knows none."""
    try:
        document = client.read(f"sys/internal/ui/mounts/{path}")
    except Refused as error:
        if error.status != _NOT_FOUND:
            raise
        document = None
    data = (document or {}).get("data") or {}
    options = data.get("options") or {}
    return str(data.get("path", "")), 2 if str(options.get("version")) == "2" else 1
