"""The tokens of a principal, past and present: stored ones, and those that only the journal knows.

A stored token's policies come from its record. For a token that is gone they come from the entry
of the answer that issued it, also one from before the window; failing that, the policies that its
requests show are taken, and the token is named as one of which more is not known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, name_of, node
from ironkeep.core.ids import DeviceId, EntityId, TokenHash
from ironkeep.identity.token_store import StoredToken
from ironkeep.incident.evidence.brief import Brief, Grant
from ironkeep.kernel.house import House
from ironkeep.plugin.effects.effects import Steps, Turn, pause

IN_A_TURN: Final = 64
"""Token rows read in one turn, which takes a few milliseconds."""

TRAILS_IN_A_TURN: Final = 512
"""Trails of tokens followed in one turn, which takes a millisecond."""


@dataclass(slots=True)
class Holdings:
    """The stored tokens by accessor, all accessors on record, and what the tokens granted.

    `unknown` are tokens that have acted, but whose policies are on no record: `grants` have those
    policies that a rule of theirs named.
    """

    stored: dict[str, tuple[TokenHash, StoredToken]] = field(default_factory=dict)
    accessors: dict[str, None] = field(default_factory=dict)
    grants: set[Grant] = field(default_factory=set)
    unknown: dict[str, None] = field(default_factory=dict)

    def take(self, hash_: TokenHash, record: StoredToken, now_ns: int) -> None:
        """Add a stored token."""
        self.stored[record.accessor] = hash_, record
        self.accessors[record.accessor] = None
        self.unknown.pop(record.accessor, None)
        over = record.expires_ns if 0 < record.expires_ns <= now_ns else 0
        self.grants.add(Grant(record.policies, record.entity, record.issued_ns, over))


def holdings(house: House, brief: Brief, principal: NodeId, turn: Turn) -> Steps[Holdings]:
    """Return all tokens of a person, session or device, with everything that they made.

    The turn in which it begins must not have written anything.
    """
    found = Holdings()
    yield from _from_journal(brief, principal, found)
    turn = yield from pause()
    roots: Iterable[TokenHash] = ()
    if kind_of(principal) is NodeKind.PERSON:
        roots = house.tokens.store.owned(turn.tx, EntityId(name_of(principal)))
    if kind_of(principal) is NodeKind.DEVICE:
        roots, turn = yield from _bound(house, DeviceId(name_of(principal)), turn)
    known, turn = yield from hashes_of(house, tuple(found.accessors), turn)
    yield from descend(house, found, chain(roots, known), turn)
    return found


def hashes_of(
    house: House, accessors: Iterable[str], turn: Turn
) -> Steps[tuple[list[TokenHash], Turn]]:
    """Return the hashes of those tokens that are still stored."""
    found: list[TokenHash] = []
    for number, accessor in enumerate(accessors, start=1):
        hash_ = house.tokens.store.by_accessor(turn.tx, accessor)
        found += [] if hash_ is None else [hash_]
        if number % IN_A_TURN == 0:
            turn = yield from pause()
    return found, turn


def descend(house: House, found: Holdings, roots: Iterable[TokenHash], turn: Turn) -> Steps[Turn]:
    """Add stored tokens with everything below them to the holdings; parents come first."""
    store, done = house.tokens.store, set[TokenHash]()
    pending = [iter(roots)]
    while pending:
        hash_ = next(pending[-1], None)
        if hash_ is None:
            pending.pop()
        if hash_ is None or hash_ in done:
            continue
        done.add(hash_)
        record = store.load(turn.tx, hash_)
        pending.append(store.each_child(turn.tx, hash_))
        if record is not None:
            found.take(hash_, record, turn.now_ns)
        if len(done) % IN_A_TURN == 0:
            turn = yield from pause()
    return turn


def sessions_on_record(brief: Brief, principal: NodeId) -> Steps[dict[str, None]]:
    """Return the accessors of a principal's tokens that the journal knows, with those they made.

    The turn in which it begins must not have written anything.
    """
    found = Holdings()
    yield from _from_journal(brief, principal, found)
    return found.accessors


def _from_journal(brief: Brief, principal: NodeId, found: Holdings) -> Steps[None]:
    """Add the tokens that acts and earlier containments name, with their policies."""
    known = found.accessors
    known.update(dict.fromkeys(brief.standings[principal].ended))
    if kind_of(principal) is NodeKind.SESSION:
        known[name_of(principal)] = None
    pending = [principal, *(node(NodeKind.SESSION, each) for each in known)]
    done: set[NodeId] = set()
    while pending:
        actor = pending.pop()
        if actor in done:
            continue
        done.add(actor)
        trail = brief.trails[actor]
        found.grants.update(trail.grants)
        if kind_of(actor) is NodeKind.SESSION and not trail.is_issued:
            found.unknown[name_of(actor)] = None
        for accessor in trail.tokens:
            if accessor not in known:
                known[accessor] = None
                pending.append(node(NodeKind.SESSION, accessor))
        if len(done) % TRAILS_IN_A_TURN == 0:
            yield from pause()


def _bound(house: House, device: DeviceId, turn: Turn) -> Steps[tuple[list[TokenHash], Turn]]:
    """Return the stored tokens of a device's owner that are bound to the device."""
    record = house.features.devices.get(turn.tx, device)
    if record is None:
        return [], turn
    bound = []
    for number, hash_ in enumerate(house.tokens.store.owned(turn.tx, record.owner), start=1):
        token = house.tokens.store.load(turn.tx, hash_)
        if token is not None and token.device == device:
            bound.append(hash_)
        if number % IN_A_TURN == 0:
            turn = yield from pause()
    return bound, turn
