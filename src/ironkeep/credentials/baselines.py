"""Baselines: inventories of everything that grants access to a system, and comparisons with them.

    <mount> : baseline / connection / number (6 digits) / about     -> time, digest, gaps
              baseline / connection / number / chunk (4 digits)      -> the inventory, compressed
              explained / connection / id of an item                 -> the item's explanation
              digest-key / connection                                -> the key of secrets' digests

A baseline is taken when a connection is configured. Its SHA-256 is in the journal, whose heads are
signed and witnessed: this makes it a signed baseline, which cannot be chosen afterwards. Later
baselines are added and never replace an earlier one. An explanation applies only to exactly the
item that it was given for, with all its attributes, and expires.
"""

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec

from ironkeep.core.credential.connector import Connector, ConnectorError, Target
from ironkeep.core.credential.inventory import (
    MAX_ENCODED_BYTES,
    Difference,
    Inventory,
    InventoryItem,
    decode,
    diff,
    encode,
)
from ironkeep.core.errors import IntegrityError, InvalidRequest, NotFound
from ironkeep.core.event import Value
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.secret import Secret
from ironkeep.credentials.connections import ConnectionId, Connections
from ironkeep.credentials.managed import Credentials
from ironkeep.plugin.effects.answer import Outside
from ironkeep.plugin.effects.effects import Effects, Steps, Turn, Work, key_of
from ironkeep.store.barrier import MAX_BODY_BYTES, Store
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

MAX_BASELINES: Final = 100
"""Baselines of one connection. Past it none is dropped: an intruder could push out the first."""

MAX_EXPLANATIONS: Final = 10_000
MAX_WORDS: Final = 1_000
"""Characters of an owner or a reason."""

MAX_GAPS_NOTED: Final = 100
"""Gaps named in one journal entry, which holds some 64 KB; all of them are in the inventory."""

ID_LENGTH: Final = 16
"""Hexadecimal digits of an item's id: enough to tell the items of one system apart."""


class Baseline(msgspec.Struct, frozen=True, omit_defaults=True):
    """The summary of a baseline, without its items; `digest` is hexadecimal SHA-256.

    `endpoint` is the host that it was taken of; empty for the first, in a baseline of an earlier
    release.
    """

    number: int
    system: NodeId
    digest: str
    items: int
    gaps: tuple[str, ...]
    taken_ns: int
    chunks: int
    endpoint: str = ""


class Explanation(msgspec.Struct, frozen=True):
    """An owner's acceptance of one item, until it expires."""

    item: str
    owner: str
    reason: str
    given_ns: int
    expires_ns: int


class Stock(msgspec.Struct, frozen=True):
    """An inventory with its digest and its compressed encoding."""

    inventory: Inventory
    digest: str
    packed: bytes

    def __repr__(self) -> str:
        return f"Stock({self.digest!r})"


class NotTaken(msgspec.Struct, frozen=True):
    """The reason why the inventory of a system could not be taken."""

    reason: str


class Comparison(msgspec.Struct, frozen=True):
    """A system's inventory compared with a baseline; `explained` is keyed by the item's text."""

    baseline: Baseline
    stock: Stock
    at_ns: int
    difference: Difference
    explained: dict[str, Explanation]


_ABOUT: Final = Codec(Baseline)
_EXPLAINED: Final = Codec(Explanation)


class Baselines:
    """Takes inventories, stores them as baselines, and compares."""

    def __init__(
        self,
        stores: StoreOf,
        connections: Connections,
        credentials: Credentials,
        effects: Effects,
    ) -> None:
        self._stores: Final = stores
        self._connections: Final = connections
        self._credentials: Final = credentials
        self._effects: Final = effects
        self.on_baseline: Final[list[Callable[[Turn, Baseline], None]]] = []
        """Called when a baseline is stored, in the same commit."""

    def inventory(self, turn: Turn, which: ConnectionId) -> Steps[Stock]:
        """Return the inventory of everything that grants access to the system now."""
        system = self._connections.get(turn.tx, which).system
        turn, stock = yield self._look(turn, which)
        self._note(turn, which, "inventory", system, stock)
        return stock  # type: ignore[no-any-return]

    def baseline(self, turn: Turn, which: ConnectionId) -> Steps[Baseline]:
        """Take an inventory and store it as the next baseline."""
        with self._effects.claimed(key_of(which.mount, f"baseline/{which.name}")):
            if len(self.numbers(turn.tx, which)) >= MAX_BASELINES:
                raise InvalidRequest(f"a connection keeps at most {MAX_BASELINES} baselines")
            turn, stock = yield self._look(turn, which)
            return self.add(turn, which, stock)

    def add(self, turn: Turn, which: ConnectionId, stock: Stock) -> Baseline:
        """Store an inventory of a connection as its next baseline."""
        system = self._connections.get(turn.tx, which).system
        number = max(self.numbers(turn.tx, which), default=0) + 1
        kept = self._keep(turn, which, number, system, stock)
        self._note(turn, which, "baseline", system, stock)
        for listener in self.on_baseline:
            listener(turn, kept)
        return kept

    def key(self, turn: Turn, which: ConnectionId) -> Secret:
        """Return the key of secrets' digests in a connection's inventories; make it if missing."""
        store = self._stores(turn.tx, which.mount)
        raw = store.get(f"digest-key/{which.name}")
        if raw is None:
            raw = self._credentials.store.new_secret().reveal()
            store.put(f"digest-key/{which.name}", raw)
        return Secret(raw)

    def compare(
        self, turn: Turn, which: ConnectionId, number: int = 0, endpoint: str = ""
    ) -> Steps[Comparison]:
        """Take an inventory and compare it with a baseline, 0 for the last one.

        It is taken at the first host, or at the host or former host of that endpoint. `at_ns` is
        when it began: what changes meanwhile need not be in it.
        """
        at_ns = turn.now_ns
        baseline = self.get(turn.tx, which, number)
        packed = self._packed(turn.tx, which, baseline)
        look = self._look(turn, which, endpoint)
        against = partial(_against, look, packed, baseline.digest)
        turn, (stock, difference) = yield Outside(against, baseline.system)
        self._note(turn, which, "inventory", baseline.system, stock)
        explained = self.explanations(turn.tx, which, turn.now_ns)
        return Comparison(baseline, stock, at_ns, difference, explained)

    def explain(
        self, turn: Turn, which: ConnectionId, comparison: Comparison, given: Explanation
    ) -> Explanation:
        """Accept one item of a comparison, named by its text or its id; raise NotFound."""
        for words in (given.owner, given.reason):
            if not words.strip() or len(words) > MAX_WORDS or not words.isprintable():
                raise InvalidRequest(
                    f"owner and reason take 1 to {MAX_WORDS} printable characters each"
                )
        if given.expires_ns <= turn.now_ns:
            raise InvalidRequest("an explanation has to expire, and later than now")
        found = next(
            (
                text
                for text in differing(comparison.difference)
                if given.item in {text, id_of(text)}
            ),
            None,
        )
        if found is None:
            raise NotFound("no such addition, removal or change now: read the difference again")
        store = self._stores(turn.tx, which.mount)
        if len(store.list(f"explained/{which.name}")) >= MAX_EXPLANATIONS:
            raise InvalidRequest(f"a connection keeps at most {MAX_EXPLANATIONS} explanations")
        kept = msgspec.structs.replace(given, item=found)
        store.put(f"explained/{which.name}/{id_of(found)}", _EXPLAINED.encode(kept))
        return kept

    def explanations(self, tx: Tx, which: ConnectionId, now_ns: int) -> dict[str, Explanation]:
        """Return the explanations in force, by the text of the item."""
        store = self._stores(tx, which.mount)
        found = {}
        for name in store.list(f"explained/{which.name}"):
            raw = store.get(f"explained/{which.name}/{name}")
            given = None if raw is None else _EXPLAINED.decode(raw)
            if given is not None and now_ns < given.expires_ns:
                found[given.item] = given
        return found

    def numbers(self, tx: Tx, which: ConnectionId) -> list[int]:
        """Return the numbers of a connection's baselines, ascending."""
        folders = self._stores(tx, which.mount).list(f"baseline/{which.name}")
        return [int(folder.removesuffix("/")) for folder in folders]

    def get(self, tx: Tx, which: ConnectionId, number: int = 0) -> Baseline:
        """Return a baseline, 0 for the last one of the first host; raise NotFound."""
        number = number or self._last(tx, which)
        raw = self._stores(tx, which.mount).get(f"{_folder(which, number)}/about")
        if raw is None:
            raise NotFound(f"there is no such baseline of {which.name!r}: take one first")
        return _ABOUT.decode(raw)

    def covered(self, tx: Tx, which: ConnectionId) -> set[str]:
        """Return the endpoints of which there is a baseline; of an early one, that is not known."""
        return {self.get(tx, which, number).endpoint for number in self.numbers(tx, which)}

    def _last(self, tx: Tx, which: ConnectionId) -> int:
        first = self._connections.get(tx, which).endpoints[0]
        numbers = self.numbers(tx, which)
        for number in reversed(numbers):
            if self.get(tx, which, number).endpoint in {"", first}:
                return number
        return max(numbers, default=0)

    def remove(self, tx: Tx, which: ConnectionId) -> None:
        """Remove every baseline and explanation of a connection."""
        store = self._stores(tx, which.mount)
        for folder in ("baseline", "explained"):
            for path in list(store.walk(f"{folder}/{which.name}")):
                store.delete(path)
        store.delete(f"digest-key/{which.name}")

    def _look(self, turn: Turn, which: ConnectionId, endpoint: str = "") -> Work:
        connection = self._connections.get(turn.tx, which)
        targets = connection.everywhere(*self._credentials.accounts.admin_secrets(turn.tx, which))
        target = next(each for each in targets if endpoint in {"", each.endpoint})
        target = replace(target, digest_key=self.key(turn, which))
        work = partial(_take, self._connections.connector(connection), target)
        return Outside(work, connection.system)

    def _keep(
        self, turn: Turn, which: ConnectionId, number: int, system: NodeId, stock: Stock
    ) -> Baseline:
        store = self._stores(turn.tx, which.mount)
        pieces = [
            stock.packed[start : start + MAX_BODY_BYTES]
            for start in range(0, len(stock.packed), MAX_BODY_BYTES)
        ]
        for position, piece in enumerate(pieces):
            store.put(f"{_folder(which, number)}/{position:04d}", piece)
        baseline = Baseline(
            number,
            system,
            stock.digest,
            len(stock.inventory.items),
            stock.inventory.gaps,
            turn.now_ns,
            len(pieces),
            stock.inventory.endpoint,
        )
        store.put(f"{_folder(which, number)}/about", _ABOUT.encode(baseline))
        return baseline

    def _packed(self, tx: Tx, which: ConnectionId, baseline: Baseline) -> bytes:
        store: Store = self._stores(tx, which.mount)
        folder = _folder(which, baseline.number)
        return b"".join(
            store.get(f"{folder}/{position:04d}") or b"" for position in range(baseline.chunks)
        )

    def _note(self, turn: Turn, which: ConnectionId, op: str, system: NodeId, stock: Stock) -> None:
        audited: dict[str, Value] = {
            "system": system,
            "digest": stock.digest,
            "items": len(stock.inventory.items),
            "gaps": list(stock.inventory.gaps[:MAX_GAPS_NOTED]),
            "gaps_total": len(stock.inventory.gaps),
        }
        self._effects.note(turn, op, which.mount, f"config/{which.name}", audited)


def text_of(item: InventoryItem) -> str:
    """Return an item as one line: kind, source, name, attributes as a JSON object if any."""
    words = f"{item.kind} {item.source} {item.name}"
    if not item.attributes:
        return words
    return f"{words} {msgspec.json.encode(dict(item.attributes)).decode()}"


def id_of(text: str) -> str:
    """Return the short name of an item's text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ID_LENGTH]


def differing(difference: Difference) -> list[str]:
    """Return the text of every item in a difference; of a changed item, its new text."""
    items = (*difference.added, *difference.removed, *(each.after for each in difference.changed))
    return [text_of(each) for each in items]


def _folder(which: ConnectionId, number: int) -> str:
    return f"baseline/{which.name}/{number:06d}"


def _take(connector: Connector, target: Target) -> Stock:
    """Take an inventory; this calls the system and runs on a worker."""
    inventory = connector.inventory(target)
    raw = encode(inventory)
    return Stock(inventory, hashlib.sha256(raw).hexdigest(), zlib.compress(raw))


def attempt(connector: Connector, targets: Sequence[Target]) -> list[Stock | NotTaken]:
    """Take the inventory of each host, or return why that failed; runs on a worker."""
    found: list[Stock | NotTaken] = []
    for target in targets:
        try:
            found.append(_take(connector, target))
        except ConnectorError as failure:
            found.append(NotTaken(f"{target.endpoint}: {failure}"))
    return found


def _against(look: Callable[[], Stock], packed: bytes, digest: str) -> tuple[Stock, Difference]:
    """Take an inventory and compare it with a packed baseline; runs on a worker."""
    stock = look()
    unpacking = zlib.decompressobj()
    raw = unpacking.decompress(packed, MAX_ENCODED_BYTES)
    if hashlib.sha256(raw).hexdigest() != digest:
        raise IntegrityError("a stored baseline does not match its digest")
    return stock, diff(decode(raw), stock.inventory)
