"""`ironkeep identity`: identities whose login secret can be copied."""

from collections.abc import Mapping
from typing import Any, Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK
from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal

DAY: Final = 86_400


def _report(context: Context) -> int:
    document = connect(context).read("sys/identity-report")
    terminal, data = context.terminal, (document or {}).get("data") or {}
    if terminal.field:
        return render.field(terminal, data)
    if terminal.structured:
        return render.as_json(terminal, data)
    _show(terminal, data)
    return OK


def _show(terminal: Terminal, data: Mapping[str, Any]) -> None:
    rows = [
        (
            each["kind"],
            each["name"],
            each["mount"],
            _age(each),
            each["last_use"] or "-",
            each["why"],
        )
        for each in data["identities"]
    ]
    if rows:
        render.table(terminal, ("Kind", "Name", "Mount", "Age", "Last use", "Why"), rows)
    terminal.say(f"{len(rows)} can log in with a secret that can be copied.")
    if data["sealed"]:
        terminal.note(f"not examined, because their segment is sealed: {', '.join(data['sealed'])}")
    elif not data["complete"]:
        terminal.note("the list is incomplete: a report has a limit")


def _age(row: Mapping[str, Any]) -> str:
    seconds = row["age_seconds"]
    return "-" if seconds is None else f"{seconds // DAY} d"


IDENTITY: Final = Group(
    "Identities with copyable login secrets",
    {
        "report": Command(
            "List all identities that can log in with a secret that can be copied.",
            _report,
            examples="  $ ironkeep identity report\n  $ ironkeep identity report -format=json",
        ),
    },
)
