"""`ironkeep audit verify`: check a whole log or a mirror's copy of one, without a server."""

import argparse
from contextlib import closing
from pathlib import Path
from typing import Final

from ironkeep.adapters.log.files import log_directory
from ironkeep.cli.audit.reading_keys import key_arguments, keys_of
from ironkeep.cli.audit.trust import Trust, trust_arguments, trust_of
from ironkeep.cli.command import Command, Context
from ironkeep.cli.output import render
from ironkeep.cli.output.progress import WatchedLogFiles
from ironkeep.core.errors import InvalidRequest
from ironkeep.journal.entries import Leaves
from ironkeep.journal.index.build import Keys, at_once
from ironkeep.journal.index.check import Checked, check_index
from ironkeep.journal.recovery import ORIGIN, VKEY
from ironkeep.journal.scan import ClosedLog
from ironkeep.journal.static_log import (
    CHECKPOINT,
    StaticLeaves,
    folder_of,
    origin_of_copy,
    verify_static,
)
from ironkeep.journal.verify import Verified, verify_log
from ironkeep.tlog.note import VerifierKey
from ironkeep.tlog.wire import encode_base64

VERIFIED: Final = "VERIFIED"
CONSISTENT: Final = "SELF-CONSISTENT"
_UNPINNED: Final = (
    "No key was given, so the one in the directory was used. An attacker who can rewrite the log "
    "can replace that key too. Pin the log's key with -vkey or a -policy to get VERIFIED."
)


def _verify(context: Context) -> int:
    args, terminal = context.args, context.terminal
    trust = trust_of(args)
    folder = _log(Path(args.dir), trust)
    copy = _copy(folder, trust)
    leaves: Leaves
    with closing(WatchedLogFiles(folder, terminal)) as files:
        if copy is None:
            key = _key(folder, trust)
            verified = verify_log(files, key, trust.policy)
            leaves = ClosedLog(files, key.name)
        else:
            key = trust.key_of(origin_of_copy(files, copy))
            verified = verify_static(files, copy, key, trust.policy)
            leaves = StaticLeaves(files, verified.checkpoint, copy)
        keys = keys_of(args, terminal)
        index = at_once(check_index(leaves, Keys(leaves, keys.of(key.name)) if keys else None))
    verdict = VERIFIED if trust.keys else CONSISTENT
    code = render.record(terminal, {**_document(verified, verdict), **_index(index)})
    if not (terminal.field or terminal.structured):
        if not trust.keys:
            terminal.note(_UNPINNED)
        if index.runs and not index.recomputed:
            terminal.note(_UNREAD)
    return code


_UNREAD: Final = (
    "The index was checked for its form alone. With -database, its roots are computed again from "
    "the entries, which takes the vault's key shares."
)


def _log(folder: Path, trust: Trust) -> Path:
    """Return the directory of the log to verify: folder, or the only candidate in it."""
    logs = [path.parent for path in folder.glob(f"*/{ORIGIN}")]
    if (folder / ORIGIN).exists() or not logs:
        return folder
    trusted = [log_directory(folder, key.name) for key in trust.keys]
    meant = [log for log in logs if log in trusted] or logs
    if len(meant) > 1:
        names = ", ".join(sorted(f"{log.name} ({_line(log / ORIGIN)})" for log in meant))
        raise InvalidRequest(f"{folder} holds several logs, name one of them: {names}")
    return meant[0]


def _copy(folder: Path, trust: Trust) -> str | None:
    """Return the path of a mirror's copy in folder; None for a server's audit directory."""
    if (folder / ORIGIN).exists():
        return None
    names = (".", *(folder_of(key.name) for key in trust.keys))
    return next((name for name in names if (folder / name / CHECKPOINT).exists()), None)


def _key(folder: Path, trust: Trust) -> VerifierKey:
    """Return the key that must have signed the log: a trusted one, or else its own."""
    if trust.keys:
        return trust.key_of(_line(folder / ORIGIN))
    return VerifierKey.parse(_line(folder / VKEY))


def _line(path: Path) -> str:
    try:
        text = path.read_bytes()[:_MAX_LINE].decode("utf-8")
    except FileNotFoundError:
        raise InvalidRequest(f"{path.parent} is not a log: it has no file {path.name!r}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path} is not UTF-8") from None
    return text.removesuffix("\n")


_MAX_LINE: Final = 1_024
"""Bytes read of a file with a key or an origin; both are shorter."""


def _document(verified: Verified, verdict: str) -> dict[str, object]:
    checkpoint = verified.checkpoint
    return {
        "verdict": verdict,
        "origin": checkpoint.origin,
        "size": verified.size,
        "signed_size": checkpoint.size,
        "signed_root": encode_base64(checkpoint.root),
        "cosigners": list(verified.cosigners),
        "torn_bytes": verified.torn,
    }


def _index(checked: Checked) -> dict[str, object]:
    compared = "recomputed from the entries" if checked.recomputed else "form only"
    return {
        "indexed_runs": checked.runs,
        "indexed_late": checked.late,
        "index": compared if checked.runs else "none",
    }


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="a server's audit directory, or a mirror's")
    trust_arguments(parser)
    key_arguments(parser)


VERIFY: Final = Command(
    "Check every leaf, hash and signature of a log. Exit code: 0, 3 damaged, 4 rolled back.",
    _verify,
    "DIR",
    "  $ ironkeep audit verify /var/lib/ironkeep/audit -vkey=ironkeep/audit/node-1/1+6f1d…\n"
    "  $ ironkeep audit verify /srv/mirror -policy=policy\n"
    "  $ ironkeep audit verify /srv/mirror -policy=policy -database=/tmp/copy/ironkeep.db",
    _arguments,
    remote=False,
)
