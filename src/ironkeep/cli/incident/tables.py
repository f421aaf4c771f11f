"""The answers of the incident engine as tables."""

from collections.abc import Mapping
from typing import Any

from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal


def case(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print the summary of a case."""
    flat = {**data, **(data.get("exposed") or {})}
    flat.pop("exposed", None)
    render.pairs(terminal, flat)


def cases(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print the list of cases."""
    rows = [
        (key, each["title"], each["start"] or "-", each["opened"] or "-")
        for key, each in data["key_info"].items()
    ]
    render.table(terminal, ("Case", "Title", "Start", "Opened"), rows)


def exposure(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print the three levels of exposure; each secret once, at its first level, with reasons."""
    shown: set[str] = set()
    titles = {
        "did_read": "Did read (the journal proves it)",
        "could_read": "Could have read (the policies of that time)",
        "could_reach": "Could have reached (by any chain)",
    }
    for name, title in titles.items():
        rows = [row for row in data[name] if row["node"] not in shown]
        count = data["counts"][name]
        above, missing = len(data[name]) - len(rows), (count or 0) - len(data[name])
        shown.update(row["node"] for row in rows)
        notes = [f"{above} of them above"] if above else []
        notes += [f"{missing} not shown"] if missing > 0 else []
        unknown = data["not_worked_out"] if name != "did_read" else []
        told = "not worked out yet" if count is None else str(count)
        notes += ["not worked out in full"] if unknown and count is not None else []
        terminal.say(", ".join((f"{title}: {told}", *notes)))
        if name == "could_read":
            for words in unknown:
                terminal.say(f"  {words}")
        if rows:
            headers = ("What", "State", "Exposed", "In clear", "Why")
            render.table(terminal, headers, [_row(row) for row in rows])
        terminal.say("")


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    why = " → ".join(f"{step['by']} {step['to']}" for step in row["why"])
    first = f"{row['why'][0]['from']} → " if row["why"] else "a subject of a case"
    return (
        row["label"],
        row.get("state", "-"),
        _short(row["exposed"]),
        _short(row["in_clear"]) if row["in_clear"] else "only encrypted or in part",
        first + why,
    )


def _short(time: str | None) -> str:
    return "-" if time is None else time[:19] + "Z"


def steps(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print the open steps in order."""
    if not data["steps"]:
        terminal.say(f"{data['outcome']}: nothing is open.")
        return
    rows = [
        (
            str(each["step"]),
            each["do"],
            each["label"],
            "; ".join(filter(None, (each["words"], each.get("stated")))),
        )
        for each in data["steps"]
    ]
    render.table(terminal, ("Step", "Do", "About", "Because"), rows)


def rows(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print lists of rows with any columns, each below its name if there are several."""
    for name, found in data.items():
        if len(data) > 1:
            terminal.say(f"{name.replace('_', ' ').capitalize()}: {len(found)}")
        if not found:
            if len(data) == 1:
                terminal.say("Nothing to do.")
            continue
        headers = list(found[0])
        cells = [[_cell(each.get(header)) for header in headers] for each in found]
        render.table(terminal, [each.replace("_", " ").capitalize() for each in headers], cells)


def _cell(value: object) -> str:
    """Return one value of a row; an empty list is a dash."""
    return "-" if value == [] else render.text(value)


def swept(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print the differences from the baselines at each host."""
    for each in data["swept"]:
        differences = each["differences"]
        own = sum(one["own"] for one in differences)
        notes = f", {own} of them made by the vault itself" if own else ""
        terminal.say(
            f"{each['system']} at {each['endpoint']}: {len(differences)} differences{notes}"
        )
        if differences:
            found = [(one["id"], one["what"], one["item"], _known(one)) for one in differences]
            render.table(terminal, ("Id", "What", "Item", ""), found)
        for gap in each["gaps"]:
            terminal.say(f"  not checked: {gap}")


def _known(difference: Mapping[str, Any]) -> str:
    """Return what a responder has to know of a difference before explaining it."""
    if difference["acting"]:
        return "ACTING"
    return "explained: the vault's own change" if difference["own"] else ""


def document(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print the secrets found in a document, as far as the caller may read them."""
    terminal.say(f"{data['document']} is on record.")
    for name in data["found"]:
        terminal.say(f"  contains {name}")
    for name in data["copies"]:
        terminal.say(f"  contains the registered copy {name}")
    if not (data["found"] or data["copies"]):
        terminal.say("  contains no secret that you may read")
    if sealed := data.get("mounts_not_known"):
        terminal.say(
            f"  not compared with {sealed} sealed mounts: unseal their segments, and repeat"
        )
    elif not data["complete"]:
        terminal.say("  only a part of it was searched: submit it in parts")


def root(terminal: Terminal, data: Mapping[str, Any]) -> None:
    """Print Ironkeep's own settings and keys of the case, and their changes."""
    for item, found in data.items():
        terminal.say(f"{item}: {found['changes']} changes since the case's start")
        for line in found["now"]:
            terminal.say(f"  now: {line}")
        if found["changed"]:
            rows = [
                (
                    one["item"],
                    one["time"] or "-",
                    one["op"],
                    one["path"],
                    one["by"],
                    "EXPOSED" if one["exposed"] else "",
                )
                for one in found["changed"]
            ]
            render.table(terminal, ("Entry", "Time", "Op", "Path", "By", ""), rows)
