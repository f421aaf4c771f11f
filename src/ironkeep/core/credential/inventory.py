"""What can log in to, act on or come back into an outside system, as a value that can be compared.

An inventory is taken by a connector, encoded, hashed and signed when the system is configured,
and compared with a later one: an intruder's second account, grant, key or hook is an addition.
What the connector could not look at is named in `gaps`, so that "nothing was added" is never said
of a place that nobody saw. The encoding is text: a header line, then one JSON array a line (RFC
8259), sorted; one inventory has exactly one encoding.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Final

import msgspec

from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge

HEADER: Final = b"ironkeep-inventory/v1\n"

MAX_ENCODED_BYTES: Final = 64 * 1024 * 1024
"""A PostgreSQL cluster of 100,000 relations takes about 20 MB; more is not reviewable."""


class Kind(StrEnum):
    """What an item lets somebody do."""

    PRINCIPAL = "principal"
    """Something that can act: a user, a role."""
    KEY = "key"
    """Something that proves who acts, or that is used to log in elsewhere."""
    GRANT = "grant"
    """Something that says what a principal may do."""
    HOOK = "hook"
    """Something that makes the system run code or send data by itself."""
    SETTING = "setting"
    """A configuration value that weakens or redirects any of the above."""
    SESSION = "session"
    """A login that is open now; listed by `Connector.sessions`, not part of a baseline."""


class InventoryItem(msgspec.Struct, frozen=True, order=True, array_like=True):
    """One thing found: its kind, the catalogue it came from, its name there, its attributes.

    (kind, source, name) identifies it. Attribute values never hold a secret or its plain digest.
    """

    kind: Kind
    source: str
    name: str
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> tuple[Kind, str, str]:
        """Return what makes this item the same item in another inventory."""
        return self.kind, self.source, self.name


class Inventory(msgspec.Struct, frozen=True):
    """Everything found on one system at one time; `items` and `gaps` are sorted, each once.

    `system` names the connector, `endpoint` where it looked, `release` the version that answered.
    """

    system: str
    endpoint: str
    release: str
    items: tuple[InventoryItem, ...]
    gaps: tuple[str, ...] = ()


class Changed(msgspec.Struct, frozen=True):
    """One item whose attributes differ."""

    before: InventoryItem
    after: InventoryItem


class Difference(msgspec.Struct, frozen=True):
    """What changed between two inventories, and where one of them did not look."""

    added: tuple[InventoryItem, ...]
    removed: tuple[InventoryItem, ...]
    changed: tuple[Changed, ...]
    gaps: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Return whether nothing differs and nothing was left unseen."""
        return not (self.added or self.removed or self.changed or self.gaps)


def item(kind: Kind, source: str, name: str, attributes: Mapping[str, str]) -> InventoryItem:
    """Return an item with its attributes in canonical order."""
    return InventoryItem(kind, source, name, tuple(sorted(attributes.items())))


def collect(
    system: str,
    endpoint: str,
    release: str,
    items: Iterable[InventoryItem],
    gaps: Iterable[str] = (),
) -> Inventory:
    """Return items in canonical order; raise InvalidRequest when two share an identity."""
    ordered = tuple(sorted(items))
    _check_items(ordered)
    return Inventory(system, endpoint, release, ordered, tuple(sorted(set(gaps))))


def diff(baseline: Inventory, now: Inventory) -> Difference:
    """Return what differs in now; raise InvalidRequest when they are of different connectors."""
    if baseline.system != now.system:
        raise InvalidRequest(f"cannot compare {baseline.system} with {now.system}")
    before = {each.identity: each for each in baseline.items}
    after = {each.identity: each for each in now.items}
    return Difference(
        added=tuple(each for key, each in after.items() if key not in before),
        removed=tuple(each for key, each in before.items() if key not in after),
        changed=tuple(
            Changed(before[key], each)
            for key, each in after.items()
            if key in before and before[key] != each
        ),
        gaps=tuple(sorted({*baseline.gaps, *now.gaps})),
    )


def encode(inventory: Inventory) -> bytes:
    """Return the one encoding; raise TooLarge past MAX_ENCODED_BYTES."""
    head = (inventory.system, inventory.endpoint, inventory.release, inventory.gaps)
    lines = [_ENCODER.encode(head), *(_ENCODER.encode(each) for each in inventory.items)]
    raw = HEADER + b"\n".join(lines) + b"\n"
    if len(raw) > MAX_ENCODED_BYTES:
        raise TooLarge(f"an inventory of {len(raw)} bytes is past {MAX_ENCODED_BYTES}")
    return raw


def decode(raw: bytes) -> Inventory:
    """Return the inventory in raw; raise IntegrityError unless raw is its one encoding."""
    if len(raw) > MAX_ENCODED_BYTES or not raw.startswith(HEADER):
        raise IntegrityError("not an inventory, or of a version this release does not read")
    try:
        head, *lines = raw[len(HEADER) :].split(b"\n")
        system, endpoint, release, gaps = _HEAD.decode(head)
        items = tuple(_ITEM.decode(line) for line in lines[:-1])
        found = collect(system, endpoint, release, items, gaps)
    except (msgspec.MsgspecError, UnicodeError, InvalidRequest, RecursionError) as failure:
        raise IntegrityError("an inventory line does not parse") from failure
    if encode(found) != raw:
        raise IntegrityError("the inventory is not in its canonical encoding")
    return found


_ENCODER: Final = msgspec.json.Encoder()
_HEAD: Final = msgspec.json.Decoder(tuple[str, str, str, tuple[str, ...]])
_ITEM: Final = msgspec.json.Decoder(InventoryItem)


def _check_items(ordered: tuple[InventoryItem, ...]) -> None:
    """Refuse two items of one identity, and attributes out of order or doubled."""
    for one, other in pairwise(ordered):
        if one.identity == other.identity:
            raise InvalidRequest(f"two inventory items are called {one.source} {one.name}")
    for each in ordered:
        names = [name for name, _ in each.attributes]
        if names != sorted(set(names)):
            raise InvalidRequest(f"attributes of {each.source} {each.name} are not in order")
