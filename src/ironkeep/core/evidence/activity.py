"""The granted requests of people, sessions and devices, read from the journal's entries."""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from heapq import merge
from typing import Final, NamedTuple

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.event import FACTOR_OF, HANDED_OUT, MADE_BY, PRESENTED, WROTE, Entry
from ironkeep.core.evidence.node import NodeId, NodeKind, node, secret_version
from ironkeep.core.evidence.reach import FOREVER, Edge, EdgeKind
from ironkeep.core.operation import Operation

CHANGES: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.PATCH, Operation.DELETE})

_Asked = tuple[str, tuple[NodeId, ...]]
_ENROL: Final = "device/enrol/"
_NUMBER: Final = re.compile(r"[0-9]{1,18}")

MAKERS: Final = {
    "session": NodeKind.SESSION, "person": NodeKind.PERSON, "device": NodeKind.DEVICE,
}  # fmt: skip
"""The origins (identity/people.py) that are principals, by the kind in their names."""


class Act(msgspec.Struct, frozen=True, gc=False):
    """One granted request with its actors: person, session and device, as far as known."""

    index: int
    entry: Entry
    actors: tuple[NodeId, ...]


class Read(msgspec.Struct, frozen=True, gc=False):
    """One secret version that a request released from the vault."""

    act: Act
    version: NodeId


class Deed(msgspec.Struct, frozen=True, gc=False):
    """A request that may have changed something, by its last entry, and the error in its end.

    `error` is None if it is not known to have ended.
    """

    act: Act
    error: Act | None


class Maker(NamedTuple):
    """A maker of what a login relied on: its last act, and the last write of what it acted on.

    `node` is None for makers whose names are lost (identity/people.py). Times are POSIX ns.
    """

    node: NodeId | None
    acted_ns: int
    written_ns: int


class Activity:
    """The granted requests of a log, taken in its order, and the deeds that may not be finished."""

    def __init__(self) -> None:
        self.all: Final[list[Act]] = []
        self.reads: Final[list[Read]] = []
        self.logins: Final[list[tuple[Act, tuple[Maker, ...]]]] = []
        """The acts that let somebody in by what others had set up, with the makers of that."""
        self.factors: Final[dict[NodeId, list[Act]]] = {}
        """The acts that set, or invited to set, or removed a factor of a person."""
        self.enrolments: Final[list[tuple[Act, NodeId]]] = []
        """The acts that brought a device, which has its key from whoever acted."""
        self.writes: Final[list[tuple[Act, NodeId]]] = []
        """The acts that stored a version of a secret: whoever acted knows its value."""
        self._issued: Final[dict[NodeId, list[Act]]] = {}
        self._reads_of: Final[dict[NodeId, list[Read]]] = {}
        self._by: Final[dict[NodeId, list[Act]]] = {}
        self._by_nobody: Final[list[Act]] = []
        # By request and actors: the closed entries of a log have all of an actor's (index/closure).
        self._begun: Final[dict[_Asked, list[Act]]] = {}
        self._errors: Final[dict[_Asked, Act]] = {}
        self._done: Final[set[_Asked]] = set()

    def take(self, index: int, entry: Entry) -> list[Read]:
        """Add a request and return the reads in it.

        A request that was refused changed nothing, unless an entry of it says that it was pending.
        """
        if entry.kind != "request":
            return []
        act = Act(index, entry, actors_of(entry))
        if entry.outcome != "ok":
            self._take_deed(act)
            return []
        self._done.add((entry.request, act.actors))
        self.all.append(act)
        if entry.issued:
            self._issued.setdefault(node(NodeKind.SESSION, entry.issued), []).append(act)
        for actor in act.actors:
            self._by.setdefault(actor, []).append(act)
        if not act.actors:
            self._by_nobody.append(act)
        if entry.audited:
            self._take_making(act)
        reads = [
            Read(act, secret_version(each.mount, each.path, each.version))
            for each in entry.released
        ]
        self.reads.extend(reads)
        for read in reads:
            self._reads_of.setdefault(read.version, []).append(read)
        return reads

    def _take_deed(self, act: Act) -> None:
        """Keep a request that began to change something, and the error in which one ended."""
        asked = (act.entry.request, act.actors)
        if not act.actors:
            return
        if act.entry.outcome != "pending":
            self._errors[asked] = act
        elif act.entry.op in CHANGES or act.entry.op == Operation.READ:
            self._begun.setdefault(asked, []).append(act)

    @cached_property
    def deeds(self) -> list[Deed]:
        """The requests that began to change something and are not known to have ended well.

        The vault keeps what a request wrote before it waited for another system, and that system
        keeps what it was told, whatever the answer was. A `pending` entry comes before each such
        wait. Each is given by its last entry of that kind, in the order of the log.
        """
        found = (
            Deed(acts[-1], self._errors.get(asked))
            for asked, acts in self._begun.items()
            if asked not in self._done
        )
        return sorted(found, key=lambda deed: deed.act.index)

    @cached_property
    def _deeds_of(self) -> dict[NodeId, list[Act]]:
        found: dict[NodeId, list[Act]] = {}
        for deed in self.deeds:
            for actor in deed.act.actors:
                found.setdefault(actor, []).append(deed.act)
        return found

    def _take_making(self, act: Act) -> None:
        makers = tuple(makers_of(act.entry))
        if makers:
            self.logins.append((act, makers))
        person = act.entry.audited.get(FACTOR_OF)
        if isinstance(person, str) and person:
            self.factors.setdefault(node(NodeKind.PERSON, person), []).append(act)
        device = act.entry.audited.get("device")
        if act.entry.path.startswith(_ENROL) and isinstance(device, str) and device:
            self.enrolments.append((act, node(NodeKind.DEVICE, device)))
        version = written_by(act.entry)
        if version is not None:
            self.writes.append((act, version))

    def reads_of(self, version: NodeId) -> list[Read]:
        """Return the reads of one version, in order."""
        return self._reads_of.get(version, [])

    def by_nobody(self) -> list[Act]:
        """Return the acts without a known actor.

        These are requests with a batch token of no person, and unauthenticated ones. Logins are
        among them in logs of earlier versions only: now their entries name the person, and there
        the use of the session that a login made shows it.
        """
        return self._by_nobody

    def issued(self, session: NodeId) -> bool:
        """Return whether a session was created within the log."""
        return session in self._issued

    def issues_of(self, session: NodeId) -> list[Act]:
        """Return the acts that returned a session: the first created it, later ones renewed it."""
        return self._issued.get(session, [])

    def by(self, actor: NodeId) -> list[Act]:
        """Return the acts of an actor, in order."""
        return self._by.get(actor, [])

    def acted_in(self, actor: NodeId, after: int, before: int | None) -> Act | None:
        """Return an actor's last act or unfinished deed between two entries.

        `before` None means the log's end.
        """
        both = (reversed(self.by(actor)), reversed(self._deeds_of.get(actor, [])))
        for act in merge(*both, key=lambda each: each.index, reverse=True):
            if act.index <= after:
                return None
            if before is None or act.index < before:
                return act
        return None

    def edges(self) -> Iterator[Edge]:
        """Yield an edge for each read and for each holder of a session."""
        for read in self.reads:
            time_ns = read.act.entry.time_ns
            evidence = f"entry {read.act.index}"
            for actor in read.act.actors:
                kind = EdgeKind.DID_READ
                yield Edge(actor, kind, read.version, time_ns, time_ns + 1, evidence)
        yield from self._sessions()

    def _sessions(self) -> Iterator[Edge]:
        """Yield an edge from each holder of a session, and from a token to those it created."""
        seen: set[tuple[NodeId, NodeId]] = set()
        for act in self.all:
            for holder, session in _holdings(act):
                # A session not created within the log is older than all of it.
                issues = self._issued.get(session)
                from_ns = issues[0].entry.time_ns if issues else 0
                if (holder, session) not in seen:
                    seen.add((holder, session))
                    evidence = f"entry {act.index}"
                    yield Edge(holder, EdgeKind.HOLDS, session, from_ns, FOREVER, evidence)


def actors_of(entry: Entry) -> tuple[NodeId, ...]:
    """Return the actors of a request: person, session and device, as far as known."""
    named = (
        (NodeKind.PERSON, entry.entity),
        (NodeKind.SESSION, entry.accessor),
        (NodeKind.DEVICE, entry.device),
    )
    return tuple(node(kind, name) for kind, name in named if name)


def is_handed_out(entry: Entry) -> bool:
    """Return whether a request without an actor gave out a token: anybody may have it."""
    handed = bool(entry.issued) and entry.audited.get(HANDED_OUT) is True
    return handed and not actors_of(entry)


def written_by(entry: Entry) -> NodeId | None:
    """Return the version that a request stored; raise InvalidRequest if it is malformed."""
    wrote = entry.audited.get(WROTE)
    if not isinstance(wrote, str):
        return None
    path, _, number = wrote.rpartition("@")
    if not (path and _NUMBER.fullmatch(number)):
        raise InvalidRequest(f"not a version of a secret: {wrote[:80]!r}")
    return secret_version(entry.mount, path, int(number))


def makers_of(entry: Entry) -> Iterator[Maker]:
    """Yield the makers that the entry of a login names; raise InvalidRequest if one is malformed.

    See identity/people.py for the form.
    """
    given = entry.audited.get(MADE_BY)
    for text in given if isinstance(given, list) else ():
        name, acted, written = text.rsplit("@", 2) if text.count("@") > 1 else (text, "", "")
        kind, _, rest = name.partition("/")
        if not (acted.isdecimal() and written.isdecimal() and (not name or kind in MAKERS)):
            raise InvalidRequest(f"not a maker: {text[:80]!r}")
        yield Maker(node(MAKERS[kind], rest) if name else None, int(acted), int(written))


def _holdings(act: Act) -> Iterable[tuple[NodeId, NodeId]]:
    """Yield the (holder, session) pairs that one act shows."""
    entry = act.entry
    if entry.accessor:
        own = node(NodeKind.SESSION, entry.accessor)
        yield from ((actor, own) for actor in act.actors if actor != own)
    presented = entry.audited.get(PRESENTED)
    for accessor in (entry.issued, presented):
        if isinstance(accessor, str) and accessor:
            other = node(NodeKind.SESSION, accessor)
            # A session that renews itself gains nothing, least of all a hold that outlasts it.
            yield from ((actor, other) for actor in act.actors if actor != other)
