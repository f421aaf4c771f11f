"""The terms of an entry: the facts by which the index finds it.

    actor    person:<entity>, session:<accessor>, device:<id>
             login:<mount>/<user>, role:<mount>/<role>
             behind:<entity>                     a person who handed out the token that was used
    object   secret:<mount>/<record path>        every secret that the entry released
             secret:<mount>/<record path>@<n>    and the version of it
    thing    session:<accessor>                  a token that the entry issued, used or looked up,
             person:<entity>, device:<id>        or that set up what its login relied on; a person
                                                 whose factor it set
             secret-id:<accessor>, lease:<id>, mount:<uuid>, device:<id>, credential:<id>
             case:<id>, request:<id>             the case of a record; the request of an effect
             person:…, session:…, secret:…@…     a node that an incident record is about
    kind     see Kind
    path     an API path, and each of its folders ("secret/data/")

A term is what ‖ value as text. The index stores a keyed digest of it (`index.key`), so a reader of
the public log learns no names. Entries of changes to users, roles, policies and mounts are found by
their path, and so are writes of secrets: the record path in `wrote` has no term.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from ironkeep.core.event import (
    CLOCK_BACK,
    CLOCK_SET,
    CLOCK_STEP,
    FACTOR_OF,
    HANDED_OUT,
    MADE_BY,
    Entry,
    Value,
)
from ironkeep.core.evidence.activity import CHANGES
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.evidence.records import TAG

MAX_FOLDERS: Final = 8
"""Folders of a path that have a term: deeper ones are found through these."""

ACCESS: Final = ("sys/", "auth/", "identity/", "incident/", "device/", "approval/", "segment/")
"""Changes under these paths change access or evidence; each is of the kind ACCESS_CHANGE."""

_CLOCK: Final = frozenset({CLOCK_STEP, CLOCK_SET, CLOCK_BACK})

_OF_STRANGERS: Final = frozenset({"", "login", "open"})

_THINGS: Final = (
    ("accessor", "session"), ("secret_id_accessor", "secret-id"), ("lease_id", "lease"),
    ("mount_uuid", "mount"), ("device", "device"), ("credential", "credential"),
)  # fmt: skip
"""Fields of `audited` that name a thing, and the kind of thing."""

_NAMES: Final = (("username", "login"), ("role", "role"), ("role_name", "role"))
"""Fields of `audited` with a name at the entry's mount, and the kind of name."""

_BEHIND: Final = "behind"
"""The field with the entities behind a token that belongs to nobody (plugin/entries.py)."""

_OF_RECORDS: Final = ("principal", "version", "source", "target")
"""Fields of an incident record that hold one node."""

_MANY_OF_RECORDS: Final = ("subjects", "targets")
"""Fields of an incident record that hold a list of nodes."""


class What(StrEnum):
    """The part of an entry that a term describes."""

    # Terms are keys of large tables: the hash of Enum would be a call in Python for each look-up.
    __hash__ = str.__hash__

    ACTOR = "actor"
    OBJECT = "object"
    THING = "thing"
    KIND = "kind"
    PATH = "path"
    RUN = "run"
    """Facts about a run of leaves, in the form of terms: no entry has one."""


class Kind(StrEnum):
    """Kinds of entries that are rare enough to be found by their kind alone.

    An entry that is no request is also found under its own kind ("start", "commit", "effect" ...).
    """

    RECORD = "record"
    """An incident record."""
    ACCESS_CHANGE = "access-change"
    """A granted change under one of the paths in ACCESS; logins excepted."""
    NOBODY = "nobody"
    """A granted request without an actor that released or changed something, or gave out a token,
    and a login that relied on makers whose names are lost."""
    REFUSED = "refused"
    """A request that ended in an error."""
    CLOCK = "clock"
    """A notice of a step of the clock."""


class Term(NamedTuple):
    """One term."""

    what: What
    value: str


UNREAD: Final = Term(What.RUN, "unread")
"""Stands for the entries that no reading key of the log opens: those before its first key."""

INDEX_LEAVES: Final = Term(What.RUN, "index leaves")
"""Stands for the index leaves of earlier runs that lie within a run."""

KEY_LEAVES: Final = Term(What.RUN, "key leaves")
"""Stands for the leaves with run keys."""

TIMES: Final = Term(What.RUN, "times")
"""Stands for the earliest and the latest time in a run; its chunks are not positions."""


def actor(node: NodeId) -> Term:
    """Return the term of an actor: a person, a session or a device."""
    return Term(What.ACTOR, node)


def secret(mount: str, path: str) -> Term:
    """Return the term of a secret, in all its versions, by mount uuid and record path."""
    return Term(What.OBJECT, f"secret:{mount}/{path}")


def release(mount: str, path: str, version: int) -> Term:
    """Return the term of one version of a secret, by mount uuid and record path."""
    return Term(What.OBJECT, f"secret:{mount}/{path}@{version}")


def thing(node: NodeId) -> Term:
    """Return the term of a thing that entries issued, used or looked up, such as a session."""
    return Term(What.THING, node)


def kind(name: str) -> Term:
    """Return the term of a kind: one of Kind, or the kind of an entry that is no request."""
    return Term(What.KIND, name)


class Shown(msgspec.Struct, frozen=True):
    """The mount, the record path and the number of a released secret version."""

    mount: str
    path: str
    version: int = 0


class Facts(msgspec.Struct, frozen=True):
    """The fields of an entry from which its terms follow.

    Building an index decodes these alone: the fields are named and typed as in Entry.
    """

    kind: str
    time_ns: int
    parent: str = ""
    op: str = ""
    path: str = ""
    mount: str = ""
    entity: str = ""
    accessor: str = ""
    device: str = ""
    rule: str = ""
    outcome: str = "ok"
    released: tuple[Shown, ...] = ()
    issued: str = ""
    audited: dict[str, Value] = {}


def terms_of(entry: Entry | Facts) -> Iterator[Term]:
    """Yield the terms of an entry; the same term may come twice."""
    yield from actor_terms(entry.entity, entry.accessor, entry.device)
    for released in entry.released:
        yield secret(released.mount, released.path)
        yield release(released.mount, released.path, released.version)
    yield from path_terms(entry.path)
    if not is_plain(entry):
        yield from rare_terms(entry)


def actor_terms(entity: str, accessor: str, device: str) -> Iterator[Term]:
    """Yield the terms of the actors that an entry names; "" stands for an unknown one."""
    if entity:
        yield Term(What.ACTOR, f"person:{entity}")
    if accessor:
        yield Term(What.ACTOR, f"session:{accessor}")
    if device:
        yield Term(What.ACTOR, f"device:{device}")


def path_terms(path: str) -> Iterator[Term]:
    """Yield the terms of an API path: itself, and its first MAX_FOLDERS folders."""
    if not path:
        return
    yield Term(What.PATH, path)
    end = 0
    for _ in range(MAX_FOLDERS):
        end = path.find("/", end) + 1
        if not end or end == len(path):
            return
        yield Term(What.PATH, path[:end])


def is_plain(entry: Entry | Facts) -> bool:
    """Return whether an entry is an ordinary read of a known actor: it has no rare terms."""
    return (
        entry.kind == "request"
        and entry.outcome == "ok"
        and not entry.audited
        and not entry.issued
        and not entry.parent
        and entry.op not in CHANGES
        and bool(entry.entity or entry.accessor or entry.device)
    )


def rare_terms(entry: Entry | Facts) -> Iterator[Term]:
    """Yield the terms of an entry that do not follow from its actors, releases and path."""
    if entry.issued:
        yield Term(What.THING, f"session:{entry.issued}")
    if entry.parent:
        yield Term(What.THING, f"request:{entry.parent}")
    for field, thing in _THINGS:
        name = entry.audited.get(field)
        if isinstance(name, str) and name:
            yield Term(What.THING, f"{thing}:{name}")
    for field, kind_of_name in _NAMES:
        name = entry.audited.get(field)
        if isinstance(name, str) and name:
            yield Term(What.ACTOR, f"{kind_of_name}:{entry.mount}/{name}")
    people = entry.audited.get(_BEHIND)
    if isinstance(people, list):
        yield from (Term(What.ACTOR, f"behind:{entity}") for entity in people if entity)
    if TAG in entry.audited:
        yield from _record_terms(entry)
    yield from _making_terms(entry)
    yield from _kinds(entry)


def _making_terms(entry: Entry | Facts) -> Iterator[Term]:
    """Yield the makers of what a login relied on, and the person whose factor a request set."""
    makers = entry.audited.get(MADE_BY)
    for text in makers if isinstance(makers, list) else ():
        kind_of_maker, _, rest = text.partition("/")
        if text.startswith("@"):
            yield kind(Kind.NOBODY)
        else:
            yield Term(What.THING, f"{kind_of_maker}:{rest.partition('@')[0]}")
    person = entry.audited.get(FACTOR_OF)
    if isinstance(person, str) and person:
        yield Term(What.THING, f"person:{person}")


def _record_terms(entry: Entry | Facts) -> Iterator[Term]:
    """Yield the terms of an incident record: its case, and the nodes that it is about."""
    yield kind(Kind.RECORD)
    case = entry.audited.get("case")
    if isinstance(case, str) and case:
        yield Term(What.THING, f"case:{case}")
    for field in _OF_RECORDS:
        node = entry.audited.get(field)
        if isinstance(node, str) and node:
            yield Term(What.THING, node)
    for field in _MANY_OF_RECORDS:
        nodes = entry.audited.get(field)
        if isinstance(nodes, list):
            yield from (Term(What.THING, node) for node in nodes if node)


def _kinds(entry: Entry | Facts) -> Iterator[Term]:
    if entry.kind != "request":
        yield kind(entry.kind)
        if entry.kind == "notice" and entry.op in _CLOCK:
            yield kind(Kind.CLOCK)
        return
    if entry.outcome != "ok":
        if entry.outcome != "pending":
            yield kind(Kind.REFUSED)
        return
    changed = entry.op in CHANGES
    if changed and entry.path.startswith(ACCESS) and entry.rule != "login":
        yield kind(Kind.ACCESS_CHANGE)
    known = entry.entity or entry.accessor or entry.device
    # By a field that older entries do not have: their index leaves stand as they are.
    handed = entry.issued and entry.audited.get(HANDED_OUT) is True
    if not known and (entry.released or handed or (changed and entry.rule not in _OF_STRANGERS)):
        yield kind(Kind.NOBODY)
