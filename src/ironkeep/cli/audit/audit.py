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
from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.fields import duration

_SEARCH: Final = "sys/audit/log/search"
_POLL_SECONDS: Final = 1.0
_AT_ONCE: Final = 1_000
"""Entries in one answer: the server's limit."""
_USUAL: Final = 100
"""Entries shown of a search without -limit."""

_HEADERS: Final = ("Index", "Time", "Kind", "Outcome", "Op", "Path", "Name", "Remote")
_BOOKKEEPING: Final = frozenset({"commit", "tick"})
"""Kinds about the store, not about a client's action; only JSON and YAML output show them."""


def _search(context: Context) -> int:
    args, terminal = context.args, context.terminal
    now_ns = time.time_ns()
    query: dict[str, Any] = {
        "path": args.path,
        "entity": args.entity,
        "accessor": args.accessor,
        "op": args.op,
        "outcome": args.outcome,
        "since_ns": instant_of(args.since, now_ns),
        "until_ns": instant_of(args.until, now_ns),
        "first": args.first,
        "limit": args.limit,
        "newest": "true" if args.newest else None,
    }
    found = _gather(connect(context), {key: value for key, value in query.items() if value})
    if terminal.structured:
        return render.as_json(terminal, found)
    render.table(terminal, _HEADERS, [_row(entry) for entry in found if _tells(entry)])
    return OK


def _tail(context: Context) -> int:
    args, terminal = context.args, context.terminal
    client = connect(context)
    found, size, own = _ask(client, {"newest": "true", "limit": args.number})
    _print(terminal, found)
    while args.follow:
        time.sleep(_POLL_SECONDS)
        asked = {"first": size, "limit": _AT_ONCE}
        # Each search is journalled too: without the receipts we would list our own searches.
        mine = own
        found, end, own = _ask(client, asked)
        size = found[-1]["index"] + 1 if len(found) == _AT_ONCE else end
        _print(terminal, [entry for entry in found if entry["index"] != mine])
    return OK


def _gather(client: Client, query: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all results, with several requests: each searches only a part of the journal."""
    limit = int(query.get("limit", _USUAL))
    found: list[dict[str, Any]] = []
    while True:
        asked = {**query, "limit": min(limit - len(found), _AT_ONCE)}
        data = (client.send("GET", _SEARCH, query=asked).document or {})["data"]
        newest = "newest" in query
        found = [*data["entries"], *found] if newest else [*found, *data["entries"]]
        if data["next"] is None or len(found) >= limit:
            return found
        query = {**query, "last" if newest else "first": data["next"]}


def _ask(client: Client, query: dict[str, Any]) -> tuple[list[dict[str, Any]], int, int]:
    """Return the entries found, the journal's size, and the index of this search's audit entry."""
    reply = client.send("GET", _SEARCH, query=query)
    data = (reply.document or {})["data"]
    # origin/index/leaf hash; the hash may contain slashes too.
    index = reply.receipt.partition("/")[2].partition("/")[0]
    return data["entries"], data["size"], int(index) if index.isdigit() else -1


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


def instant_of(text: str | None, now_ns: int) -> int:
    """Return an RFC 3339 time, or a duration before now_ns, in POSIX nanoseconds; 0 for None."""
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now_ns - duration(text) * SECOND_NS
    if moment.tzinfo is None:
        raise InvalidRequest("a time needs its zone: 2026-11-24T08:00:00Z")
    return int(moment.timestamp()) * SECOND_NS + moment.microsecond * 1_000


def _searching(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--path", metavar="PREFIX", help="entries whose path starts with this")
    add("--entity", metavar="ID", help="entries of one entity")
    add("--accessor", metavar="ACCESSOR", help="entries of one token")
    add("--op", metavar="NAME", help="read, list, create, update, patch, delete")
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


AUDIT: Final = Group(
    "The audit journal",
    {
        "tail": Command(
            "Print the newest entries.", _tail, "", "  $ ironkeep audit tail -f", _tailing
        ),
        "search": Command(
            "Find entries that match all given conditions.", _search, "",
            "  $ ironkeep audit search -path=secret/ -outcome=permission_denied -since=24h",
            _searching,
        ),
        "proof": audit_proof.PROOF,
        "verify": audit_verify.VERIFY,
    },
)  # fmt: skip
