"""The records of a run: every term in it with its positions, sorted, and the tree over them.

    record       digest 16 ‖ positions (index/positions.py)
    tree leaf    digest 16 ‖ SHA-256(positions)
    TIMES        its chunks are the earliest and the latest time of a level-0 run, each as a signed
                 64-bit big-endian number; an empty chunk if no entry of the run was read

The tree is RFC 6962's. The same entries give the same records and the same root everywhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from struct import Struct
from typing import Any, Final, NamedTuple

from ironkeep.core.errors import IntegrityError
from ironkeep.index.key import TermKey
from ironkeep.index.positions import FAN, RUN, chunks_of, encode_chunk, record_of
from ironkeep.index.terms import (
    TIMES,
    Facts,
    Shown,
    Term,
    actor_terms,
    is_plain,
    path_terms,
    rare_terms,
    release,
    secret,
)
from ironkeep.tlog.merkle import leaf_hash, node_hash

Record = tuple[bytes, bytes]
"""A digest and its positions."""

Actors = tuple[str, str, str]
"""The entity, accessor and device of an entry."""

Place = tuple[str, str, int]
"""The mount, record path and version of a released secret."""

_TIMES: Final = Struct(">qq")
_LEAST: Final = -(1 << 63)
_MOST: Final = (1 << 63) - 1
_CACHED: Final = 1 << 16
"""Digests of one kind kept from one run to the next."""


class Times(NamedTuple):
    """The earliest and the latest time of the entries in the level-0 run that starts with first."""

    first: int
    earliest: int
    latest: int


class Digests:
    """Computes the digests of terms, and remembers those that runs are likely to share."""

    def __init__(self, key: TermKey) -> None:
        self.key: Final = key
        self._terms: Final[dict[Term, bytes]] = {}
        self._actors: Final[dict[Actors, tuple[bytes, ...]]] = {}
        self._paths: Final[dict[str, tuple[bytes, ...]]] = {}
        self._places: Final[dict[Place, tuple[bytes, bytes]]] = {}

    def of(self, term: Term) -> bytes:
        """Return the digest of a term."""
        found = self._terms.get(term)
        if found is None:
            _make_room(self._terms)
            found = self._terms[term] = self.key.of(term)
        return found

    def of_actors(self, who: Actors) -> tuple[bytes, ...]:
        """Return the digests of an entry's actors."""
        found = self._actors.get(who)
        if found is None:
            _make_room(self._actors)
            found = self._actors[who] = tuple(map(self.of, actor_terms(*who)))
        return found

    def of_path(self, path: str) -> tuple[bytes, ...]:
        """Return the digests of a path and its folders."""
        found = self._paths.get(path)
        if found is None:
            _make_room(self._paths)
            found = self._paths[path] = tuple(map(self.of, path_terms(path)))
        return found

    def of_release(self, place: Place) -> tuple[bytes, bytes]:
        """Return the digests of a released secret: of all its versions, and of this one."""
        found = self._places.get(place)
        if found is None:
            _make_room(self._places)
            mount, path, _ = place
            found = self._places[place] = self.of(secret(mount, path)), self.of(release(*place))
        return found


class RunBuilder:
    """Collects the terms of one level-0 run; offsets count from its first leaf, ascending."""

    def __init__(self, digests: Digests) -> None:
        self._digests: Final = digests
        # By digest; each list starts with -1, before the first offset.
        self._lists: Final[dict[bytes, list[int]]] = {}
        # The lists of terms that come together, by the fields that they follow from.
        self._actors: Final[dict[Actors, tuple[list[int], ...]]] = {}
        self._paths: Final[dict[str, tuple[list[int], ...]]] = {}
        self._secrets: Final[dict[Place, tuple[list[int], list[int]]]] = {}
        self._earliest = _MOST
        self._latest = _LEAST

    def take(self, offset: int, facts: Facts) -> None:
        """Add the entry at offset."""
        who = (facts.entity, facts.accessor, facts.device)
        lists = self._actors.get(who)
        if lists is None:
            lists = self._actors[who] = tuple(map(self._list, self._digests.of_actors(who)))
        for each in lists:
            each.append(offset)
        lists = self._paths.get(facts.path)
        if lists is None:
            lists = self._paths[facts.path] = tuple(
                map(self._list, self._digests.of_path(facts.path))
            )
        for each in lists:
            each.append(offset)
        for shown in facts.released:
            self._release(offset, shown)
        if not is_plain(facts):
            self._add_terms(offset, rare_terms(facts))
        self._take_time(facts.time_ns)

    def take_terms(self, offset: int, time_ns: int, terms: Iterable[Term]) -> None:
        """Add the entry at offset by all of its terms: what `take` does, without shortcuts."""
        self._add_terms(offset, terms)
        self._take_time(time_ns)

    def take_leaf(self, offset: int, fact: Term) -> None:
        """Add a leaf that is no readable entry: UNREAD, INDEX_LEAVES or KEY_LEAVES."""
        self._list(self._digests.of(fact)).append(offset)

    def records(self) -> list[Record]:
        """Return the records, sorted."""
        found = [
            (digest, record_of(encode_chunk(offsets[1:])))
            for digest, offsets in self._lists.items()
        ]
        times = b""
        if self._earliest <= self._latest:
            times = _TIMES.pack(max(self._earliest, _LEAST), min(self._latest, _MOST))
        found.append((self._digests.of(TIMES), record_of(times)))
        found.sort()
        return found

    def _release(self, offset: int, shown: Shown) -> None:
        place = (shown.mount, shown.path, shown.version)
        lists = self._secrets.get(place)
        if lists is None:
            whole, version = self._digests.of_release(place)
            lists = self._secrets[place] = self._list(whole), self._list(version)
        for offsets in lists:
            _add(offsets, offset)

    def _add_terms(self, offset: int, terms: Iterable[Term]) -> None:
        for term in terms:
            _add(self._list(self._digests.of(term)), offset)

    def _take_time(self, time_ns: int) -> None:
        self._earliest = min(self._earliest, time_ns)
        self._latest = max(self._latest, time_ns)

    def _list(self, digest: bytes) -> list[int]:
        found = self._lists.get(digest)
        if found is None:
            found = self._lists[digest] = [-1]
        return found


def _make_room(cache: dict[Any, Any]) -> None:
    if len(cache) >= _CACHED:
        cache.clear()


def _add(offsets: list[int], offset: int) -> None:
    """Add an offset, unless the same entry has added it already."""
    if offsets[-1] != offset:
        offsets.append(offset)


class Merger:
    """Merges the records of the level-0 runs of a run of level 1, taken in order."""

    def __init__(self) -> None:
        self._runs = 0
        self._found: Final[dict[bytes, list[bytes]]] = {}

    def take(self, records: Iterable[Record]) -> None:
        """Add the records of the next run."""
        found = self._found
        head = self._runs.to_bytes(1, "big")
        for digest, record in records:
            shown = head + record[1:]
            known = found.get(digest)
            if known is None:
                found[digest] = [shown]
            else:
                known.append(shown)
        self._runs += 1

    def records(self) -> list[Record]:
        """Return the merged records, sorted."""
        if self._runs != FAN:
            raise ValueError(f"{FAN} runs of level 0 make one of level 1")
        return [(digest, b"".join(self._found[digest])) for digest in sorted(self._found)]


def times_of(record: bytes, start: int) -> Iterator[Times]:
    """Yield the times of each level-0 run in a record of TIMES whose range starts with `start`."""
    for ordinal, chunk in chunks_of(record):
        if not chunk:
            continue
        if len(chunk) != _TIMES.size:
            raise IntegrityError("index: the times of a run are damaged")
        earliest, latest = _TIMES.unpack(chunk)
        if earliest > latest:
            raise IntegrityError("index: the times of a run are out of order")
        yield Times(start + ordinal * RUN, earliest, latest)


def tree_leaf(digest: bytes, positions_hash: bytes) -> bytes:
    """Return the hash of a record's leaf in the tree."""
    return leaf_hash(digest + positions_hash)


def record_hash(record: Record) -> bytes:
    """Return the hash of a record's leaf in the tree."""
    return leaf_hash(record[0] + sha256(record[1]).digest())


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a tree of at least one leaf hash, or of its roots of equal subtrees.

    The last subtree may be smaller than the others.
    """
    while len(hashes) > 1:
        pairs = [
            node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=False)
        ]
        if len(hashes) & 1:
            pairs.append(hashes[-1])
        hashes = pairs
    return hashes[0]
