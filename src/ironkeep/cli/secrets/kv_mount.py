"""Which version a KV mount has, and where a key lives in it.

A person writes `secret/app`; version 2 keeps it at `secret/data/app`. The server is asked which
mount serves the path (`sys/internal/ui/mounts/<path>`), as Vault's CLI does.
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
    """A key in a KV mount: the mount's path with its slash, the key below it, the version."""

    mount: str
    name: str
    version: int

    def at(self, kind: str) -> str:
        """Return the API path: kind is `data`, `metadata`, … and only version 2 has it."""
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
    """Return a client, and the key that the command's path (and -mount) mean."""
    args: argparse.Namespace = context.args
    connection = connection_of(args)
    # The question where the mount is is asked for real, unwrapped, even when the request that
    # follows is only printed or its answer wrapped.
    asking = connect(context, replace(connection, only_print=False, wrap_ttl=""))
    path = args.path.strip("/")
    if args.mount:
        mount = args.mount.strip("/") + "/"
        _, version = _ask(asking, mount)
        return connect(context, connection), Key(mount, path, version)
    mount, version = _ask(asking, path)
    # One slash alone is between them: what follows `//` is another name, which the server refuses.
    name = path.removeprefix(mount.rstrip("/")).removeprefix("/") if mount else path
    return connect(context, connection), Key(mount, name, version)


def _ask(client: Client, path: str) -> tuple[str, int]:
    """Return the mount that serves path, and its version; what does not know is version 1."""
    try:
        document = client.read(f"sys/internal/ui/mounts/{path}")
    except Refused as error:
        if error.status != _NOT_FOUND:
            raise
        document = None
    data = (document or {}).get("data") or {}
    options = data.get("options") or {}
    return str(data.get("path", "")), 2 if str(options.get("version")) == "2" else 1
