"""`ironkeep operator generate-root`: a root token, made with a threshold of the key shares.

The server returns it encoded with a one-time password (base64 of token XOR password), so that the
holder who gives the last share does not see it. -decode decodes it without a server.
"""

import argparse
import base64
import binascii
import os
from typing import Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import OK
from ironkeep.cli.operator.attempt import cancel, give_share, share_arguments, show
from ironkeep.cli.output import render
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import base62

_ATTEMPT: Final = "sys/generate-root/attempt"
OTP_CHARS: Final = 28
"""The length of a root token."""


def _generate_root(context: Context) -> int:
    args, terminal = context.args, context.terminal
    if args.decode is not None:
        return _decode(context)
    if args.generate_otp:
        otp = base62(os.urandom(2 * OTP_CHARS), OTP_CHARS)
        return (
            render.answer(terminal, {"otp": otp}, "")
            if _structured(context)
            else _say(context, otp)
        )
    client = connect(context)
    if args.init:
        given = {}
        if args.otp:
            given["otp"] = terminal.key(args.otp, "One-time password").reveal().decode()
        return show(terminal, client.write(_ATTEMPT, given) or {})
    if args.status:
        return show(terminal, client.read(_ATTEMPT) or {})
    if args.cancel:
        return cancel(context, client, _ATTEMPT, "root token generation")
    return show(terminal, give_share(context, client, _ATTEMPT))


def _structured(context: Context) -> bool:
    return context.terminal.structured or bool(context.terminal.field)


def _say(context: Context, text: str) -> int:
    context.terminal.say(text)
    return OK


def _decode(context: Context) -> int:
    args, terminal = context.args, context.terminal
    otp = terminal.key(args.otp, "One-time password").reveal()
    encoded = terminal.key(args.decode, "Encoded token").reveal()
    token = decode(encoded, otp)
    if _structured(context):
        return render.answer(terminal, {"token": token}, "")
    return _say(context, f"Root token: {token}")


def decode(encoded: bytes, otp: bytes) -> str:
    """Return the token that is encoded with otp; raise InvalidRequest, which quotes neither."""
    try:
        mixed = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        raise InvalidRequest("the encoded token is not base64") from None
    if not mixed or len(mixed) != len(otp):
        raise InvalidRequest(
            f"the one-time password has {len(otp)} characters, but the encoded token {len(mixed)}"
        )
    token = bytes(a ^ b for a, b in zip(mixed, otp, strict=True))
    if not (token.isascii() and token.decode("ascii").isprintable()):
        raise InvalidRequest("this one-time password does not belong to this encoded token")
    return token.decode("ascii")


def _arguments(parser: argparse.ArgumentParser) -> None:
    share_arguments(parser)
    add = parser.add_argument
    add("--generate-otp", action="store_true", help="print a new one-time password")
    add("--otp", metavar="OTP", help="the one-time password; `-` reads it from stdin")
    add("--decode", metavar="TOKEN", help="decode an encoded token offline")


GENERATE_ROOT: Final = Command(
    "Make a root token: start with -init, let each holder give a share, then use -decode.",
    _generate_root,
    "[KEY]",
    "  $ ironkeep operator generate-root -init\n"
    "  $ ironkeep operator generate-root -nonce=2dbd10f1-8528-6246-09e7-82b25b8aba63\n"
    "  $ ironkeep operator generate-root -decode=ImBSE… -otp=-",
    _arguments,
)
