"""Segments: parts of the vault with keys of their own, which the vault's root key cannot open.

    create ──▶ sealed ── its own shares, or its own key file ──▶ open
                  ▲                                                │
                  └──── seal, cut, restart, the vault seals ───────┘
    destroy, from either state: the wraps are gone, and no key opens the segment again

The mounts of a segment store every record under the segment's keyring: both blind names and bodies,
bound to the segment by additional data. The vault's set-hash still covers these rows, as
ciphertext, so that removed and replayed rows are found while a segment is sealed. `seal` drops the
keys and everything derived with them; `cut` also refuses, for good, the tokens that were issued
through the segment until then; `destroy` removes the wraps, after which the shares open nothing.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

import msgspec

from ironkeep.core.errors import (
    Conflict,
    IntegrityError,
    NotFound,
    TooLarge,
)
from ironkeep.core.event import Value
from ironkeep.core.ids import MountAccessor, MountUuid, uuid
from ironkeep.core.ports import Entropy, Row
from ironkeep.core.text.goformat import rfc3339
from ironkeep.seal.config import config_key, keyring_key
from ironkeep.seal.seal import Initialised, Seal, SealStatus
from ironkeep.seal.segment_keys import SegmentKeys
from ironkeep.seal.segment_record import (
    EMPTY,
    FIRST_NUMBER,
    MAX_MOUNTS,
    MAX_SEGMENTS,
    Placed,
    Segment,
    Stored,
    Table,
    check_bounds,
    check_name,
    table_of,
)
from ironkeep.store.barrier import Barrier
from ironkeep.store.history import History
from ironkeep.store.keyring import SegmentId
from ironkeep.store.record import Codec
from ironkeep.store.reserved import SEGMENTS, UPKEEP, StoreOf
from ironkeep.store.state import Tx

OPTION: Final = "segment"
"""The mount option that names the mount's segment."""
KIND: Final = "segment"
"""The kind under which the history records segments."""
RAZE_STEP: Final = 1_024
"""Rows of a destroyed segment that one tick removes: some 10 ms."""

_TABLE: Final = "table"
_STORED: Final = Codec(Stored)
_SEGMENT: Final = Codec(Segment)


class Segments:
    """Stores segments; `keys` holds the keys of the open ones."""

    def __init__(
        self,
        stores: StoreOf,
        history: History,
        entropy: Entropy,
        served: frozenset[str] | None = None,
    ) -> None:
        """Take the names of the segments that this server may open; None means all of them."""
        self._stores: Final = stores
        self._history: Final = history
        self._entropy: Final = entropy
        self.keys: Final = SegmentKeys(entropy, served)
        self._derived: tuple[Row | None, Table] = (None, EMPTY)
        self._edition = 0
        self.on_house_open: Callable[[Tx], None] = _nothing

    def table(self, tx: Tx) -> Table:
        """Return the segments in force."""
        edition = tx.edition()
        if edition and edition == self._edition:
            return self._derived[1]
        store = self._stores(tx, SEGMENTS)
        key = store.key_of(_TABLE)
        row = store.row_at(key)
        if row is not self._derived[0]:
            self._derived = (row, EMPTY if row is None else table_of(self._stored(tx)))
        tx.watch((key,))
        self._edition = tx.edition()
        return self._derived[1]

    def find(self, tx: Tx, name: str) -> Segment:
        """Return a segment that is not destroyed; raise NotFound."""
        found = self.table(tx).by_name.get(name)
        if found is None:
            raise NotFound(f"there is no segment {name[:64]!r}")
        if found.state != "live":
            raise NotFound(f"segment {name!r} was destroyed {rfc3339(found.destroyed_ns)}")
        return found

    def create(
        self,
        tx: Tx,
        name: str,
        networks: tuple[str, ...],
        devices: tuple[str, ...],
        scheme: tuple[int, int],
        now_ns: int,
        *,
        with_key_file: bool = False,
    ) -> tuple[Segment, Initialised]:
        """Make a segment and its keys; return it sealed, with its shares, which are not stored.

        `scheme` is shares and threshold. Raise InvalidRequest for an invalid name, network or
        scheme, Conflict for a name that was ever used, TooLarge past MAX_SEGMENTS.
        """
        check_name(name)
        check_bounds(networks, devices)
        known = self.table(tx).by_name
        if name in known:
            raise Conflict(f"segment {name!r} exists or has existed: names are never reused")
        if len(known) >= MAX_SEGMENTS:
            raise TooLarge(f"at most {MAX_SEGMENTS} segments can ever be made, and all are used")
        segment = Segment(
            name, FIRST_NUMBER + len(known), SegmentId(uuid(self._entropy.token(16))), now_ns,
            networks, devices, key_file=with_key_file,
        )  # fmt: skip
        # Do not keep this Seal: if the request is refused later, its keys belong to no segment.
        seal = Seal(segment.id, self._entropy)
        made = seal.initialise(tx, now_ns, *scheme, with_key_file=with_key_file)
        self._save(tx, segment, now_ns)
        return segment, made

    def configure(
        self, tx: Tx, name: str, networks: tuple[str, ...], devices: tuple[str, ...], now_ns: int
    ) -> Segment:
        """Change the networks and device classes of a segment; errors as `find` and `create`."""
        check_bounds(networks, devices)
        changed = msgspec.structs.replace(self.find(tx, name), networks=networks, devices=devices)
        self._save(tx, changed, now_ns)
        return changed

    def unseal(
        self, tx: Tx, name: str, key: str, *, reset: bool = False, nonce: str = ""
    ) -> SealStatus:
        """Take one share of a segment; open it when that completes the threshold.

        Errors as `find` and Seal.unseal; InvalidRequest when this server does not serve it.
        """
        return self.keys.unseal(tx, self.find(tx, name), key, reset=reset, nonce=nonce)

    def unseal_with_file(self, tx: Tx, name: str, content: bytes) -> None:
        """Open a segment with the content of its key file; errors as `unseal`."""
        self.keys.unseal_with_file(tx, self.find(tx, name), content)

    def seal(self, tx: Tx, name: str) -> Segment:
        """Drop the keys of a segment and all that was derived with them, if it is open."""
        segment = self.find(tx, name)
        self.keys.drop(segment)
        return segment

    def cut(self, tx: Tx, name: str, now_ns: int) -> Segment:
        """Seal a segment and end all tokens that were issued through its mounts until now."""
        segment = msgspec.structs.replace(self.find(tx, name), cut_ns=now_ns)
        self._save(tx, segment, now_ns)
        self.keys.drop(segment)
        return segment

    def destroy(self, tx: Tx, name: str, now_ns: int) -> Segment:
        """Remove the wraps and the keyring of a segment; later ticks remove its rows.

        The keys are dropped even when the transaction is then discarded, which only seals it.
        """
        found = self.find(tx, name)
        gone = msgspec.structs.replace(
            found, state="destroying", destroyed_ns=now_ns, cut_ns=now_ns
        )
        self.keys.drop(found)
        tx.delete(config_key(found.id))
        tx.delete(keyring_key(found.id))
        self._save(tx, gone, now_ns)
        return gone

    def place(self, tx: Tx, name: str, uuid_: MountUuid, accessor: MountAccessor) -> None:
        """Put a mount, which has no records yet, into a segment; errors as `find`, and TooLarge."""
        segment = self.find(tx, name)
        if len(segment.mounts) >= MAX_MOUNTS:
            raise TooLarge(f"segment {name!r} has had {MAX_MOUNTS} mounts already")
        self._write(
            tx,
            msgspec.structs.replace(segment, mounts=(*segment.mounts, Placed(uuid_, accessor))),
        )

    def barrier_of(self, tx: Tx, place: str) -> Barrier | None:
        """Return the barrier for the records of a place; None when the vault's own applies.

        Errors as SegmentKeys.barrier.
        """
        segment = self.table(tx).by_place.get(place)
        return None if segment is None else self.keys.barrier(segment)

    def barrier_of_mount(self, tx: Tx, place: MountUuid, name: str) -> Barrier:
        """Return the barrier of a mount whose options name its segment; errors as `barrier_of`."""
        segment = self.table(tx).by_place.get(place)
        if segment is None or segment.name != name:
            raise IntegrityError(f"the mount names segment {name!r}, which does not list it")
        return self.keys.barrier(segment)

    def tick(
        self, tx: Tx, note: Callable[[str, str, dict[str, Value]], object], now_ns: int
    ) -> None:
        """Rotate due keyrings of open segments, and remove more rows of destroyed segments.

        `note` journals the changes before tx is merged here. Removing rows needs no segment keys.
        """
        fresh = self.keys.rotated(tx, self._stores(tx, UPKEEP), now_ns)
        razed = self._raze(tx, now_ns)
        if not fresh and not razed:
            return
        note("tick", "segments", {"keys": len(fresh), "razed": razed})
        tx.merge()
        for held, barrier in fresh:
            held.change(barrier)

    def _raze(self, tx: Tx, now_ns: int) -> str:
        """Remove rows of one destroyed segment, `RAZE_STEP` at most; return its name, or ""."""
        doomed = [each for each in self.table(tx).by_name.values() if each.state == "destroying"]
        if not doomed:
            return ""
        segment = doomed[0]
        keys = [key for key, _ in islice(tx.scan(segment.space), RAZE_STEP)]
        for key in keys:
            tx.delete(key)
        if len(keys) < RAZE_STEP:
            self._save(tx, msgspec.structs.replace(segment, state="destroyed"), now_ns)
        return segment.name

    def forget(self) -> None:
        """Drop the keys of all segments, because the vault is being sealed."""
        self.keys.forget()
        self._derived, self._stamp = (None, EMPTY), 0

    def _stored(self, tx: Tx) -> Stored:
        raw = self._stores(tx, SEGMENTS).get(_TABLE)
        return Stored() if raw is None else _STORED.decode(raw)

    def _save(self, tx: Tx, segment: Segment, now_ns: int) -> None:
        self._write(tx, segment)
        self._history.record(tx, KIND, segment.name, _SEGMENT.encode(segment), now_ns)

    def _write(self, tx: Tx, segment: Segment) -> None:
        others = [each for each in self._stored(tx).segments if each.name != segment.name]
        ordered = tuple(sorted((*others, segment), key=lambda each: each.number))
        self._stores(tx, SEGMENTS).put(_TABLE, _STORED.encode(Stored(ordered)))


def _nothing(_tx: Tx) -> None:
    """Open no segment: the default of `on_house_open`."""
