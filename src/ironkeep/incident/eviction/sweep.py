"""The sweep: compare systems with a baseline from before the breach, to find persistence."""

from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from ironkeep.core.credential.connector import ConnectorError
from ironkeep.core.credential.inventory import InventoryItem, Kind
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.credentials import jobs
from ironkeep.credentials.baselines import Comparison, id_of, text_of
from ironkeep.credentials.connections import ConnectionId
from ironkeep.credentials.jobs import Account
from ironkeep.incident.case.workspace import Workspace, answered, on_desk, words
from ironkeep.incident.eviction.lines import line_of
from ironkeep.incident.eviction.own import explain_own
from ironkeep.incident.eviction.places import connections_to
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects import effects
from ironkeep.plugin.effects.effects import Steps, Turn, settled, turn_of
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_ITEMS: Final = 200
"""Items in one record, so that they fit into its entry; further ones are recorded as a gap."""

MAX_ACTING: Final = 50
"""Added principals whose sessions are queried, one query each."""


@dataclass(frozen=True)
class Sweep:
    """One exposed system, or all exposed systems."""

    id: str
    system: str = ""


@dataclass(frozen=True)
class Explain:
    """An explanation of a difference, or of an entry in the vault's own journal."""

    id: str
    item: str = field(metadata={"help": "its text in the sweep, its id, or entry:INDEX"})
    reason: str
    system: str = ""
    owner: str = field(default="", metadata={"help": "the person responsible; default: you"})


def sweep(call: Call, given: Sweep) -> Suspend:
    """Compare exposed systems with their baselines from before the earliest compromise."""
    return on_desk(call, given.id, lambda workspace: _sweep(workspace, given))


def _sweep(workspace: Workspace, given: Sweep) -> Response | Suspend:
    systems = [workspace.named(given.system)] if given.system else list(workspace.file.systems)
    chosen = [
        (system, which)
        for system in systems
        for which in islice(connections_to(workspace, system, workspace.call.tx), 1)
    ]
    if not chosen:
        raise NotFound("no connection here leads to an exposed system: nothing can be compared")
    return effects.run(
        workspace.call, _sweeps(workspace, chosen, turn_of(workspace.call)), answered("swept")
    )


def _sweeps(
    workspace: Workspace, chosen: list[tuple[NodeId, ConnectionId]], turn: Turn
) -> Steps[list[dict[str, Any]]]:
    results = []
    for system, which in chosen:
        workspace.house.credentials.put_on_record(turn, which)
        connection = workspace.house.credentials.connections.get(turn.tx, which)
        for place in range(len(connection.hosts) + len(connection.former)):
            swept = yield from _host(workspace, system, which, place, turn)
            turn = yield from settled()
            results.append(swept)
    return results


def _host(
    workspace: Workspace, system: NodeId, which: ConnectionId, place: int, turn: Turn
) -> Steps[dict[str, Any]]:
    """Sweep one host of a connection; one beside the first that cannot be swept stays open."""
    baselines = workspace.house.baselines
    connection = workspace.house.credentials.connections.get(turn.tx, which)
    endpoint = connection.everywhere(Secret(b""))[place].endpoint
    number = _baseline(workspace, which, endpoint, turn)
    try:
        compared = yield from baselines.compare(turn, which, number, endpoint)
    except ConnectorError as failure:
        if not place:
            raise
        gaps = [f"the host was not looked at: {failure}"]
        label = workspace.label(system)
        return {"system": label, "endpoint": endpoint, "differences": [], "gaps": gaps}
    turn = yield from settled()
    acting = yield from _acting(workspace, which, compared, turn)
    turn = yield from settled()
    record = _record(workspace, system, compared, acting)
    workspace.house.scope.note(record, turn.now_ns, workspace.by)
    own = yield from explain_own(workspace, system, compared, turn)
    return _result(workspace, record, own)


def _baseline(workspace: Workspace, which: ConnectionId, endpoint: str, turn: Turn) -> int:
    """Return the last baseline of a host before the earliest compromise, or else the first of all.

    A host without one is compared with those of the first host: a replica has the same accounts.
    """
    baselines = workspace.house.baselines
    found = [baselines.get(turn.tx, which, number) for number in baselines.numbers(turn.tx, which)]
    before = [each for each in found if each.taken_ns < workspace.file.case.from_ns]
    own = [each for each in before if each.endpoint == endpoint]
    connections = workspace.house.credentials.connections
    first = connections.get(turn.tx, which).endpoints[0]
    shared = [each for each in before if each.endpoint in {"", first}]
    chosen = own or shared or before
    return max((each.number for each in chosen), default=min((e.number for e in found), default=0))


def _acting(
    workspace: Workspace, which: ConnectionId, compared: Comparison, turn: Turn
) -> Steps[tuple[str, ...]]:
    """Return the added principals that have an open session."""
    house = workspace.house
    connection = house.credentials.connections.get(turn.tx, which)
    targets = connection.targets(*house.credentials.accounts.admin_secrets(turn.tx, which))
    connector = house.credentials.connections.connector(connection)
    added = [each for each in compared.difference.added if each.kind is Kind.PRINCIPAL]
    accounts = [
        (each, Account(connector, targets, connection.system, each.name))
        for each in added[:MAX_ACTING]
    ]
    _, found = yield partial(_active, accounts)
    return tuple(line_of(text_of(each)) for each in found)


def _active(accounts: list[tuple[InventoryItem, Account]]) -> list[InventoryItem]:
    """Return the items with open sessions; runs on a worker.

    An item whose sessions cannot be queried is not reported as acting. It is still listed as added
    and blocks the verdict until it is explained.
    """
    found = []
    for item, account in accounts:
        try:
            if jobs.sessions(account):
                found.append(item)
        except (ConnectorError, InvalidRequest):
            continue
    return found


def _record(
    workspace: Workspace, system: NodeId, compared: Comparison, acting: tuple[str, ...]
) -> ev.Swept:
    difference = compared.difference
    lists = [
        [line_of(text_of(each)) for each in difference.added],
        [line_of(text_of(each)) for each in difference.removed],
        [line_of(text_of(each.after)) for each in difference.changed],
    ]
    more = sum(max(len(each) - MAX_ITEMS // 3, 0) for each in lists)
    gaps = [line_of(gap) for gap in difference.gaps]
    if more:
        gaps.insert(0, f"{more} further differences: explain them, or take them back, and sweep on")
    added, removed, changed = (tuple(each[: MAX_ITEMS // 3]) for each in lists)
    return ev.Swept(
        workspace.case,
        system,
        compared.baseline.digest,
        compared.stock.digest,
        compared.at_ns,
        added,
        removed,
        changed,
        acting,
        tuple(gaps[:MAX_ITEMS]),
        compared.stock.inventory.endpoint,
    )


def _result(workspace: Workspace, record: ev.Swept, own: set[str]) -> dict[str, Any]:
    kinds = (("added", record.added), ("removed", record.removed), ("changed", record.changed))
    return {
        "system": workspace.label(record.system),
        "endpoint": record.endpoint,
        "baseline": record.baseline,
        "differences": [
            {
                "id": id_of(item),
                "what": what,
                "item": item,
                "acting": item in record.acting,
                "own": item in own,
            }
            for what, items in kinds
            for item in items
        ],
        "gaps": list(record.gaps),
    }


def explain(call: Call, given: Explain) -> Suspend:
    """Explain a difference that a sweep found, or one of the vault's own entries."""
    return on_desk(call, given.id, lambda workspace: _explain(workspace, given), judged=True)


def _explain(workspace: Workspace, given: Explain) -> Response:
    owner = workspace.owner(given.owner)
    system, item = _item(workspace, given)
    reason = words(given.reason, "a reason")
    record = ev.Explained(given.id, system, item, owner, reason, workspace.vouching)
    index = workspace.note(record)
    return Response(data={"explained": item, "owner": owner, "confirm": f"entry:{index}"})


def _item(workspace: Workspace, given: Explain) -> tuple[str, str]:
    """Return (system, item) as the records of the case name them."""
    if given.item.startswith("entry:"):
        asked = {each.subject for each in workspace.verdict.open_items()}
        filed = workspace.file.filed(ev.Explained)
        before = {each.record.item for each in filed if each.record.case == workspace.case}
        if given.item not in asked | before:
            raise NotFound(f"{given.item[:80]} is no open item of this case: read its steps")
        return "", given.item
    for swept in reversed(workspace.file.filed(ev.Swept)):
        record = swept.record
        for item in (*record.added, *record.removed, *record.changed):
            if given.item in {item, id_of(item)} and given.system in {
                "",
                record.system,
                workspace.label(record.system),
            }:
                return record.system, item
    raise NotFound(
        "no sweep of this case found this item: read the steps of the case for the items"
    )


ROUTES: Final = (
    Route(
        Operation.UPDATE, "cases/{id}/sweep", sweep, Sweep, sudo=True, audited=("id",),
        help="Compare exposed systems with their baselines.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/explain", explain, Explain, sudo=True, audited=("id",),
        help="Explain one difference.",
    ),
)  # fmt: skip
