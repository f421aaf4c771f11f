"""The secrets that one session was given, and the later writes of them."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ironkeep.core.event import Entry, encode
from ironkeep.core.evidence.node import NodeId
from ironkeep.index.terms import Term, What, actor
from ironkeep.journal.questions import STRETCH, Context, Steps, stretches

_INDEXED: Final = 4 * STRETCH
"""Leaves that one step covers: the index names the entries to open."""


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session by its accessor, and the first position at which it can have acted.

    `writes` has, by mount uuid, the prefixes of the API paths at which a secret's new value is
    written: prefix ‖ record path.
    """

    accessor: str
    first: int
    writes: dict[str, tuple[str, ...]]


def session(context: Context, about: Mapping[str, Any]) -> Steps:
    """Answer a Session with its entries and the writes: a list of (position, entry), in order."""
    asked = msgspec.convert(about, Session)
    found = yield from _found(context, {actor(NodeId(f"session:{asked.accessor}"))}, asked.first)
    written = {
        Term(What.PATH, prefix + released.path)
        for entry in found.values()
        for released in entry.released
        for prefix in asked.writes.get(released.mount, ())
    }
    found |= yield from _found(context, written, asked.first)
    return [[index, encode(entry)] for index, entry in sorted(found.items())]


def _found(context: Context, terms: set[Term], first: int) -> Steps:
    found: dict[int, Entry] = {}
    for start, stop in stretches(first, context.log.size if terms else first, width=_INDEXED):
        found.update(context.index.find(terms, start, stop))
        yield
    return found
