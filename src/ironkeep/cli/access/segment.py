"""`ironkeep segment`: parts of the vault with their own keys, and the access between them."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from ironkeep.cli.client.client import connect
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK, REACHES
from ironkeep.cli.failures import NoValue
from ironkeep.cli.operator.attempt import unseal_arguments, unseal_data
from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal

_COLUMNS: Final = ("Segment", "State", "Shares", "Networks", "Devices", "Mounts")


def _path(name: str, action: str = "") -> str:
    return f"segment/segments/{quote(name, safe='')}{action}"


def _status(context: Context) -> int:
    client, terminal = connect(context), context.terminal
    if context.args.name:
        return render.answer(terminal, client.read(_path(context.args.name)), "")
    document = client.list("segment/segments")
    if document is None:
        raise NoValue("there are no segments")
    if terminal.structured or terminal.field:
        return render.answer(terminal, document, "")
    render.table(terminal, _COLUMNS, [_row(each) for each in _about(document)])
    return OK


def _about(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(document["data"]["key_info"].values())


def _row(about: Mapping[str, Any]) -> list[str]:
    shares = f"{about['t']} of {about['n']}" if about["n"] else ""
    lists = (" ".join(about[name]) for name in ("networks", "devices", "mounts"))
    return [about["name"], about["state"], shares, *lists]


def _unseal(context: Context) -> int:
    args, terminal, client = context.args, context.terminal, connect(context)
    data = unseal_data(context, f"Key of segment {args.name} (one share)")
    return render.answer(terminal, client.write(_path(args.name, "/unseal"), data), "")


def _write(action: str, done: str) -> Callable[[Context], int]:
    def run(context: Context) -> int:
        name = context.args.name
        document = connect(context).write(_path(name, f"/{action}"))
        return render.answer(context.terminal, document, done.format(name=name))

    return run


def _reach(context: Context) -> int:
    """Print the access from one segment to others; the exit code tells if there is any."""
    args, terminal = context.args, context.terminal
    query = {"source": args.source, "targets": ",".join(args.targets)}
    document = connect(context).read("segment/reach", query)
    if document is None:
        raise NoValue("the server gave no answer")
    if terminal.structured or terminal.field:
        render.answer(terminal, document, "")
    else:
        for pair in document["data"]["pairs"]:
            _show(terminal, pair)
    told = document["data"]
    return REACHES if told["reaches"] or not told["complete"] else OK


def _show(terminal: Terminal, pair: Mapping[str, Any]) -> None:
    verdict = "YES" if pair["reaches"] else "no" if pair["complete"] else "unknown"
    terminal.say(f"{pair['from']} -> {pair['to']}: {verdict}")
    if not pair["complete"]:
        terminal.say("  There are too many policies or persons to examine all of them.")
    for way in pair["ways"]:
        terminal.say(f"  open: {way['kind']}: {way['detail']}")
    if pair["who"]:
        columns = ("Who", "Way", "By policy rule", "Mount")
        rows = [[each[k] for k in ("subject", "way", "rule", "mount")] for each in pair["who"]]
        render.table(terminal, columns, rows)


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="SEGMENT")


def _maybe_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="SEGMENT", nargs="?", default="")


def _share(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    unseal_arguments(parser)


def _question(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("targets", metavar="TO", nargs="+")


SEGMENT: Final = Group(
    "Segments with their own keys",
    {
        "status": Command(
            "Show all segments, or one.", _status, "[SEGMENT]",
            "  $ ironkeep segment status\n  $ ironkeep segment status prod", _maybe_name,
        ),
        "unseal": Command(
            "Give one share of a segment's key; it is typed without echo.", _unseal,
            "SEGMENT [KEY]", "  $ ironkeep segment unseal prod", _share,
        ),
        "seal": Command(
            "Seal a segment at once.", _write("seal", "Segment {name} is sealed."),
            "SEGMENT", "  $ ironkeep segment seal prod", _name,
        ),
        "cut": Command(
            "Seal a segment and revoke all tokens and leases issued through it.",
            _write("cut", "Segment {name} is cut off."),
            "SEGMENT", "  $ ironkeep segment cut prod", _name,
        ),
        "reach": Command(
            "Show whether users of a segment reach others. Exit code: 0 no, 6 yes or unknown.",
            _reach, "FROM TO [TO…]", "  $ ironkeep segment reach dev prod backup", _question,
        ),
    },
)  # fmt: skip
