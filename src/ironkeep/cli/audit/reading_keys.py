"""The journal's reading keys, opened offline with the vault's key shares.

The database is opened as a server does, so no server can have it open at the same time. The shares
and the keys stay in the memory of this process; nothing is written but what opening the database
writes.
"""

import argparse
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ironkeep.adapters.process.system import SystemEntropy
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import ROOT_NAMESPACE, MountUuid
from ironkeep.core.secret import Secret
from ironkeep.seal.reading_key import HOUSE, ReadingKeys, reading_keys
from ironkeep.seal.seal import Seal
from ironkeep.store.barrier import Barrier, Store
from ironkeep.store.names import Place
from ironkeep.store.reserved import JOURNAL
from ironkeep.store.state import State, Tx


def keys_of(args: argparse.Namespace, terminal: Terminal) -> ReadingKeys | None:
    """Return the reading keys in the database that -database names; None without one.

    Raises InvalidRequest for a wrong share or a vault without keys, Unavailable while a server has
    the database open.
    """
    if not args.database:
        return None
    path = Path(args.database)
    if not path.is_file():
        raise InvalidRequest(f"{path} is not a file: give the vault's ironkeep.db, or a copy of it")
    entropy = SystemEntropy()
    with closing(SqliteStorage(path)) as storage:
        view = State(storage).begin()
        seal = Seal(HOUSE, entropy)
        seal.load(view)
        _unseal(seal, view, _shares(args, terminal))
        barrier = Barrier(seal.opened.keyring, entropy)
        return reading_keys(Store(barrier, Place(ROOT_NAMESPACE, MountUuid(JOURNAL)), view))


def _unseal(seal: Seal, view: Tx, share: Callable[[str], Secret]) -> None:
    """Take shares until they open the seal."""
    needed = seal.config.shamir.threshold
    while seal.sealed:
        before = seal.status().progress
        given = share(f"Unseal Key {before + 1} of {needed}")
        status = seal.unseal(view, given.reveal().decode("utf-8", "replace"))
        if status.sealed and status.progress == before:
            raise InvalidRequest("this key share was given already: give another one")


def _shares(args: argparse.Namespace, terminal: Terminal) -> Callable[[str], Secret]:
    """Return the function that gets a share: from standard input, or typed without echo."""
    if args.keys is None:
        return lambda what: terminal.key(None, what)
    if args.keys != "-":
        raise InvalidRequest("-keys takes `-` only: key shares do not belong on a command line")
    lines = iter(terminal.read().split())

    def take(what: str) -> Secret:
        line = next(lines, None)
        if line is None:
            raise InvalidRequest(f"{what}: standard input has no more key shares")
        return Secret(line)

    return take


def key_arguments(parser: argparse.ArgumentParser) -> None:
    """Add -database and -keys."""
    add = parser.add_argument
    add("--database", metavar="FILE", help="the vault's database, to check the index with its key")
    add("--keys", metavar="-", help="`-` reads the key shares from stdin, one a line")
