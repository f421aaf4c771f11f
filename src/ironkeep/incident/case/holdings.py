"""The tokens of a principal, past and present: stored ones, and those that only the journal knows.

A stored token's policies come from its record. For a token that is gone they come from the journal:
from the answer that issued it and from the rules that decided its requests.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import Act
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, name_of, node
from ironkeep.core.ids import DeviceId, EntityId, TokenHash
from ironkeep.identity.token_store import StoredToken
from ironkeep.kernel.house import House
from ironkeep.plugin.effects.effects import Steps, Turn, pause

IN_A_TURN: Final = 64
"""Token rows read in one turn, which takes a few milliseconds."""

ACTS_IN_A_TURN: Final = 1_024
"""Acts of a principal looked at in one turn, which takes a millisecond or two."""


@dataclass(slots=True)
class Holdings:
    """The stored tokens by accessor, all accessors on record, and the policies of all of them."""

    stored: dict[str, tuple[TokenHash, StoredToken]] = field(default_factory=dict)
    accessors: dict[str, None] = field(default_factory=dict)
    policies: set[str] = field(default_factory=set)


def holdings(house: House, file: CaseFile, principal: NodeId, turn: Turn) -> Steps[Holdings]:
    """Return all tokens of a person, session or device, with everything that they made.

    The turn in which it begins must not have written anything.
    """
    found = Holdings()
    yield from _from_journal(file, principal, found)
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
            found.stored[record.accessor] = hash_, record
            found.accessors[record.accessor] = None
            found.policies.update(record.policies)
        if len(done) % IN_A_TURN == 0:
            turn = yield from pause()
    return turn


def sessions_on_record(file: CaseFile, principal: NodeId) -> Steps[dict[str, None]]:
    """Return the accessors of a principal's tokens that the journal knows, with those they made.

    The turn in which it begins must not have written anything.
    """
    found = Holdings()
    yield from _from_journal(file, principal, found)
    return found.accessors


def _from_journal(file: CaseFile, principal: NodeId, found: Holdings) -> Steps[None]:
    """Add the tokens that acts and earlier containments name, with their policies."""
    known = found.accessors
    known.update(dict.fromkeys(_contained(file, principal)))
    if kind_of(principal) is NodeKind.SESSION:
        known[name_of(principal)] = None
    pending = [principal, *(node(NodeKind.SESSION, each) for each in known)]
    done: set[NodeId] = set()
    looked_at = 0
    while pending:
        actor = pending.pop()
        if actor in done:
            continue
        done.add(actor)
        for act in file.activity.issues_of(actor):
            found.policies.update(_issued(act.entry.audited.get("token_policies")))
        for act in file.activity.by(actor):
            looked_at += 1
            if looked_at % ACTS_IN_A_TURN == 0:
                yield from pause()
            found.policies.update(_named(act))
            for accessor in (act.entry.accessor, act.entry.issued):
                if accessor and accessor not in known:
                    known[accessor] = None
                    pending.append(node(NodeKind.SESSION, accessor))


def _contained(file: CaseFile, principal: NodeId) -> Iterable[str]:
    """Yield the sessions that earlier containments ended; their survey may be incomplete."""
    for filed in file.filed(ev.Contained):
        if filed.record.principal == principal:
            yield from (*filed.record.sessions, *filed.record.gone)


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


def _named(act: Act) -> set[str]:
    """Return the policy named in the rule that decided a request, or an empty set."""
    rule = act.entry.rule.partition(" ")[0].partition(":")[0]
    return {rule} if rule else set()


def _issued(value: Any) -> list[str]:
    return value if isinstance(value, list) else []
