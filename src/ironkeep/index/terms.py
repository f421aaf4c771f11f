"""The terms of an entry: the facts by which the index finds it.

    actor    person:<entity>, session:<accessor>, device:<id>, login:<mount>/<name>
    object   secret:<mount>/<record path>        every secret that the entry released
    thing    session:<accessor>                  a token that the entry issued or looked up
    kind     see Kind
    path     an API path, and each of its folders ("secret/data/")

A term is what ‖ value as text. The index stores a keyed digest of it (`index.key`), so a reader of
the public log learns no names.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from ironkeep.core.event import Entry
from ironkeep.core.evidence.activity import CHANGES, actors_of
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.evidence.records import TAG

MAX_FOLDERS: Final = 8
"""Folders of a path that have a term: deeper ones are found through these."""

ACCESS: Final = ("sys/", "auth/", "identity/", "incident/", "device/", "approval/", "segment/")
"""Changes under these paths change access or evidence; each is of the kind ACCESS_CHANGE."""

_OF_STRANGERS: Final = frozenset({"", "login", "open"})


class What(StrEnum):
    """The part of an entry that a term describes."""

    ACTOR = "actor"
    OBJECT = "object"
    THING = "thing"
    KIND = "kind"
    PATH = "path"


class Kind(StrEnum):
    """Kinds of entries that are rare enough to be found by their kind alone.

    An entry that is no request is also found under its own kind ("start", "commit", "effect" ...).
    """

    RECORD = "record"
    """An incident record."""
    ACCESS_CHANGE = "access-change"
    """A granted change under one of the paths in ACCESS."""
    NOBODY = "nobody"
    """A granted request without an actor that released or changed something."""
    REFUSED = "refused"
    """A request that ended in an error."""


class Term(NamedTuple):
    """One term."""

    what: What
    value: str


def actor(node: NodeId) -> Term:
    """Return the term of an actor: a person, a session or a device."""
    return Term(What.ACTOR, node)


def secret(mount: str, path: str) -> Term:
    """Return the term of a secret, in all its versions, by mount uuid and record path."""
    return Term(What.OBJECT, f"secret:{mount}/{path}")


def kind(name: str) -> Term:
    """Return the term of a kind: one of Kind, or the kind of an entry that is no request."""
    return Term(What.KIND, name)


def terms_of(entry: Entry) -> Iterator[Term]:
    """Yield the terms of an entry; the same term may come twice."""
    for each in actors_of(entry):
        yield Term(What.ACTOR, each)
    for released in entry.released:
        yield secret(released.mount, released.path)
    if entry.issued:
        yield Term(What.THING, f"session:{entry.issued}")
    accessor = entry.audited.get("accessor")
    if isinstance(accessor, str) and accessor:
        yield Term(What.THING, f"session:{accessor}")
    name = entry.audited.get("username")
    if isinstance(name, str) and name:
        yield Term(What.ACTOR, f"login:{entry.mount}/{name}")
    yield from _kinds(entry)
    yield from _paths(entry.path)


def _kinds(entry: Entry) -> Iterator[Term]:
    if TAG in entry.audited:
        yield kind(Kind.RECORD)
    if entry.kind != "request":
        yield kind(entry.kind)
        return
    if entry.outcome != "ok":
        if entry.outcome != "pending":
            yield kind(Kind.REFUSED)
        return
    changed = entry.op in CHANGES
    if changed and entry.path.startswith(ACCESS):
        yield kind(Kind.ACCESS_CHANGE)
    known = entry.entity or entry.accessor or entry.device
    if not known and (entry.released or (changed and entry.rule not in _OF_STRANGERS)):
        yield kind(Kind.NOBODY)


def _paths(path: str) -> Iterator[Term]:
    if not path:
        return
    yield Term(What.PATH, path)
    end = 0
    for _ in range(MAX_FOLDERS):
        end = path.find("/", end) + 1
        if not end or end == len(path):
            return
        yield Term(What.PATH, path[:end])
