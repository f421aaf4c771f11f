"""`ironkeep audit proof`: disclose one entry with the proof that it is in the log.

    INDEX.tlog-proof    the proof (c2sp.org/tlog-proof@v1)
    INDEX.entry.json    the leaf, and the salt and entry that it commits to, in base64

With both files and the log's key anyone can check the entry without a server. They disclose this
one entry only.
"""

import argparse
import json
import time
from base64 import b64decode
from binascii import Error as Base64Error
from pathlib import Path
from typing import Any, Final

from ironkeep.cli.audit.trust import trust_arguments, trust_of
from ironkeep.cli.audit.verify import VERIFIED
from ironkeep.cli.client.client import Client, connect
from ironkeep.cli.client.inputs import read_file
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import OK
from ironkeep.cli.failures import Refused
from ironkeep.cli.output import render
from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.evidence.leaf import Disclosed, check_disclosed
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.proof import MAX_PROOF, LogProof, verify_proof

PROOF_SUFFIX: Final = ".tlog-proof"
ENTRY_SUFFIX: Final = ".entry.json"
MAX_ENTRY_FILE: Final = 1 << 18
"""Bytes: a leaf is below 64 KiB, and the file contains it twice in base64."""

_TRIES: Final = 10
_WAIT_SECONDS: Final = 0.5
_NOT_FOUND: Final = 404


def _proof(context: Context) -> int:
    args = context.args
    if args.verify:
        if args.index:
            raise InvalidRequest("give INDEX to make a proof, or -verify=FILE to check one")
        return _check(context, Path(args.verify))
    if not (args.index and args.index.isdigit()):
        raise InvalidRequest("give the INDEX of an entry, which `ironkeep audit search` shows")
    return _make(context, args.index)


def _make(context: Context, index: str) -> int:
    terminal, folder = context.terminal, Path(context.args.out)
    data = _fetch(context, connect(context), f"sys/audit/log/proof/{index}")
    proof, entry = folder / f"{index}{PROOF_SUFFIX}", folder / f"{index}{ENTRY_SUFFIX}"
    kept = {"version": 1, **{key: data[key] for key in ("index", "leaf", "salt", "entry")}}
    proof.write_text(data["proof"], encoding="utf-8")
    entry.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    document = {"index": int(index), "proof": str(proof), "entry": str(entry)}
    if terminal.structured:
        return render.as_json(terminal, document)
    render.pairs(terminal, document)
    return OK


def _fetch(context: Context, client: Client, path: str) -> dict[str, Any]:
    """Return the proof once a checkpoint covers the entry: the server signs about one a second."""
    for attempt in range(_TRIES):
        try:
            document = client.read(path)
        except Refused as error:
            waits = error.status == _NOT_FOUND and any("checkpoint" in e for e in error.errors)
            if not waits or attempt == _TRIES - 1:
                raise
            if attempt == 1:
                context.terminal.note("waiting for a checkpoint that covers the entry …")
            time.sleep(_WAIT_SECONDS)
        else:
            data: dict[str, Any] = (document or {})["data"]
            return data
    raise AssertionError


def _check(context: Context, path: Path) -> int:
    """Verify a proof offline.

    (1) The leaf commits to the entry. (2) The leaf is in the tree of a checkpoint that the log's
    key signed and, with a policy, its quorum cosigned.
    """
    terminal = context.terminal
    trust = trust_of(context.args)
    if not trust.keys:
        raise InvalidRequest("give the key to trust: the log's with -vkey, or a -policy")
    proof = LogProof.parse(read_file(path, MAX_PROOF))
    entry_path = path.with_name(path.name.removesuffix(PROOF_SUFFIX) + ENTRY_SUFFIX)
    leaf, disclosed = _disclosed(read_file(entry_path, MAX_ENTRY_FILE))
    if disclosed.index != proof.index:
        raise IntegrityError(f"the proof is of entry {proof.index}, not of {disclosed.index}")
    check_disclosed(leaf, disclosed)
    logged = verify_proof(proof, leaf_hash(leaf), trust.verifiers(), trust.quorum())
    document = {
        "verdict": VERIFIED,
        "origin": logged.checkpoint.origin,
        "index": logged.index,
        "tree_size": logged.checkpoint.size,
        "cosigners": sorted(logged.cosigners),
        "entry": _entry(disclosed),
    }
    return render.record(terminal, document)


def _entry(disclosed: Disclosed) -> Any:
    try:
        return json.loads(disclosed.body)
    except (ValueError, RecursionError):
        raise IntegrityError(f"entry {disclosed.index} is not JSON") from None


def _disclosed(raw: bytes) -> tuple[bytes, Disclosed]:
    """Return the leaf and its claimed content; raise IntegrityError if malformed."""
    try:
        document = json.loads(raw)
        version, index = document["version"], document["index"]
        leaf, salt, body = (
            b64decode(document[name], validate=True) for name in ("leaf", "salt", "entry")
        )
    except (ValueError, KeyError, TypeError, RecursionError, Base64Error):
        raise IntegrityError(f"not an entry file ({ENTRY_SUFFIX})") from None
    if version != 1 or type(index) is not int:
        raise IntegrityError("the entry file has an unknown version")
    return leaf, Disclosed(index, salt, body)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("index", metavar="INDEX", nargs="?")
    parser.add_argument("--out", metavar="DIR", default=".", help="directory for the two files (.)")
    parser.add_argument("--verify", metavar="FILE", help="check a .tlog-proof offline")
    trust_arguments(parser)


PROOF: Final = Command(
    "Write an entry and its proof to files, or check them without a server.",
    _proof,
    "INDEX | -verify=FILE",
    "  $ ironkeep audit proof 4711\n"
    "  $ ironkeep audit proof -verify=4711.tlog-proof -vkey=ironkeep/audit/node-1/1+6f1d…",
    _arguments,
)
