"""`ironkeep policy`: ACL policies."""

import argparse
from typing import Any, Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.client.inputs import text_of
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.failures import NoValue
from ironkeep.cli.output import render

_BASE: Final = "sys/policies/acl"


def _list(context: Context) -> int:
    document = connect(context).list(f"{_BASE}/")
    return render.lines(context.terminal, ((document or {}).get("data") or {}).get("keys") or [])


def _read(context: Context) -> int:
    terminal, name = context.terminal, context.args.name.lower()
    document = connect(context).read(f"{_BASE}/{name}")
    data: dict[str, Any] = (document or {}).get("data") or {}
    if "policy" not in data:
        raise NoValue(f"No policy named: {name}")
    if terminal.structured:
        return render.as_json(terminal, {"policy": data["policy"]})
    terminal.field = terminal.field or "policy"
    return render.field(terminal, data)


def _write(context: Context) -> int:
    args, terminal = context.args, context.terminal
    text = text_of("-" if args.file == "-" else f"@{args.file}", terminal)
    document = connect(context).write(f"{_BASE}/{args.name}", {"policy": text})
    return render.answer(terminal, document, f"Uploaded policy: {args.name.lower()}")


def _delete(context: Context) -> int:
    name = context.args.name.lower()
    document = connect(context).delete(f"{_BASE}/{name}")
    return render.answer(context.terminal, document, f"Deleted policy: {name}")


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")


def _file(parser: argparse.ArgumentParser) -> None:
    _named(parser)
    parser.add_argument("file", metavar="FILE", help="the policy's text; `-` is stdin")


POLICY: Final = Group(
    "ACL policies",
    {
        "list": Command("List policies.", _list, "", "  $ ironkeep policy list"),
        "read": Command(
            "Print a policy's text.", _read, "NAME", "  $ ironkeep policy read dev", _named
        ),
        "write": Command(
            "Write a policy.", _write, "NAME FILE", "  $ ironkeep policy write dev dev.hcl", _file
        ),
        "delete": Command(
            "Remove a policy.", _delete, "NAME", "  $ ironkeep policy delete dev", _named
        ),
    },
)
