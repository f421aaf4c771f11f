"""Proofs that the index of a log has certain positions for a term, or none.

A proof covers a range of leaves. For every run in it that has an index leaf in the log, it shows
that leaf, and for each term its record or its two neighbours in the run's tree. One multiproof
leads from all index leaves to the root of the log. What no index leaf covers, the verifier names as
ranges: these leaves must be shown whole.

A proof rests on the server having indexed its entries truly when it made the index leaf. Anyone
with the reading key can check that (`audit verify`).
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Final

import msgspec

from ironkeep.core.errors import IntegrityError
from ironkeep.core.secret import Secret
from ironkeep.index.key import DIGEST_SIZE, KEY_SIZE, TermKey
from ironkeep.index.leaf import INDEX_LEAF, IndexLeaf, Run, read_index_leaf
from ironkeep.index.positions import positions_of
from ironkeep.index.records import Times, times_of, tree_leaf
from ironkeep.index.terms import TIMES, UNREAD, Term
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.multiproof import verify_multiproof
from ironkeep.tlog.wire import HASH_SIZE, MAX_SIZE

VERSION: Final = 1

MAX_ROOTS: Final = 1 << 16
"""Runs in one proof: more than a log of ten thousand million leaves has."""

MAX_RECORDS: Final = 1 << 12
"""Records and hashes shown for one run: enough for hundreds of terms."""

_Index = Annotated[int, msgspec.Meta(ge=0, le=MAX_SIZE)]
_Hash = Annotated[bytes, msgspec.Meta(min_length=HASH_SIZE, max_length=HASH_SIZE)]
_Digest = Annotated[bytes, msgspec.Meta(min_length=DIGEST_SIZE, max_length=DIGEST_SIZE)]


class ShownRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One leaf of a run's tree: its number, its digest, and its positions or their SHA-256.

    The positions are shown for the queried terms, the hash for neighbours.
    """

    at: _Index
    digest: _Digest
    positions: bytes
    positions_hash: bytes = b""


class ShownRun(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An index leaf with its position in the log, and what is shown of its tree."""

    position: _Index
    leaf: Annotated[bytes, msgspec.Meta(min_length=INDEX_LEAF, max_length=INDEX_LEAF)]
    records: Annotated[tuple[ShownRecord, ...], msgspec.Meta(max_length=MAX_RECORDS)]
    hashes: Annotated[tuple[_Hash, ...], msgspec.Meta(max_length=MAX_RECORDS * 8)]


class IndexProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The runs of a range, the term keys that they were made with, and the way to the log's root.

    `size` is that of the signed head that the proof leads to.
    """

    version: int
    size: _Index
    keys: Annotated[
        tuple[Annotated[bytes, msgspec.Meta(min_length=KEY_SIZE, max_length=KEY_SIZE)], ...],
        msgspec.Meta(max_length=64),
    ]
    runs: Annotated[tuple[ShownRun, ...], msgspec.Meta(max_length=MAX_ROOTS)]
    hashes: Annotated[tuple[_Hash, ...], msgspec.Meta(max_length=MAX_ROOTS * 8)]


@dataclass(frozen=True, slots=True)
class Proven:
    """The answer of a verified proof for a range of leaves.

    `positions` has all positions of each term below the proven ranges. `unread` are entries that
    no reading key opens, `late` the runs whose index leaf was not made at the time, `open` the
    ranges that no index leaf covers: their leaves must be shown whole. `times` is only filled if
    the terms included TIMES. `undecided` has the terms that a partial proof says nothing of, each
    with the first leaf of the first run concerned.
    """

    positions: Mapping[Term, tuple[int, ...]]
    unread: tuple[int, ...]
    late: tuple[Run, ...]
    open: tuple[tuple[int, int], ...]
    times: tuple[Times, ...]
    undecided: Mapping[Term, int]


def encode_proof(proof: IndexProof) -> bytes:
    """Return a proof as bytes (MessagePack)."""
    return _ENCODER.encode(proof)


def decode_proof(data: bytes) -> IndexProof:
    """Return the proof in data; raise IntegrityError unless data is its only encoding."""
    try:
        proof = _DECODER.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise IntegrityError(f"not a proof of an index: {error}") from None
    if _ENCODER.encode(proof) != data:
        raise IntegrityError("a proof of an index is not in its canonical encoding")
    return proof


def verify_proof(
    proof: IndexProof,
    terms: Collection[Term],
    first: int,
    last: int,
    size: int,
    root: bytes,
    *,
    partial: bool = False,
) -> Proven:
    """Return what a proof says of terms in [first, last), under a head of the log.

    The caller has verified the head (size, root). Raises IntegrityError if any part of the proof
    is wrong, missing or superfluous. A partial proof may be of other terms, some of which are these
    (a pack of an earlier release asks other questions); what it does not say is `undecided`.
    """
    if proof.version != VERSION or proof.size != size or not 0 <= first <= last <= size:
        raise IntegrityError("index proof: of another version, head or range")
    leaves = [read_index_leaf(shown.leaf, shown.position) for shown in proof.runs]
    _check_runs(leaves, first, last)
    _check_log(proof, size, root)
    keys = _keys_of(proof, leaves)
    found = _Found(first, last, {term: [] for term in (*terms, UNREAD)}, partial)
    for shown, leaf in zip(proof.runs, leaves, strict=True):
        found.take(shown, leaf, keys[leaf.key_check])
    return found.proven(leaves)


@dataclass(slots=True)
class _Found:
    """The positions and times found so far."""

    first: int
    last: int
    positions: dict[Term, list[int]]
    partial: bool
    undecided: dict[Term, int] = field(default_factory=dict)
    times: list[Times] = field(default_factory=list)
    late: list[Run] = field(default_factory=list)

    def take(self, shown: ShownRun, leaf: IndexLeaf, key: TermKey) -> None:
        """Verify what is shown of a run, and add it."""
        start = leaf.run.first
        wanted = {key.of(term): term for term in self.positions}
        _check_records(shown, leaf, wanted, partial=self.partial)
        decided, absent = _placed(shown.records, leaf.terms, wanted)
        if self.partial:
            for term in self.positions.keys() - decided.keys() - absent:
                self.undecided.setdefault(term, start)
            if UNREAD in self.undecided:
                raise IntegrityError("index proof: it does not say which entries are unreadable")
        else:
            _check_decided(shown.records, decided, absent, wanted)
        for term, record in decided.items():
            if term == TIMES:
                self.times += times_of(record, start)
            else:
                self.positions[term] += positions_of(record, start, self.first, self.last)
        if leaf.is_late(shown.position):
            self.late.append(leaf.run)

    def proven(self, leaves: Sequence[IndexLeaf]) -> Proven:
        """Return the answer; leaves are the index leaves that were shown."""
        positions = {term: tuple(found) for term, found in self.positions.items() if term != TIMES}
        unread = positions.pop(UNREAD)
        return Proven(
            positions,
            unread,
            tuple(self.late),
            tuple(_gaps([leaf.run for leaf in leaves], self.first, self.last)),
            tuple(self.times),
            self.undecided,
        )


def _check_runs(leaves: Sequence[IndexLeaf], first: int, last: int) -> None:
    """Raise unless the runs are in order, apart, and each within the range."""
    end = 0
    for leaf in leaves:
        run = leaf.run
        if run.first < end or run.end <= first or run.first >= last:
            raise IntegrityError("index proof: its runs overlap, are out of order or not asked for")
        end = run.end


def _check_log(proof: IndexProof, size: int, root: bytes) -> None:
    """Raise unless all index leaves are leaves of the log."""
    shown = {each.position: leaf_hash(each.leaf) for each in proof.runs}
    if len(shown) != len(proof.runs):
        raise IntegrityError("index proof: two index leaves at one position")
    if shown:
        verify_multiproof(shown, size, proof.hashes, root)
    elif proof.hashes:
        raise IntegrityError("index proof: hashes without an index leaf")


def _keys_of(proof: IndexProof, leaves: Sequence[IndexLeaf]) -> dict[bytes, TermKey]:
    """Return the term keys by their checks; raise unless they are just those that are needed."""
    keys = [TermKey(Secret(key)) for key in proof.keys]
    needed = sorted({leaf.key_check for leaf in leaves})
    if [key.check for key in keys] != needed:
        raise IntegrityError("index proof: its keys are not those of the index leaves")
    return {key.check: key for key in keys}


def _check_records(
    shown: ShownRun, leaf: IndexLeaf, wanted: Mapping[bytes, Term], *, partial: bool
) -> None:
    """Verify that what is shown of a run's tree is in it; wanted are the terms by their digests."""
    hashes: dict[int, bytes] = {}
    last_at, last_digest = -1, b""
    for record in shown.records:
        if record.digest <= last_digest or record.at <= last_at:
            raise IntegrityError("index proof: its records are out of order")
        last_at, last_digest = record.at, record.digest
        positions_hash = record.positions_hash
        if not partial and (record.digest in wanted) == bool(positions_hash):
            raise IntegrityError(
                "index proof: a term without its positions, or a neighbour with its positions"
            )
        if positions_hash and (record.positions or len(positions_hash) != HASH_SIZE):
            raise IntegrityError("index proof: a record with both positions and a hash")
        positions_hash = positions_hash or sha256(record.positions).digest()
        hashes[record.at] = tree_leaf(record.digest, positions_hash)
    verify_multiproof(hashes, leaf.terms, shown.hashes, leaf.root)


def _placed(
    records: Sequence[ShownRecord], size: int, wanted: Mapping[bytes, Term]
) -> tuple[dict[Term, bytes], set[Term]]:
    """Return the records of the terms that are present, and the terms that are absent."""
    digests = [record.digest for record in records]
    present: dict[Term, bytes] = {}
    absent: set[Term] = set()
    for digest, term in wanted.items():
        at = bisect_left(digests, digest)
        if at < len(records) and digests[at] == digest:
            if not records[at].positions_hash:
                present[term] = records[at].positions
            continue
        before = records[at - 1].at if at else -1
        behind = records[at].at if at < len(records) else size
        if behind == before + 1:
            absent.add(term)
    return present, absent


def _check_decided(
    records: Sequence[ShownRecord],
    present: Mapping[Term, bytes],
    absent: Collection[Term],
    wanted: Mapping[bytes, Term],
) -> None:
    """Raise unless every term is decided, and every record takes part in that."""
    if len(present) + len(absent) != len(wanted):
        raise IntegrityError("index proof: it does not show that a term is absent")
    digests = [record.digest for record in records]
    used: set[int] = set()
    for digest, term in wanted.items():
        at = bisect_left(digests, digest)
        beside = (at,) if term in present else (at - 1, at)
        used.update(each for each in beside if 0 <= each < len(records))
    if len(used) != len(records):
        raise IntegrityError("index proof: it shows a record that was not asked for")


def _gaps(runs: Sequence[Run], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of [first, last) in none of the runs, which are in order and apart."""
    at = first
    for run in runs:
        if at < run.first:
            yield at, run.first
        at = max(at, run.end)
    if at < last:
        yield at, last


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(IndexProof)
