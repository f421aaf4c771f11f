"""Prints a verdict: its headline first, then each claim with the items that are open.

| exit code | of a command that prints a verdict |
|-----------|------------------------------------|
| 0         | PROVEN |
| 3         | NOT PROVEN |
| 4         | DISPROVEN |
| 7         | PROVEN WITH EXCEPTIONS: items are open, and accepted for a time |
| 8         | PROVEN, with or without exceptions, as of a time after which more happened |
"""

from collections.abc import Mapping, Sized
from typing import Any, Final

from ironkeep.cli.output import render
from ironkeep.cli.output.colours import painted
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.evidence.reach import FOREVER
from ironkeep.core.evidence.verdict import Outcome
from ironkeep.core.text.goformat import rfc3339

NOT_PROVEN: Final = 3
DISPROVEN: Final = 4
EXCEPTIONS: Final = 7
PAST: Final = 8

_CODES: Final[Mapping[str, int]] = {
    Outcome.PROVEN: 0,
    Outcome.EXCEPTIONS: EXCEPTIONS,
    Outcome.NOT_PROVEN: NOT_PROVEN,
    Outcome.DISPROVEN: DISPROVEN,
}


def exit_code(outcome: str, *, past: bool) -> int:
    """Return the exit code for a verdict; past means that more happened after its time."""
    if past and outcome in {Outcome.PROVEN, Outcome.EXCEPTIONS}:
        return PAST
    return _CODES[outcome]


def show(terminal: Terminal, verdict: Mapping[str, Any]) -> None:
    """Print a verdict in the form of the API."""
    outcome, headline = verdict["outcome"], verdict["headline"]
    terminal.say(painted(outcome), headline.removeprefix(outcome))
    details(terminal, verdict)


def details(terminal: Terminal, verdict: Mapping[str, Any]) -> None:
    """Print a verdict without its headline, in the form of the API and the verifier.

    The server sends a part of long lists, with counts of all; the verifier sends all of them.
    """
    counts = verdict.get("counts", {})
    terminal.say(f"Scope:  {verdict['scope']}")
    for claim in verdict["claims"]:
        of = counts.get("claims", {}).get(claim["id"], {})
        status = painted(claim["status"], 8)
        terminal.say(f"  {claim['id']:<4} ", status, f" {claim['title']}{_basis(claim, of)}")
        for item in claim["items"]:
            terminal.say(f"         - {item['label']}: {item['words']}")
        _more(terminal, "         - ", claim["items"], of.get("items"))
    _exemptions(terminal, verdict)
    _more(terminal, "  exempt: ", verdict["exemptions"], counts.get("exemptions"))
    for each in verdict["waiting"]:
        terminal.say(f"  waits (entry:{each['entry']}): {each['words']}")
    _more(terminal, "  waits: ", verdict["waiting"], counts.get("waiting"))
    credentials(terminal, verdict)
    _more(terminal, "", verdict["credentials"], counts.get("credentials"))
    if verdict["residue"]:
        terminal.say("\nWhat this does not say:")
        for words in verdict["residue"]:
            terminal.say(f"  - {words}")
        _more(terminal, "  - ", verdict["residue"], counts.get("residue"))


def _more(terminal: Terminal, before: str, shown: Sized, count: int | None) -> None:
    """Print how many rows of a list the server left out."""
    missing = (count or 0) - len(shown)
    if missing > 0:
        terminal.say(f"{before}{missing} more, which a pack shows")


def credentials(terminal: Terminal, verdict: Mapping[str, Any]) -> None:
    """Print the state of each exposed credential."""
    rows = [
        (
            each["label"],
            each["state"],
            each["basis"] + ("; can be measured: probe it" if each["measurable"] else ""),
            moment(each["exposed_ns"]),
            moment(each["revoked_ns"]),
            moment(each["dead_ns"]),
        )
        for each in verdict["credentials"]
    ]
    if rows:
        terminal.say("")
        headers = ("Exposed credential", "State", "Known by", "Exposed", "Revoked", "Verified dead")
        render.table(terminal, headers, rows)


def moment(time_ns: int) -> str:
    """Return an instant as text, a dash for one that has not come."""
    return rfc3339(time_ns // 10**9 * 10**9) if 0 < time_ns < FOREVER else "-"


def _basis(claim: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    """Return how many records a claim rests on, measured and sworn, and its exemptions."""
    sworn = counts.get("sworn", len(claim["sworn"]))
    measured = counts.get("entries", len(claim["entries"])) - sworn
    parts = ((measured, "measured"), (sworn, "sworn"), (claim["exempt"], "exempt"))
    words = ", ".join(f"{count} {what}" for count, what in parts if count)
    return f" ({words})" if words else ""


def _exemptions(terminal: Terminal, verdict: Mapping[str, Any]) -> None:
    for each in verdict["exemptions"]:
        text = (
            f"  exempt until {moment(each['expires_ns'])}: {each['label']}: {each['words']} "
            f"({each['owner']}: {each['reason']})"
        )
        terminal.say(text)
