"""Inventories and baselines of a system: find access that an intruder added as a way back in.

Each difference from the baseline needs an explanation with an owner, a reason and an expiry.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.credential.inventory import InventoryItem
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.credentials.baselines import (
    Baseline,
    Baselines,
    Comparison,
    Explanation,
    Stock,
    differing,
    id_of as item_id,
    text_of,
)
from ironkeep.engines.database.configuration import Name, known
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.effects import run, turn_of
from ironkeep.plugin.fields import Duration
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

DEFAULT_EXPIRY_SECONDS: Final = 30 * 86_400
"""Explanations expire, so that none outlives its reason."""


@dataclass(frozen=True)
class Since:
    """A connection and the baseline to compare with."""

    name: str
    baseline: int = field(default=0, metadata={"help": "its number; 0 means the latest"})


@dataclass(frozen=True)
class Explain:
    """An explanation of one difference: its owner, the reason and the lifetime."""

    name: str
    item: str
    owner: str
    reason: str
    ttl: Duration = DEFAULT_EXPIRY_SECONDS
    baseline: int = 0


def inventory(call: Call, given: Name) -> Response | Suspend:
    """Return the system's present inventory: accounts, privileges, access rules and the like."""
    which, _ = known(call, given.name)
    steps = call.use(Baselines).inventory(turn_of(call), which)
    return run(call, steps, _taken)


def _taken(_call: Call, stock: Stock) -> Response:
    taken = stock.inventory
    return Response(
        data={
            "system": taken.system,
            "endpoint": taken.endpoint,
            "release": taken.release,
            "digest": stock.digest,
            "gaps": list(taken.gaps),
            "items": [_item(each) for each in taken.items],
        },
        audited={"digest": stock.digest, "items": len(taken.items)},
    )


def baseline(call: Call, given: Name) -> Response | Suspend:
    """Add a baseline of the present state, known to be good; earlier baselines stay."""
    which, _ = known(call, given.name)
    steps = call.use(Baselines).baseline(turn_of(call), which)
    return run(call, steps, _kept)


def _kept(_call: Call, kept: Baseline) -> Response:
    return Response(data=_shape(kept), audited={"digest": kept.digest, "number": kept.number})


def read_baseline(call: Call, given: Since) -> Response:
    """Return the time, the digest and the gaps of a baseline."""
    which, _ = known(call, given.name)
    return Response(data=_shape(call.use(Baselines).get(call.tx, which, given.baseline)))


def difference(call: Call, given: Since) -> Response | Suspend:
    """Compare the present state of the system with a baseline."""
    which, _ = known(call, given.name)
    steps = call.use(Baselines).compare(turn_of(call), which, given.baseline)
    return run(call, steps, _compared)


def _compared(_call: Call, found: Comparison) -> Response:
    changes = found.difference
    open_items = [text for text in differing(changes) if text not in found.explained]
    return Response(
        data={
            "baseline": _shape(found.baseline),
            "digest": found.stock.digest,
            "added": [_judged(found, each) for each in changes.added],
            "removed": [_judged(found, each) for each in changes.removed],
            "changed": [
                {**_judged(found, each.after), "before": dict(each.before.attributes)}
                for each in changes.changed
            ],
            "gaps": list(changes.gaps),
            "unexplained": len(open_items),
        },
        audited={"digest": found.stock.digest, "unexplained": len(open_items)},
    )


def explain(call: Call, given: Explain) -> Response | Suspend:
    """Explain one difference; compare first, because only an existing one can be explained."""
    which, _ = known(call, given.name)

    def compared(later: Call, found: Comparison) -> Response:
        now = later.now_ns
        words = Explanation(given.item, given.owner, given.reason, now, now + given.ttl * SECOND_NS)
        kept = call.use(Baselines).explain(turn_of(later), which, found, words)
        return Response(
            data=_explanation(kept),
            audited={"item": item_id(kept.item), "owner": kept.owner, "reason": kept.reason},
        )

    steps = call.use(Baselines).compare(turn_of(call), which, given.baseline)
    return run(call, steps, compared)


def _shape(kept: Baseline) -> dict[str, Any]:
    return {
        "number": kept.number,
        "system": kept.system,
        "digest": kept.digest,
        "items": kept.items,
        "gaps": list(kept.gaps),
        "taken_at": rfc3339(kept.taken_ns),
    }


def _item(each: InventoryItem) -> dict[str, Any]:
    text = text_of(each)
    return {
        "id": item_id(text),
        "item": text,
        "kind": str(each.kind),
        "source": each.source,
        "name": each.name,
        "attributes": dict(each.attributes),
    }


def _judged(found: Comparison, each: InventoryItem) -> dict[str, Any]:
    given = found.explained.get(text_of(each))
    return {**_item(each), "explained": None if given is None else _explanation(given)}


def _explanation(given: Explanation) -> dict[str, Any]:
    return {
        "item": given.item,
        "owner": given.owner,
        "reason": given.reason,
        "expires_at": rfc3339(given.expires_ns),
    }


ROUTES: Final = (
    Route(Operation.READ, "inventory/{name}", inventory, Name, help="The present inventory."),
    Route(
        Operation.UPDATE, "baseline/{name}", baseline, Name, sudo=True,
        help="Add a baseline; earlier ones stay.",
    ),
    Route(Operation.READ, "baseline/{name}", read_baseline, Since, help="A baseline's summary."),
    Route(
        Operation.READ, "diff/{name}", difference, Since, audited=("baseline",),
        help="The differences from a baseline.",
    ),
    Route(
        Operation.UPDATE, "explain/{name}", explain, Explain, sudo=True,
        help="Explain one difference.",
    ),
)  # fmt: skip
