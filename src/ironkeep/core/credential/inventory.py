"""Inventories: everything in an external system that can log in, act or regain access.

A connector takes an inventory, which is encoded, hashed and signed when the system is configured,
and compared with a later one: an intruder's second account, grant, key or hook is an addition.
`gaps` names the places that the connector could not read, so that they never count as unchanged.
The encoding is text: a header line, then one JSON array per line (RFC 8259), sorted; each inventory
has exactly one encoding.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Final

import msgspec

from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge

HEADER: Final = b"ironkeep-inventory/v1\n"

MAX_ENCODED_BYTES: Final = 64 * 1024 * 1024
"""Bytes of an encoded inventory: a PostgreSQL cluster of 100,000 relations takes about 20 MB, and
nobody could review a larger one."""


class Kind(StrEnum):
    """The kinds of items."""

    PRINCIPAL = "principal"
    """An account that can act: a user, a role."""
    KEY = "key"
    """A credential that authenticates a principal, or that is used to log in elsewhere."""
    GRANT = "grant"
    """A permission of a principal."""
    HOOK = "hook"
    """A trigger by which the system runs code or sends data by itself."""
    SETTING = "setting"
    """A configuration value that weakens or redirects any of the above."""
    SESSION = "session"
    """A login that is open now; listed by `Connector.sessions`, not part of a baseline."""


class InventoryItem(msgspec.Struct, frozen=True, order=True, array_like=True):
    """One item: its kind, the catalogue it came from, its name there, and its attributes.

    (kind, source, name) identifies it. Attribute values never contain a secret or its plain digest.
    """

    kind: Kind
    source: str
    name: str
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> tuple[Kind, str, str]:
        """Return the key that identifies this item in other inventories."""
        return self.kind, self.source, self.name


class Inventory(msgspec.Struct, frozen=True):
    """All items found on one system at one time; `items` and `gaps` are sorted and unique.

    `system` names the connector, `endpoint` the address, `release` the version that answered.
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
    """The changes between two inventories, and the gaps of either."""

    added: tuple[InventoryItem, ...]
    removed: tuple[InventoryItem, ...]
    changed: tuple[Changed, ...]
    gaps: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Return whether there is neither a change nor a gap."""
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
    """Return an inventory of items; raise InvalidRequest if two items have the same identity."""
    ordered = tuple(sorted(items))
    _check_items(ordered)
    return Inventory(system, endpoint, release, ordered, tuple(sorted(set(gaps))))


def diff(baseline: Inventory, now: Inventory) -> Difference:
    """Return the changes from baseline to now; raise InvalidRequest for different connectors."""
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
    """Return the canonical encoding; raise TooLarge past MAX_ENCODED_BYTES."""
    head = (inventory.system, inventory.endpoint, inventory.release, inventory.gaps)
    lines = [_ENCODER.encode(head), *(_ENCODER.encode(each) for each in inventory.items)]
    raw = HEADER + b"\n".join(lines) + b"\n"
    if len(raw) > MAX_ENCODED_BYTES:
        raise TooLarge(f"the inventory has {len(raw)} bytes; the limit is {MAX_ENCODED_BYTES}")
    return raw


def decode(raw: bytes) -> Inventory:
    """Return the inventory in raw; raise IntegrityError unless raw is canonical."""
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
    """Refuse two items of one identity, and attributes out of order or repeated."""
    for one, other in pairwise(ordered):
        if one.identity == other.identity:
            raise InvalidRequest(f"two inventory items have the name {one.source} {one.name}")
    for each in ordered:
        names = [name for name, _ in each.attributes]
        if names != sorted(set(names)):
            raise InvalidRequest(f"attributes of {each.source} {each.name} are not in order")
