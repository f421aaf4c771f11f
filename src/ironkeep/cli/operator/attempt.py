"""The flags and steps common to unseal, rekey and generate-root, which take shares one by one."""

import argparse
from typing import Any, Final

from ironkeep.cli.client.client import Client
from ironkeep.cli.command import Context
from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest

NOT_STARTED: Final = "no attempt is in progress: start one with -init"


def show(terminal: Terminal, status: dict[str, Any]) -> int:
    """Print the progress of an attempt; a table leaves empty values out."""
    if not (terminal.field or terminal.structured):
        status = {key: value for key, value in status.items() if value not in ("", None)}
    return render.record(terminal, status)


def give_share(context: Context, client: Client, path: str) -> dict[str, Any]:
    """Give one share to the attempt at path and return its answer.

    The share is typed without echo unless it is an argument. -nonce makes sure that it goes to the
    attempt that its holder agreed to.
    """
    args = context.args
    status = client.read(path) or {}
    if not status.get("started"):
        raise InvalidRequest(NOT_STARTED)
    nonce = status["nonce"]
    if args.nonce and args.nonce != nonce:
        raise InvalidRequest(f"the attempt in progress has another nonce: {nonce}")
    if not args.nonce:
        context.terminal.note(f"Operation nonce: {nonce}")
    share = context.terminal.key(args.key, "Unseal Key (one share)")
    data = {"key": share.reveal().decode("utf-8", "replace"), "nonce": nonce}
    return client.write(update_path(path), data) or {}


def update_path(path: str) -> str:
    """Return the path to which shares of the attempt at path are written."""
    return path if path.endswith("/verify") else f"{path.rpartition('/')[0]}/update"


def cancel(context: Context, client: Client, path: str, what: str) -> int:
    """Cancel the attempt at path."""
    client.delete(path)
    return render.answer(context.terminal, None, f"Canceled {what} (if it was started)")


def unseal_data(context: Context, question: str) -> dict[str, Any]:
    """Return the body of an unseal request: a share, asked for by question, or -reset."""
    args = context.args
    if args.reset:
        return {"reset": True, "nonce": args.nonce or ""}
    share = context.terminal.key(args.key, question)
    return {"key": share.reveal().decode("utf-8", "replace")}


def unseal_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of an unseal command."""
    parser.add_argument("key", metavar="KEY", nargs="?", help="`-` reads it from stdin")
    parser.add_argument("--reset", action="store_true", help="discard the shares given so far")
    parser.add_argument("--nonce", metavar="NONCE", help="nonce of the attempt that -reset ends")


def share_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of an attempt."""
    add = parser.add_argument
    add("key", metavar="KEY", nargs="?", help="`-` reads it from stdin")
    add("--init", action="store_true", help="start an attempt")
    add("--status", action="store_true", help="show the progress of the attempt")
    add("--cancel", action="store_true", help="cancel the attempt")
    add("--nonce", metavar="NONCE", help="nonce of the attempt that the share is for")
