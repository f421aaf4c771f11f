"""The cut: end all access of a principal, a role, a segment, or of what was active in a window.

    person    tokens of theirs and of all that they made, logins, devices
    device    the device is revoked: no token bound to it works, and no login over it
    session   the token, with everything below it and everything that it made
    role      the role issues nothing more; its tokens and secret ids are void
    segment   it is sealed, and what its auth methods issued is void
    window    every session that acted in it, as a session each

What a session, a role, a device or a segment set up since the start of the case (a window: since
the window began), such as users and secret ids, lets no client in until it is written again.

First everything ends, in one write for each principal however much it has, and that is durable
before anything else happens: the subjects of a case before the journal is even asked (`at_once`),
and what follows from the journal after that (`end`). Then the tokens are listed and their rows and
leases removed, in turns, for the record of it (`clear`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ironkeep.access.segments.rebuild import mounts_of
from ironkeep.core.errors import Conflict
from ironkeep.core.evidence.activity import MAKERS
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, name_of, node
from ironkeep.core.ids import DeviceId, EntityId, TokenHash
from ironkeep.identity.people import acts_of, creator_of
from ironkeep.identity.token_store import (
    SPENT,
    StoredToken,
    device_origin,
    mount_origin,
    role_origin,
    session_origin,
)
from ironkeep.incident.case.naming import Names
from ironkeep.incident.case.workspace import Workspace
from ironkeep.incident.eviction.groups import Role, Window, role_tokens
from ironkeep.incident.survey.holdings import (
    IN_A_TURN,
    Holdings,
    descend,
    hashes_of,
    holdings,
    sessions_on_record,
)
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.effects import Steps, Turn, pause, settled, turn_of

REMOVED_IN_A_TURN: Final = 8
"""Tokens whose rows are removed in one turn: some 0.5 ms each."""

_REASON: Final = "contained in case {case}"
ENDED_IN_A_TURN: Final = 16
"""Tokens ended in one turn: three rows each."""
_OWN: Final = "this would end your own session: use one outside the case"


@dataclass(slots=True)
class Cut:
    """A principal that was cut off, with what it had.

    `since_ns` is the instant up to which its tokens had been ended before, `spent` are the tokens
    that this request ended, and `active` the sessions of a window, which begins at `from_ns`.
    `ended` are the accessors that ended now, `gone` those that had ended before.
    """

    principal: NodeId
    since_ns: int = 0
    from_ns: int = 0
    spent: set[TokenHash] = field(default_factory=set)
    active: dict[str, None] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    held: Holdings = field(default_factory=Holdings)
    leases: int = 0
    devices: list[str] = field(default_factory=list)


Cuts = dict[NodeId, Cut]


def at_once(workspace: Workspace, subjects: Iterable[NodeId]) -> Steps[Cuts]:
    """End the access of subjects as far as that takes no evidence; durable when this returns."""
    turn, cuts, all_of_them = turn_of(workspace.call), Cuts(), tuple(subjects)
    # Before the first turn ends, so that a request that is refused has cut off nobody.
    for subject in all_of_them:
        _require_outside(workspace.call, subject)
        if kind_of(subject) is NodeKind.SESSION:
            _require_not_own(workspace, (name_of(subject),), 0)
    for number, subject in enumerate(all_of_them, start=1):
        cut = cuts[subject] = Cut(subject)
        if kind_of(subject) is NodeKind.SESSION:
            turn = yield from spend(workspace, cut, (name_of(subject),), turn)
        else:
            turn = yield from _end(workspace, cut, set(), turn)
        if number % IN_A_TURN == 0:
            turn = yield from settled()
    yield from settled()
    return cuts


def end(workspace: Workspace, principals: Iterable[NodeId], cuts: Cuts) -> Steps[list[Cut]]:
    """End the access of principals, some of which were cut at once; durable when this returns."""
    turn = yield from pause()
    spent = {each for cut in cuts.values() for each in cut.spent}
    ended = []
    for number, principal in enumerate(principals, start=1):
        cut = cuts.get(principal) or Cut(principal)
        ended.append(cut)
        if principal not in cuts or kind_of(principal) is NodeKind.SESSION:
            turn = yield from _end(workspace, cut, spent, turn)
            spent |= cut.spent
        if number % IN_A_TURN == 0:
            turn = yield from settled()
    for cut in ended:
        # A token may have ended as a subject of its own, and be listed with its person.
        cut.spent = spent
    yield from settled()
    return ended


def _end(workspace: Workspace, cut: Cut, spent: set[TokenHash], turn: Turn) -> Steps[Turn]:
    _require_outside(workspace.call, cut.principal)
    house, name = workspace.house, name_of(cut.principal)
    match kind_of(cut.principal):
        case NodeKind.PERSON:
            _end_person(workspace, cut, EntityId(name), turn)
        case NodeKind.DEVICE:
            _void(workspace, [device_origin(DeviceId(name))], turn)
            _end_device(workspace, cut, DeviceId(name), turn)
        case NodeKind.ROLE:
            role = Role.find(workspace, name)
            _void(workspace, [role_origin(role.mount.accessor, role.name)], turn)
        case NodeKind.SEGMENT:
            segment = house.segments.cut(turn.tx, name, turn.now_ns)
            mounts = mounts_of(workspace.call, segment)
            _void(workspace, [mount_origin(mount.accessor) for mount in mounts], turn)
            for mount in mounts:
                house.sweeps.later(turn.tx, mount.path, turn.now_ns)
        case NodeKind.WINDOW:
            cut.from_ns = Window.parse(name, turn.now_ns).from_ns
            cut.active, turn = yield from _active(workspace, name, turn)
            turn = yield from spend(workspace, cut, cut.active, turn)
        case _:
            on_record = yield from sessions_on_record(workspace.brief, cut.principal)
            turn = yield from pause()
            turn = yield from spend(workspace, cut, on_record, turn, but=spent)
    return turn


def spend(
    workspace: Workspace,
    cut: Cut,
    accessors: Iterable[str],
    turn: Turn,
    but: Iterable[TokenHash] = (),
) -> Steps[Turn]:
    """End tokens by their accessors, each with everything below it and all that it set up.

    Raises Conflict before it ends any when the caller's own session is among them.
    """
    tokens, done = workspace.house.tokens, set(but)
    names = tuple(accessors)
    _require_not_own(workspace, names, cut.from_ns)
    for at in range(0, len(names), ENDED_IN_A_TURN):
        if at:
            turn = yield from settled()
        some = names[at : at + ENDED_IN_A_TURN]
        _void(workspace, map(session_origin, some), turn, cut.from_ns)
        for hash_ in (tokens.store.by_accessor(turn.tx, each) for each in some):
            if hash_ and hash_ not in done and tokens.spend(turn.tx, hash_, turn.now_ns):
                cut.spent.add(hash_)
    return turn


def _void(workspace: Workspace, origins: Iterable[str], turn: Turn, from_ns: int = 0) -> None:
    """Make void what origins did since the case's start, or from_ns.

    Raise Conflict when the caller's own session goes back to such an act.
    """
    found = tuple(origins)
    since_ns = _require_no_act(workspace, found, from_ns)
    workspace.house.tokens.contain(turn.tx, found, since_ns, turn.now_ns)


def _end_person(workspace: Workspace, cut: Cut, person: EntityId, turn: Turn) -> None:
    """End all tokens of a person, batch tokens included, and their logins and devices."""
    identity = workspace.house.identity
    known = identity.get(turn.tx, person)
    if known is None:
        return
    cut.since_ns = known.revoked_ns
    # Logins that this person configured stay refused until another person writes them again.
    ended = msgspec.structs.replace(
        known, disabled=True, revoked_ns=turn.now_ns, contained_ns=turn.now_ns
    )
    identity.update(turn.tx, ended, turn.now_ns)
    for device in workspace.house.features.devices.owned(turn.tx, person):
        _end_device(workspace, cut, device, turn)


def _end_device(workspace: Workspace, cut: Cut, device: DeviceId, turn: Turn) -> None:
    """Revoke a device: no token bound to it works, nobody logs in over it, its key is void."""
    devices = workspace.house.features.devices
    record = devices.get(turn.tx, device)
    if record is None or record.state == "revoked":
        return
    revoked = msgspec.structs.replace(
        record,
        state="revoked",
        decided_by=creator_of(workspace.call.actor()),
        reason=_REASON.format(case=workspace.case),
        decided_ns=turn.now_ns,
        posture_ok=False,
    )
    devices.put(turn.tx, revoked)
    cut.devices.append(device)


def _require_outside(call: Call, principal: NodeId) -> None:
    """Raise Conflict when the cut would end the caller's own session."""
    session, name = call.actor(), name_of(principal)
    own = {
        NodeKind.PERSON: name in session.people,
        NodeKind.DEVICE: name in _devices(call),
        NodeKind.SEGMENT: _is_of(call, name),
        NodeKind.ROLE: name in _roles(call),
    }
    if own.get(kind_of(principal), False):
        raise Conflict(_OWN)


def _require_not_own(workspace: Workspace, accessors: Iterable[str], from_ns: int) -> None:
    """Raise Conflict when the caller's session is one of these, below one, or set up by one."""
    own = {each.accessor for each in _chain(workspace.call).values() if each is not None}
    names = tuple(accessors)
    if not own.isdisjoint(names):
        raise Conflict(_OWN)
    _require_no_act(workspace, map(session_origin, names), from_ns)


def _require_no_act(workspace: Workspace, origins: Iterable[str], from_ns: int) -> int:
    """Raise Conflict when the caller's session goes back to what origins did since from_ns.

    Returns that instant, by default the case's start.
    """
    since_ns = from_ns or workspace.stored.from_ns
    acts = dict(acts_of(workspace.call.actor(), workspace.call.now_ns))
    if any(acts.get(each, -1) >= since_ns for each in origins):
        raise Conflict(_OWN)
    return since_ns


def _chain(call: Call) -> dict[TokenHash, StoredToken | None]:
    """Return the caller's token and all above it, by hash."""
    store, session = call.use(House).tokens.store, call.actor()
    chain: dict[TokenHash, StoredToken | None] = {}
    hash_ = session.hash
    while hash_ and hash_ not in chain:
        record = store.load(call.tx, hash_)
        chain[hash_] = record
        hash_ = TokenHash("") if record is None else record.parent
    return chain


def _devices(call: Call) -> set[str]:
    return {each.device for each in _chain(call).values() if each is not None and each.device}


def _roles(call: Call) -> set[str]:
    """Return the roles that issued the caller's token and those above it, as paths."""
    table = Names(call).table
    paths = {each.accessor: each.path for each in table.by_path.values()}
    found = (each for each in _chain(call).values() if each is not None and each.role)
    return {paths.get(each.mount, "") + each.role for each in found}


def is_subject(call: Call, subjects: Iterable[NodeId]) -> bool:
    """Return whether a person, token or device behind the caller is one of some subjects."""
    own = {node(NodeKind.PERSON, each) for each in call.actor().people}
    for each in _chain(call).values():
        own |= {node(NodeKind.SESSION, each.accessor)} if each is not None else set()
    own |= {node(NodeKind.DEVICE, each) for each in _devices(call)}
    # What let the caller in may have been set up by one of them, at any remove.
    for name, _ in call.actor().origins:
        kind, _, rest = name.partition("/")
        own |= {node(MAKERS[kind], rest)} if kind in MAKERS else set()
    return not own.isdisjoint(subjects)


def _is_of(call: Call, segment: str) -> bool:
    """Return whether the caller logged in through a segment."""
    table = call.use(House).segments.table(call.tx)
    mounts = (each.mount for each in _chain(call).values() if each is not None)
    found = (table.by_accessor.get(each) for each in mounts)
    return any(each is not None and each.name == segment for each in found)


def clear(workspace: Workspace, cut: Cut) -> Steps[None]:
    """List the tokens of what was cut, and remove their rows and leases."""
    turn = yield from settled()
    cut_ns = turn.now_ns
    found, turn = yield from _listed(workspace, cut, turn)
    for accessor in found.accessors:
        stored = found.stored.get(accessor)
        live = stored is not None and _was_live(cut, *stored, cut_ns)
        (cut.ended if live else cut.gone).append(accessor)
    cut.held = found
    # Most children come before their parents, so that a step removes few tokens.
    house = workspace.house
    for number, (hash_, _) in enumerate(reversed(found.stored.values()), start=1):
        cut.leases += house.leases.count_of(turn.tx, hash_)
        house.tokens.revoke(turn.tx, hash_, turn.now_ns)
        if number % REMOVED_IN_A_TURN == 0:
            turn = yield from pause()
    # Tokens issued through what it set up are dead too; tidy removes them and their leases.
    house.tokens.tidy(turn.tx, turn.now_ns)
    yield from settled()


def _listed(workspace: Workspace, cut: Cut, turn: Turn) -> Steps[tuple[Holdings, Turn]]:
    """Return all that the subject of a cut had, stored or on record."""
    house, name = workspace.house, name_of(cut.principal)
    match kind_of(cut.principal):
        case NodeKind.SEGMENT:
            return Holdings(), turn
        case NodeKind.ROLE:
            roots = yield from role_tokens(house, Role.find(workspace, name), turn)
        case NodeKind.WINDOW:
            roots, turn = yield from hashes_of(house, cut.active, turn)
        case _:
            found = yield from holdings(house, workspace.brief, cut.principal, turn)
            return found, (yield from pause())
    turn = yield from pause()
    found = Holdings(accessors=dict(cut.active))
    turn = yield from descend(house, found, roots, turn)
    # What these tokens made is not always below them: an orphan has no parent.
    made, turn = yield from _made(workspace, found, turn)
    turn = yield from spend(workspace, cut, made, turn)
    found.accessors.update(made)
    below, turn = yield from hashes_of(house, made, turn)
    return found, (yield from descend(house, found, below, turn))


def _active(workspace: Workspace, name: str, turn: Turn) -> Steps[tuple[dict[str, None], Turn]]:
    """Return the accessors of the sessions that acted in a window.

    Raises Conflict when one of them made the caller's session: that would end with them, later.
    """
    window = Window.parse(name, turn.now_ns)
    turn, found = yield workspace.archive.ask_active(window.from_ns, window.until_ns)
    active = dict.fromkeys(found)
    turn, made = yield workspace.archive.ask_made(active)
    _require_not_own(workspace, made, window.from_ns)
    return active, turn


def _made(workspace: Workspace, found: Holdings, turn: Turn) -> Steps[tuple[dict[str, None], Turn]]:
    """Return the accessors of the tokens that tokens made, without those already found."""
    turn, made = yield workspace.archive.ask_made(found.accessors)
    return {each: None for each in made if each not in found.accessors}, turn


def _was_live(cut: Cut, hash_: TokenHash, record: StoredToken, cut_ns: int) -> bool:
    """Return whether a stored token could be used right before the cut."""
    if record.num_uses == SPENT and hash_ not in cut.spent:
        return False
    expired = record.expires_ns and record.expires_ns <= cut_ns
    return record.issued_ns > cut.since_ns and not expired
