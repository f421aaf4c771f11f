"""Who may read the journal: the private reading keys, kept inside the barrier.

The journal's keys are not the seal's: they are made by themselves, and whoever holds only a reading
key reads the journal and nothing else. Until the vault is initialised there is no barrier to keep a
private key in, so it lives in memory; initialising takes it over, and makes the one for all later
entries.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.core.leaf import KEY_SIZE, Disclosed
from ironkeep.core.ports import Entropy, Row, Storage
from ironkeep.core.secret import Secret
from ironkeep.kernel.barrier import Store
from ironkeep.kernel.keyring import SegmentId
from ironkeep.kernel.log_reader import Leaves, Reader
from ironkeep.kernel.seal_config import plain_key
from ironkeep.kernel.view import View

HOUSE: Final = SegmentId("house")

_ROW: Final = plain_key(HOUSE, "journal-reading-key")
_VERSION: Final = b"\x01"
_PATH: Final = "reading-keys"


class _Period(msgspec.Struct, frozen=True, array_like=True):
    """A private key, and the first index whose entry was sealed to it."""

    first: int
    private: bytes

    def __repr__(self) -> str:
        return f"_Period(first={self.first})"


_PERIODS: Final = msgspec.msgpack.Decoder(tuple[_Period, ...])


@dataclass(frozen=True, slots=True)
class ReadingKey:
    """A key pair; private is None when only the public half is at hand."""

    public: bytes
    private: Secret | None


def new_reading_key(entropy: Entropy) -> ReadingKey:
    """Return a fresh pair."""
    private = entropy.token(KEY_SIZE)
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return ReadingKey(public, Secret(private))


def reading_key_of(storage: Storage, entropy: Entropy) -> ReadingKey:
    """Return the key to seal entries to: the stored one, or a fresh one before initialisation."""
    row = storage.get(_ROW)
    if row is None:
        return new_reading_key(entropy)
    if row.value[:1] != _VERSION or len(row.value) != 1 + KEY_SIZE:
        raise IntegrityError("the stored reading key of the journal is damaged")
    return ReadingKey(row.value[1:], None)


def store_keys(
    view: View, store: Store, earlier: tuple[int, Secret] | None, first: int, key: ReadingKey
) -> None:
    """File key for the entries from first on, and the one before it, if its owner still has it."""
    assert key.private is not None
    periods = [_Period(earlier[0], earlier[1].reveal())] if earlier is not None else []
    periods.append(_Period(first, key.private.reveal()))
    store.put(_PATH, msgspec.msgpack.encode(periods))
    view.put(_ROW, Row(_VERSION + key.public))


class AuditReader:
    """Reads entries across all reading keys; entries older than the first key are passed over."""

    def __init__(self, log: Leaves, periods: tuple[tuple[int, Secret], ...]) -> None:
        self._log: Final = log
        self._readers: Final = [(first, Reader(log, private)) for first, private in periods]

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, Entry]]:
        """Yield (index, entry) in order for [first, last); None is up to the durable end."""
        end = self._log.size if last is None else min(last, self._log.size)
        for start, stop, reader in self._spans(first, end):
            yield from reader.entries(start, stop)

    def disclosures(self, first: int, last: int) -> Iterator[Disclosed]:
        """Yield what `disclose` returns for each entry that can be read in [first, last)."""
        for start, stop, reader in self._spans(first, min(last, self._log.size)):
            yield from reader.disclosures(start, stop)

    def search(
        self, accept: Callable[[Entry], bool], first: int, last: int | None, limit: int
    ) -> list[tuple[int, Entry]]:
        """Return the first limit entries of [first, last) that accept says yes to."""
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
        """Return what may be shown as the content of the leaf at index; raise NotFound."""
        chosen = self._readers[0][1]
        for start, reader in self._readers:
            if start <= index:
                chosen = reader
        return chosen.disclose(index)


def audit_reader(log: Leaves, store: Store) -> AuditReader:
    """Return the reader for log with the keys in store; raise IntegrityError without any."""
    raw = store.get(_PATH)
    if raw is None:
        raise IntegrityError("the journal's reading keys are missing from the barrier")
    return AuditReader(
        log, tuple((item.first, Secret(item.private)) for item in _PERIODS.decode(raw))
    )
