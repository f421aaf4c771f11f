"""`ironkeep operator rekey`: new key shares, made with a threshold of the old ones."""

import argparse
from typing import Any, Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import OK
from ironkeep.cli.operator.attempt import cancel, give_share, share_arguments, show
from ironkeep.cli.output import render

_INIT: Final = "sys/rekey/init"
_VERIFY: Final = "sys/rekey/verify"


def _rekey(context: Context) -> int:
    args, terminal = context.args, context.terminal
    client = connect(context)
    path = _VERIFY if args.verify else _INIT
    if args.init:
        data = {
            "secret_shares": args.key_shares,
            "secret_threshold": args.key_threshold,
            "require_verification": args.require_verification,
        }
        return show(terminal, client.write(_INIT, data) or {})
    if args.status:
        return show(terminal, client.read(path) or {})
    if args.cancel:
        return cancel(context, client, path, "rekeying")
    status = give_share(context, client, path)
    if not status.get("complete"):
        return show(terminal, status)
    if args.verify:
        return render.answer(terminal, None, "The new key shares are verified and in effect.")
    return _done(context, status)


def _done(context: Context, status: dict[str, Any]) -> int:
    terminal = context.terminal
    if terminal.structured or terminal.field:
        return show(terminal, status)
    for number, share in enumerate(status["keys_base64"], start=1):
        terminal.say(f"Key {number}: {share}")
    terminal.say(f"\nOperation nonce: {status['nonce']}\n")
    if status.get("verification_required"):
        terminal.say(
            f"Verification nonce: {status.get('verification_nonce')}\n\nThe new shares take effect "
            "once a threshold of them was entered with `ironkeep operator rekey -verify`."
        )
    else:
        terminal.say("The new shares are in effect; the old ones are no longer valid.")
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    share_arguments(parser)
    add = parser.add_argument
    add("--key-shares", "--n", metavar="N", type=int, default=5, help="number of new shares (5)")
    add("--key-threshold", "--t", metavar="N", type=int, default=3, help="shares to unseal (3)")
    add("--verify", action="store_true", help="enter a new share to verify it")
    add("--require-verification", action="store_true", help="with -init: require -verify")


REKEY: Final = Command(
    "Make new key shares: start with -init, then each holder gives a share.",
    _rekey,
    "[KEY]",
    "  $ ironkeep operator rekey -init -key-shares=3 -key-threshold=2\n"
    "  $ ironkeep operator rekey -nonce=2dbd10f1-8528-6246-09e7-82b25b8aba63",
    _arguments,
)
