"""Prints a verdict: the outcome first, then each claim with the items that are open."""

from collections.abc import Mapping
from typing import Any, Final

from ironkeep.cli.output import render
from ironkeep.cli.output.colours import painted
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.evidence.reach import FOREVER
from ironkeep.core.text.goformat import rfc3339

NOT_PROVEN: Final = 3
DISPROVEN: Final = 4
OUTCOMES: Final = {"PROVEN": 0, "NOT PROVEN": NOT_PROVEN, "DISPROVEN": DISPROVEN}
"""Exit codes of the commands that print a verdict."""


def show(terminal: Terminal, verdict: Mapping[str, Any]) -> None:
    """Print a verdict in the form of the API and the verifier."""
    terminal.say(painted(verdict["outcome"]), f": {verdict['scope']}")
    for claim in verdict["claims"]:
        status = painted(claim["status"], 8)
        terminal.say(f"  {claim['id']:<4} ", status, f" {claim['title']}")
        for item in claim["items"]:
            terminal.say(f"         - {item['label']}: {item['words']}")
    _exemptions(terminal, verdict)
    credentials(terminal, verdict)
    if verdict["residue"]:
        terminal.say("\nWhat this does not say:")
        for words in verdict["residue"]:
            terminal.say(f"  - {words}")


def credentials(terminal: Terminal, verdict: Mapping[str, Any]) -> None:
    """Print the state of each exposed credential."""
    rows = [
        (
            each["label"],
            each["state"],
            moment(each["exposed_ns"]),
            moment(each["revoked_ns"]),
            moment(each["dead_ns"]),
        )
        for each in verdict["credentials"]
    ]
    if rows:
        terminal.say("")
        headers = ("Exposed credential", "State", "Exposed", "Revoked", "Verified dead")
        render.table(terminal, headers, rows)


def moment(time_ns: int) -> str:
    """Return an instant as text, a dash for one that has not come."""
    return rfc3339(time_ns // 10**9 * 10**9) if 0 < time_ns < FOREVER else "-"


def _exemptions(terminal: Terminal, verdict: Mapping[str, Any]) -> None:
    for each in verdict["exemptions"]:
        text = (
            f"  exempt until {moment(each['expires_ns'])}: {each['label']}: {each['words']} "
            f"({each['owner']}: {each['reason']})"
        )
        terminal.say(text)
