"""The private keys that read the journal, stored inside the barrier.

Reading keys are independent of the seal's keys: a reading key opens the journal and nothing else.
Until the vault is initialised there is no barrier to store a private key in, so the first one stays
in memory; initialising stores it, and makes the key for all later entries. Entry indices count
within one log, so each key is stored with its log's origin. A log that continues another one uses
the same key.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ironkeep.core.errors import IntegrityError, Sealed
from ironkeep.core.event import Entry
from ironkeep.core.evidence.leaf import KEY_SIZE, Disclosed
from ironkeep.core.ports import Entropy, Row, Storage
from ironkeep.core.secret import Secret
from ironkeep.journal.entries import Leaves, Reader
from ironkeep.seal.config import plain_key
from ironkeep.store.barrier import Store
from ironkeep.store.keyring import SegmentId
from ironkeep.store.rows import RowView
from ironkeep.store.standing.sethash import REMEDY

HOUSE: Final = SegmentId("house")

_ROW: Final = plain_key(HOUSE, "journal-reading-key")
_VERSION: Final = b"\x01"
_PATH: Final = "reading-keys"
_ORIGIN: Final = re.compile(r".+/[0-9]+")


class _Period(msgspec.Struct, frozen=True, array_like=True):
    """A private key, and the log and first index from which entries were sealed to it."""

    origin: str
    first: int
    private: bytes

    def __repr__(self) -> str:
        return f"_Period(origin={self.origin!r}, first={self.first})"


_PERIODS: Final = msgspec.msgpack.Decoder(list[_Period])


@dataclass(frozen=True, slots=True)
class ReadingKey:
    """A key pair; `private` is None when only the public key is known."""

    public: bytes
    private: Secret | None


def new_reading_key(entropy: Entropy) -> ReadingKey:
    """Return a fresh pair."""
    private = entropy.token(KEY_SIZE)
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return ReadingKey(public, Secret(private))


def reading_key_of(storage: Storage, entropy: Entropy) -> ReadingKey:
    """Return the key to encrypt entries to: the stored one, or a new one before initialisation."""
    row = storage.get(_ROW)
    if row is None:
        return new_reading_key(entropy)
    if row.value[:1] != _VERSION or len(row.value) <= 1 + KEY_SIZE:
        raise IntegrityError(f"the journal's key was changed outside Ironkeep: {REMEDY}")
    return ReadingKey(row.value[1 : 1 + KEY_SIZE], None)


def stored_origin(rows: Storage | RowView) -> str:
    """Return the origin of the log that the rows were last opened with; "" before initialisation.

    It can be read without keys. Trust it only after the rows have been checked. Raise
    IntegrityError if it names no log.
    """
    row = rows.get(_ROW)
    if row is None:
        return ""
    origin = row.value[1 + KEY_SIZE :].decode("utf-8", "replace")
    if not _ORIGIN.fullmatch(origin):
        raise IntegrityError(f"the name of the vault's log was changed outside Ironkeep: {REMEDY}")
    return origin


def store_keys(
    view: RowView,
    store: Store,
    origin: str,
    earlier: tuple[int, Secret] | None,
    first: int,
    key: ReadingKey,
) -> None:
    """Store key for the log's entries from index first on, and the earlier key, if there is one.

    `earlier` is the first index of that key and the key itself.
    """
    assert key.private is not None
    periods = [_Period(origin, earlier[0], earlier[1].reveal())] if earlier is not None else []
    periods.append(_Period(origin, first, key.private.reveal()))
    _put(view, store, periods, key.public)


def continue_keys(view: RowView, store: Store, origin: str) -> None:
    """Record that the log named origin, which continues another, is sealed to the same key."""
    row = view.get(_ROW)
    assert row is not None
    periods = _periods(store)
    periods.append(_Period(origin, 0, periods[-1].private))
    _put(view, store, periods, row.value[1 : 1 + KEY_SIZE])


def _put(view: RowView, store: Store, periods: list[_Period], public: bytes) -> None:
    store.put(_PATH, msgspec.msgpack.encode(periods))
    view.put(_ROW, Row(_VERSION + public + periods[-1].origin.encode()))


@dataclass(frozen=True, slots=True)
class ReadingKeys:
    """All private reading keys: those of this log, and of the logs that it continues."""

    periods: tuple[_Period, ...]

    def of(self, origin: str) -> tuple[tuple[int, Secret], ...]:
        """Return the private keys of a log, each with the first index from which it reads.

        A log without a key of its own has the key of the latest log.
        """
        own = [(each.first, Secret(each.private)) for each in self.periods if each.origin == origin]
        return tuple(own) or ((0, Secret(self.periods[-1].private)),)

    def reader(self, log: Leaves) -> "AuditReader":
        """Return the reader for log."""
        return AuditReader(log, self.of(log.origin))

    def packed(self) -> bytes:
        """Return the keys in clear as bytes, for a pipe to the process that answers questions."""
        return msgspec.msgpack.encode(self.periods)

    @classmethod
    def unpacked(cls, raw: bytes) -> "ReadingKeys":
        """Return the keys from `packed`."""
        return cls(tuple(_PERIODS.decode(raw)))


def reading_keys(store: Store) -> ReadingKeys:
    """Return the keys in store; raise IntegrityError if none is stored."""
    return ReadingKeys(tuple(_periods(store)))


def _periods(store: Store) -> list[_Period]:
    raw = store.get(_PATH)
    if raw is None:
        raise IntegrityError("the journal's reading keys are missing from the barrier")
    return _PERIODS.decode(raw)


class AuditReader:
    """Reads entries across all reading keys; entries older than the first key are skipped."""

    def __init__(self, log: Leaves, periods: tuple[tuple[int, Secret], ...]) -> None:
        self._log: Final = log
        self._readers: Final = [(first, Reader(log, private)) for first, private in periods]

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, Entry]]:
        """Yield (index, entry) in order for [first, last); a last of None is the durable end."""
        end = self._log.size if last is None else min(last, self._log.size)
        for start, stop, reader in self._spans(first, end):
            yield from reader.entries(start, stop)

    def disclosures(self, first: int, last: int) -> Iterator[Disclosed]:
        """Yield the disclosure (see `disclose`) of each readable entry in [first, last)."""
        for start, stop, reader in self._spans(first, min(last, self._log.size)):
            yield from reader.disclosures(start, stop)

    def search(
        self, accept: Callable[[Entry], bool], first: int, last: int | None, limit: int
    ) -> list[tuple[int, Entry]]:
        """Return the first `limit` entries of [first, last) that `accept` selects."""
        found: list[tuple[int, Entry]] = []
        for index, entry in self.entries(first, last):
            if len(found) >= limit:
                break
            if accept(entry):
                found.append((index, entry))
        return found

    def _spans(self, first: int, end: int) -> Iterator[tuple[int, int, Reader]]:
        for position, (start, reader) in enumerate(self._readers):
            later = self._readers[position + 1 :]
            yield max(first, start), min(end, later[0][0]) if later else end, reader

    def disclose(self, index: int) -> Disclosed:
        """Return the content of the leaf at index in its disclosed form; raise NotFound."""
        chosen = self._readers[0][1]
        for start, reader in self._readers:
            if start <= index:
                chosen = reader
        return chosen.disclose(index)


class JournalReading:
    """Holds the reader of the journal, and the keys for other readers, while the vault is unsealed.

    `on_open` is called with the keys, and `on_close` when they are dropped.
    """

    def __init__(self) -> None:
        self._reader: AuditReader | None = None
        self._keys: ReadingKeys | None = None
        self.on_open: Callable[[ReadingKeys], None] = _ignored
        self.on_close: Callable[[], None] = _ignored

    def open(self, log: Leaves, keys: ReadingKeys) -> AuditReader:
        """Make the entries of log readable with keys; return the reader."""
        self._keys = keys
        self._reader = reader = keys.reader(log)
        self.on_open(keys)
        return reader

    def close(self) -> None:
        """Drop the keys."""
        self._reader = self._keys = None
        self.on_close()

    @property
    def is_open(self) -> bool:
        """Whether the keys are there."""
        return self._reader is not None

    def reader(self) -> AuditReader:
        """Return the reader; raise Sealed without keys."""
        if self._reader is None:
            raise Sealed("Vault is sealed")
        return self._reader

    def keys(self) -> ReadingKeys:
        """Return all reading keys; raise Sealed without them."""
        if self._keys is None:
            raise Sealed("Vault is sealed")
        return self._keys


def _ignored(*_said: object) -> None:
    """Do nothing: the default callback."""


def audit_reader(log: Leaves, store: Store) -> AuditReader:
    """Return the reader for log with the keys in store; raise IntegrityError if none is stored.

    A log without a stored key continues the latest stored log, with the same key.
    """
    return reading_keys(store).reader(log)
