"""`ironkeep operator clock`: the vault's time beside the machine's, and accepting a step."""

import argparse
from typing import Any, Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import OK, SERVER
from ironkeep.cli.output import render

_PATH: Final = "sys/clock"


def _clock(context: Context) -> int:
    client, offset = connect(context), context.args.accept
    if offset is None:
        document = client.read(_PATH) or {}
    else:
        document = client.write(_PATH, {"offset": offset}) or {}
    terminal, shown = context.terminal, document.get("data") or {}
    if terminal.structured or terminal.field:
        render.answer(terminal, document, "")
    else:
        render.pairs(terminal, _shown(shown))
    return OK if shown.get("follows") or offset is not None else SERVER


def _shown(data: dict[str, Any]) -> dict[str, Any]:
    rows = {
        "Vault's Time": data.get("vault_time"),
        "Machine's Time": data.get("machine_time"),
        "Offset": f"{data.get('offset')} s",
        "Follows": data.get("follows"),
    }
    return rows | ({"Problem": data["problem"]} if data.get("problem") else {})


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept", metavar="SECONDS", type=int,
        help="take the machine's clock for right; SECONDS is the offset shown now",
    )  # fmt: skip


CLOCK: Final = Command(
    "Compare the vault's time with the machine's. Exit code: 0 it follows, 2 it does not.",
    _clock,
    examples="  $ ironkeep operator clock\n  $ ironkeep operator clock -accept=3600",
    arguments=_arguments,
)
