"""`ironkeep audit`: read the journal through the API; prove and verify it without a server."""

import argparse
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from ironkeep.cli.audit import proof as audit_proof, verify as audit_verify
from ironkeep.cli.client.client import Client, connect
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK
from ironkeep.cli.failures import Refused, Unreachable
from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.units import SECOND_NS

_SEARCH: Final = "sys/audit/log/search"
_FOLLOW: Final = "sys/audit/log/follow"
_WAIT_SECONDS: Final = 20
"""Time that the server waits for an entry; proxies allow a minute."""
_PAUSE_SECONDS: Final = 1.0
"""Between two requests that got nothing: a busy server answers without waiting."""
_ENDED: Final = 404
_CONDITIONS: Final = (
    "path", "entity", "device", "secret", "accessor", "op", "outcome", "since", "until", "first",
)  # fmt: skip
_FIRST_EPOCH: Final = "/1"
_AT_ONCE: Final = 1_000
"""Entries in one answer: the server's limit."""
_USUAL: Final = 100
"""Entries shown of a search without -limit."""

_HEADERS: Final = ("Index", "Time", "Kind", "Outcome", "Op", "Path", "Name", "Remote")
_BOOKKEEPING: Final = frozenset({"commit", "tick"})
"""Kinds about the store, not about a client's action; only JSON and YAML output show them."""


def _search(context: Context) -> int:
    args, terminal = context.args, context.terminal
    query: dict[str, Any] = {name: getattr(args, name) for name in _CONDITIONS}
    query |= {"limit": args.limit, "newest": "true" if args.newest else None}
    given = {key: value for key, value in query.items() if value not in (None, "")}
    found, origin, is_all = _gather(connect(context), given)
    if terminal.structured:
        render.as_json(terminal, found)
    else:
        render.table(terminal, _HEADERS, [_row(entry) for entry in found if _tells(entry)])
    if not is_all:
        which = "newest" if args.newest else "oldest"
        terminal.note(f"There may be more: these are the {which} {len(found)}. Raise -limit.")
    if not origin.endswith(_FIRST_EPOCH):
        terminal.note(f"Only the log {origin} was searched, not those of earlier epochs.")
    return OK


def _tail(context: Context) -> int:
    args, terminal = context.args, context.terminal
    client = connect(context)
    own: set[int] = set()
    cursor = args.cursor
    if not cursor:
        data = _ask(client, _SEARCH, {"newest": "true", "limit": args.number}, own)
        _print(terminal, data["entries"])
        cursor = data["cursor"]
    while args.follow or args.cursor:
        cursor = _follow(client, terminal, cursor, own)
    return OK


def _follow(client: Client, terminal: Terminal, cursor: str, own: set[int]) -> str:
    """Print entries from a cursor on until the server ends the reading; return the new cursor."""
    begun = _ask(client, _FOLLOW, {"cursor": cursor}, own)
    reading, cursor, answered = begun["reading"], begun["cursor"], False
    while True:
        query = {"reading": reading, "cursor": cursor, "wait": _WAIT_SECONDS}
        try:
            reply = client.send("GET", _FOLLOW, query=query)
        except (Refused, Unreachable):
            if answered:
                terminal.note(f"All entries before this cursor were printed: -cursor={cursor}")
            raise
        if reply.status == _ENDED:
            # The server was sealed or started again: another reading goes on at the same entry.
            return cursor
        data, answered = (reply.document or {})["data"], True
        _print(terminal, [each for each in data["entries"] if not _is_own(each, reading, own)])
        if data["cursor"] == cursor:
            time.sleep(_PAUSE_SECONDS)
        cursor = data["cursor"]


def _is_own(entry: dict[str, Any], reading: str, own: set[int]) -> bool:
    """Return whether an entry is about this command's own asking."""
    notice = entry["kind"] == "notice" and entry.get("audited", {}).get("reading") == reading
    return notice or entry["index"] in own


def _gather(client: Client, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str, bool]:
    """Return the results, the searched log's origin, and whether these are all results.

    Requests after the first have no entry, and no cursor in their answers.
    """
    limit = int(query.get("limit", _USUAL))
    found: list[dict[str, Any]] = []
    origin = ""
    asked = {**query, "limit": min(limit, _AT_ONCE)}
    while True:
        data = _ask(client, _SEARCH, asked, set())
        found = [*data["entries"], *found] if "newest" in query else [*found, *data["entries"]]
        origin = origin or data["cursor"].rpartition("@")[0]
        left = limit - len(found)
        if data["next"] is None or left <= 0:
            return found, origin, data["next"] is None
        asked = {
            "reading": data["reading"], "next": data["next"], "limit": min(left, _AT_ONCE),
        }  # fmt: skip


def _ask(client: Client, path: str, query: dict[str, Any], own: set[int]) -> dict[str, Any]:
    """Return the data of an answer; add the index of its own entry to own."""
    reply = client.send("GET", path, query=query)
    # origin/index/leaf hash; the hash may contain slashes too.
    index = reply.receipt.partition("/")[2].partition("/")[0]
    if index.isdigit():
        own.add(int(index))
    document = client.present(reply, "GET", path) or {}
    data: dict[str, Any] = document["data"]
    return data


def _print(terminal: Terminal, entries: Iterable[dict[str, Any]]) -> None:
    for entry in entries:
        if terminal.structured:
            render.line(terminal, entry)
        elif _tells(entry):
            terminal.say("  ".join(cell or "-" for cell in _row(entry)))


def _tells(entry: dict[str, Any]) -> bool:
    return entry["kind"] not in _BOOKKEEPING


def _row(entry: dict[str, Any]) -> list[str]:
    """Return the cells of an entry."""
    seconds, rest = divmod(entry["time_ns"], SECOND_NS)
    moment = datetime.fromtimestamp(seconds, UTC)
    names = ("kind", "outcome", "op", "path", "name", "remote")
    cells = [str(entry.get(name, "ok" if name == "outcome" else "")) for name in names]
    return [str(entry["index"]), f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z", *cells]


def _searching(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--path", metavar="PATH", help="entries at a path, or below a folder: secret/data/")
    add("--entity", metavar="NAME", help="entries of a person: name, login name or entity id")
    add("--device", metavar="NAME", help="entries of a device: name or id")
    add("--secret", metavar="PATH", help="reads and changes of a KV secret: secret/app/db")
    add("--accessor", metavar="ACCESSOR", help="entries of one token, with its login and end")
    add(
        "--op", metavar="NAME", help="read, list, create, update, patch, delete, or a notice: epoch"
    )
    add("--outcome", metavar="CODE", help="ok, permission_denied, …")
    add("--since", metavar="TIME", help="from this time: RFC 3339, or a duration ago (1h)")
    add("--until", metavar="TIME", help="before this time, in the same forms")
    add("--first", metavar="INDEX", type=int, help="start at this entry")
    add("--limit", metavar="N", type=int, help="at most this many entries (100)")
    add("--newest", action="store_true", help="the newest matches instead of the oldest")


def _tailing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--n", dest="number", metavar="N", type=int, default=20, help="number of entries (20)"
    )
    parser.add_argument("--f", dest="follow", action="store_true", help="follow new entries")
    parser.add_argument(
        "--cursor", metavar="LOG@INDEX", help="follow from this entry on, instead of the newest"
    )


AUDIT: Final = Group(
    "The audit journal",
    {
        "tail": Command(
            "Print the newest entries, and with -f those that come.", _tail, "",
            "  $ ironkeep audit tail -f", _tailing,
        ),
        "search": Command(
            "Find entries that match all given conditions.", _search, "",
            "  $ ironkeep audit search -entity=alice -since=24h\n"
            "  $ ironkeep audit search -secret=secret/app/db -newest\n"
            "  $ ironkeep audit search -path=secret/ -outcome=permission_denied -since=24h",
            _searching,
        ),
        "proof": audit_proof.PROOF,
        "verify": audit_verify.VERIFY,
    },
)  # fmt: skip
