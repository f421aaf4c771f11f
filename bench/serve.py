"""The server as `ironkeep server` runs it, from a configuration file."""

import sys
from pathlib import Path

from ironkeep.app import Server
from ironkeep.config import load


def ready(_server: Server, addresses: list[str]) -> None:
    print(*addresses, flush=True)


if __name__ == "__main__":
    Server(load(Path(sys.argv[1]))).serve(ready)
