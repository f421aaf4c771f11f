"""`ironkeep approval`: list the requests that wait for your decision, and decide on them."""

import argparse
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from ironkeep.cli.client.client import connect
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK
from ironkeep.cli.failures import NoValue
from ironkeep.cli.output import render

REQUESTS: Final = "approval/requests"

_COLUMNS: Final = ("Accessor", "Who", "Operation", "Path", "Reason", "Ticket", "Approved")
_REPORT: Final = ("Approver", "Week", "Approved", "Denied", "Median look", "")


def _path(accessor: str, action: str = "") -> str:
    return f"{REQUESTS}/{quote(accessor, safe='')}{action}"


def _list(context: Context) -> int:
    terminal = context.terminal
    document = connect(context).list(REQUESTS)
    if document is None:
        raise NoValue(
            "no request waits for your decision; `approval show ACCESSOR` says why a request is "
            "not yours to decide"
        )
    if terminal.structured or terminal.field:
        return render.answer(terminal, document, "")
    info = document["data"]["key_info"]
    render.table(terminal, _COLUMNS, [_row(name, info[name]) for name in document["data"]["keys"]])
    return OK


def _row(accessor: str, about: dict[str, Any]) -> list[str]:
    who = about["requester"] + (" (you)" if about["mine"] else "")
    approved = f"{about['given']} of {about['needed']}"
    shown = [about[name] for name in ("operation", "path", "reason", "ticket")]
    return [accessor, who, *shown, approved]


def _show(context: Context) -> int:
    document = connect(context).read(_path(context.args.accessor))
    if document is None:
        raise NoValue("no request waits under that accessor")
    return render.answer(context.terminal, document, "")


def _approve(context: Context) -> int:
    args, terminal, client = context.args, context.terminal, connect(context)
    number = args.number
    if not number:
        number = terminal.key("", "Number on the requester's screen").reveal().decode()
    document = client.write(_path(args.accessor, "/approve"), {"number": number})
    return render.answer(terminal, document, "Approved.")


def _decide(action: str, done: str) -> Callable[[Context], int]:
    def run(context: Context) -> int:
        reason = getattr(context.args, "reason", None)
        data = {"reason": reason} if reason else None
        document = connect(context).write(_path(context.args.accessor, f"/{action}"), data)
        return render.answer(context.terminal, document, done)

    return run


def _report(context: Context) -> int:
    terminal = context.terminal
    document = connect(context).read("approval/report")
    if document is None or terminal.structured or terminal.field:
        return render.answer(terminal, document, "")
    rows = [
        [
            each["name"],
            each["week"],
            str(each["approved"]),
            str(each["denied"]),
            f"{each['median_look_ms'] / 1000:.1f} s",
            "approves unread" if each["rubber_stamp"] else "",
        ]
        for each in document["data"]["approvers"]
    ]
    render.table(terminal, _REPORT, rows)
    return OK


def _accessor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("accessor", metavar="ACCESSOR")


def _approval(parser: argparse.ArgumentParser) -> None:
    _accessor(parser)
    parser.add_argument("--number", metavar="NUMBER", help="the number on the requester's screen")


def _denial(parser: argparse.ArgumentParser) -> None:
    _accessor(parser)
    parser.add_argument("--reason", metavar="TEXT", help="the reason of the denial")


APPROVAL: Final = Group(
    "Requests that wait for a second person",
    {
        "list": Command(
            "List requests that wait for your decision.", _list, "", "  $ ironkeep approval list"
        ),
        "show": Command(
            "Show a request, its reason, and the requester's other requests today.", _show,
            "ACCESSOR",
            "  $ ironkeep approval show 8rVfS1yVqf0yUG0sBf5fPq4e", _accessor,
        ),
        "approve": Command(
            "Approve a request, with the number on the requester's screen.", _approve, "ACCESSOR",
            "  $ ironkeep approval approve -number=417 8rVfS1yVqf0yUG0sBf5fPq4e", _approval,
        ),
        "deny": Command(
            "Deny a request; one denial ends it.", _decide("deny", "Denied."), "ACCESSOR",
            '  $ ironkeep approval deny -reason="no ticket" 8rVfS1yVqf0yUG0sBf5fPq4e', _denial,
        ),
        "withdraw": Command(
            "Withdraw your own request.", _decide("withdraw", "Withdrawn."), "ACCESSOR",
            "  $ ironkeep approval withdraw 8rVfS1yVqf0yUG0sBf5fPq4e", _accessor,
        ),
        "report": Command(
            "Show each approver's decisions per week and median reading time.", _report, "",
            "  $ ironkeep approval report",
        ),
    },
)  # fmt: skip
