"""The versions of a key in KV version 2: where each is stored, so that a write costs its own size.

    meta/KEY            the key's settings and its newest versions: engines/kv/metadata.py
    data/KEY 0x00 N     the object of version N, or of one that took its place
    data/KEY 0x00 v C   chunk C: the metadata of versions 32 C + 1 to 32 C + 32

A key with fewer than `2 * CHUNK` versions has the first record alone. From then on the oldest ones
move to chunks, one chunk in `CHUNK` writes, and the first record stays small. A key of before the
chunks, with any number of versions in its first record, is converted by its next changes.

In a key without chunks, a new version that prunes another one takes its place: at the limit of
versions a write replaces two rows and adds none (ADR 40).

The versions of a key are contiguous: versions are added above and removed below. A chunk may still
hold some that were removed; those below `KeyMetadata.oldest` do not count.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from ironkeep.core.errors import IntegrityError
from ironkeep.credentials.gone.spans import Span, added
from ironkeep.engines.kv import metadata as meta
from ironkeep.engines.kv.metadata import KeyMetadata, Known, Version
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec

CHUNK: Final = 32
"""Versions in a chunk; the key's own record holds fewer than twice as many."""
CHANGED: Final = 64
"""Versions removed or changed in one turn: each takes some 50 us with its row."""
LISTED: Final = 512
"""Versions listed in one turn: each takes some 5 us."""
AT_ONCE: Final = 16
"""Chunks made by one change of a key of before: some 2 ms."""


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive versions of a key, from number `first` on."""

    first: int
    versions: tuple[Version, ...]


_CHUNK: Final = Codec(Chunk)


def data_path(path: str, key: KeyMetadata, number: int) -> str:
    """Return the path of a version's data; the zero byte separates it from every key's name."""
    return f"data/{path}\0{key.slots.get(number, number)}"


def chunk_path(path: str, number: int) -> str:
    """Return the path of the chunk that holds a version."""
    return f"data/{path}\0v{(number - 1) // CHUNK}"


def find(store: Store, path: str, key: KeyMetadata, number: int) -> Version | None:
    """Return the metadata of a version, or None if there is no such version."""
    found = key.versions.get(number)
    if found is None and _is_spilled(key, number):
        return _chunked(store, path, number)[number]
    return found


def every(
    store: Store, path: str, key: KeyMetadata, since: int = 0
) -> Iterator[tuple[int, Version]]:
    """Yield all versions from number `since` on, in order."""
    number = max(key.first, since)
    while 0 < number <= key.spilled:
        chunk = _chunked(store, path, number)
        while number in chunk:
            yield number, chunk[number]
            number += 1
    recent = key.current + 1 - len(key.versions)
    for each in range(max(number, recent), key.current + 1):
        yield each, key.versions[each]


def change(
    store: Store,
    path: str,
    key: KeyMetadata,
    numbers: Sequence[int],
    changed: Callable[[Version], Version],
) -> None:
    """Store the key with the given versions changed; unknown numbers are ignored.

    The data of those that are destroyed is removed.
    """
    recent = dict(key.versions)
    chunks: dict[str, dict[int, Version]] = {}
    gone = []
    for number in numbers:
        where = recent
        if _is_spilled(key, number):
            at = chunk_path(path, number)
            where = chunks.get(at) or chunks.setdefault(at, _chunked(store, path, number))
        version = where.get(number)
        if version is not None:
            where[number] = changed(version)
            if where[number].destroyed:
                gone.append(data_path(path, key, number))
    store.delete_all(gone)
    for at, versions in chunks.items():
        store.put(at, _encoded(versions))
    save(store, path, replace(key, versions=recent))


def save(store: Store, path: str, key: KeyMetadata) -> Known:
    """Write the metadata of the key at path, its oldest versions to chunks if they are many."""
    return meta.save(
        store, path, key if len(key.versions) < 2 * CHUNK else _spill(store, path, key)
    )


def _spill(store: Store, path: str, key: KeyMetadata) -> KeyMetadata:
    """Move the oldest versions of the key's own record to chunks; return the key without them."""
    recent = dict(sorted(key.versions.items()))
    oldest, spilled = key.oldest, key.spilled
    for _ in range(min(AT_ONCE, len(recent) // CHUNK - 1)):
        start = next(iter(recent))
        spilled = start + CHUNK - 1 - (start - 1) % CHUNK
        moved = {number: recent.pop(number) for number in range(start, spilled + 1)}
        store.put(chunk_path(path, start), _encoded(moved), fresh=True)
    return replace(key, versions=recent, first=oldest, spilled=spilled)


def _past(store: Store, path: str, key: KeyMetadata, count: int, now_ns: int) -> tuple[Span, ...]:
    """Return the spans of the versions that are gone once the oldest `count` are, which is now."""
    dropped = islice(every(store, path, key), count)
    spans = [Span(number, number, version.created_ns, now_ns) for number, version in dropped]
    if spans and key.older and spans[0].first == 1:
        spans[0] = Span(1, 1, 0, now_ns)
    return added(known_past(store, path, key), spans)


def known_past(store: Store, path: str, key: KeyMetadata) -> tuple[Span, ...]:
    """Return the spans of the versions that are gone.

    Earlier releases removed versions without a record. They did so when a version was written, so
    it was not after the last one was.
    """
    if key.past or key.oldest <= 1:
        return key.past
    last = find(store, path, key, key.current)
    until_ns = key.updated_ns if last is None else last.created_ns
    return (Span(1, key.oldest - 1, 0 if key.older else key.created_ns, until_ns),)


def add(
    store: Store, path: str, key: KeyMetadata, version: Version, body: bytes, surplus: int
) -> Known:
    """Store a new version, and remove the oldest `surplus` ones; return the key's metadata."""
    number, slot = key.current + 1, 0
    if surplus:
        slot = 0 if key.first else key.slots.get(key.oldest, key.oldest)
        changes = _dropped(store, path, key, surplus, version.created_ns, taken=slot)
    else:
        changes = {"versions": dict(key.versions)}
    if slot:
        changes["slots"][number] = slot
    changes["versions"][number] = version
    key = replace(key, current=number, updated_ns=version.created_ns, **changes)
    # Numbers are never used again, so there is no record under a version's own.
    store.put(data_path(path, key, number), body, fresh=not slot)
    return save(store, path, key)


def drop(store: Store, path: str, key: KeyMetadata, count: int, now_ns: int) -> KeyMetadata:
    """Remove the oldest `count` versions with their data; return the key, to be saved."""
    return replace(key, **_dropped(store, path, key, count, now_ns))


def _dropped(
    store: Store, path: str, key: KeyMetadata, count: int, now_ns: int, *, taken: int | None = None
) -> dict[str, Any]:
    """Remove the oldest `count` versions with their data; return the fields of the key that change.

    `taken` is given if a new version comes with it: the data under that number stays, as the new
    version replaces it. It is 0 if there is none.
    """
    oldest = key.oldest
    left = oldest + count
    slots = [key.slots.get(number, number) for number in range(oldest, left)]
    gone = [f"data/{path}\0{slot}" for slot in slots if slot != taken]
    if key.first:
        # A chunk goes with the last of its versions.
        end = oldest + CHUNK - 1 - (oldest - 1) % CHUNK
        ends = range(end, min(left - 1, key.spilled) + 1, CHUNK)
        gone += [chunk_path(path, number) for number in ends]
    past = _past(store, path, key, count, now_ns)
    if gone:
        store.delete_all(gone, folders_stay=taken is not None)
    recent, first, spilled = dict(key.versions), left, key.spilled
    if left > spilled:
        for number in range(max(oldest, spilled + 1), left):
            del recent[number]
        first = spilled = 0
    kept = {number: slot for number, slot in key.slots.items() if number >= left}
    return {"versions": recent, "first": first, "spilled": spilled, "past": past, "slots": kept}


def _is_spilled(key: KeyMetadata, number: int) -> bool:
    return 0 < key.first <= number <= key.spilled


def _chunked(store: Store, path: str, number: int) -> dict[int, Version]:
    record = store.get(chunk_path(path, number))
    chunk = None if record is None else _CHUNK.decode(record)
    if chunk is None or not 0 <= number - chunk.first < len(chunk.versions):
        raise IntegrityError(
            f"the metadata of version {number} of a key is missing: it was removed outside "
            "Ironkeep. Keep a copy of the data for evidence and restore from a snapshot"
        )
    return dict(enumerate(chunk.versions, chunk.first))


def _encoded(versions: dict[int, Version]) -> bytes:
    return _CHUNK.encode(Chunk(min(versions), tuple(versions[n] for n in sorted(versions))))
