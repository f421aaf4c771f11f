"""`ironkeep operator new-epoch`: begin a new log when the old one is lost or unusable."""

import argparse
import os
import pwd
from pathlib import Path
from typing import Final

from ironkeep.adapters.log.epoch_begin import Begun, Wish, begin_next
from ironkeep.cli.command import Command, Context
from ironkeep.cli.output import render
from ironkeep.config.environment import environment
from ironkeep.config.file import load
from ironkeep.core.errors import InvalidRequest
from ironkeep.tlog.note import MAX_NOTE

_TELL: Final = (
    "Give each witness and mirror the new vkey (-log), and keep the key of the older log for its "
    "copies. The next unseal checks every row and records in the journal what it compared."
)
_BLIND: Final = (
    "WARNING! No checkpoint of the previous log was found, so the new log does not prove where the "
    "previous one ended. If a mirror or a witness has a checkpoint of it, do not start the server: "
    "remove the new log's directory, and run this again with -mirror or -predecessor."
)
_UNVERIFIED: Final = (
    "WARNING! The signatures of the checkpoint that this log continues could not be verified: no "
    "configured witness has cosigned it, and the older log's key is missing."
)


def _new_epoch(context: Context) -> int:
    args, terminal = context.args, context.terminal
    if not args.config or not args.reason:
        raise InvalidRequest("give -config=FILE and -reason=TEXT")
    wish = Wish(
        reason=args.reason,
        who=_who(),
        checkpoint=_read(Path(args.predecessor)) if args.predecessor else None,
        mirror=_folder(args.mirror) if args.mirror else None,
        force=args.force,
    )
    begun = begin_next(load(Path(args.config)), wish, terminal.note)
    if begun.continues is None:
        terminal.note(_BLIND)
    elif not begun.continues.verified:
        terminal.note(_UNVERIFIED)
    terminal.note(_TELL)
    return render.record(terminal, _document(begun))


def _document(begun: Begun) -> dict[str, object]:
    known = begun.continues
    return {
        "log": begun.origin,
        "vkey": begun.vkey,
        "commit": begun.commit,
        "continues": known.checkpoint.origin if known else "",
        "size": known.checkpoint.size if known else 0,
        "source": known.source if known else "",
        "trouble": begun.trouble,
    }


def _who() -> str:
    """Return the operating system's user, and the user who called sudo, for the journal."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "?"
    caller = environment("SUDO_USER")
    return f"{name} (uid {uid})" + (f", called by {caller[:64]}" if caller else "")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_NOTE + 1)


def _folder(name: str) -> Path:
    path = Path(name)
    if not path.is_dir():
        raise InvalidRequest(f"{path} is not a directory")
    return path


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", metavar="FILE", help="the server's configuration")
    add("--reason", metavar="TEXT", help="the reason, which is recorded in the journal")
    add("--predecessor", metavar="FILE", help="a checkpoint of the previous log")
    add("--mirror", metavar="DIR", help="a mirror's directory with a copy of the previous log")
    add(
        "--force",
        action="store_true",
        help="end a sound log, or continue with a database that is older than its log",
    )


NEW_EPOCH: Final = Command(
    "Begin the next log of a stopped server whose log is lost or must not be continued.",
    _new_epoch,
    "-config=FILE -reason=TEXT",
    "  $ ironkeep operator new-epoch -config=/etc/ironkeep/ironkeep.hcl \\\n"
    "      -mirror=/srv/mirror -reason='the disk of /var/lib/ironkeep/audit broke'",
    _arguments,
    remote=False,
)
