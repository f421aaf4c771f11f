"""Opening a journal: what is on the disk is replayed, checked, and compared with what was signed.

The steps, each of which refuses instead of repairing what it cannot explain:

(1) The directory is this log's: `origin` and the signing key agree with the name asked for.
(2) Segments follow from one another, and their frames are whole, contiguous and chained.
(3) A bad frame is a torn tail only in the last segment, and only if nothing whole follows it. It
    was never answered; its bytes are kept in quarantine/. Anywhere else it is damage: refuse.
(4) The log reaches every size that was signed, cosigned, or is known to a witness, or it is an
    older copy: refuse with RolledBack.
(5) At each of those sizes its root is the one signed. The hash files are derived: if they disagree
    they are made again from the leaves, once; if the leaves disagree, refuse.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ironkeep.core.errors import IntegrityError, InvalidRequest, RolledBack
from ironkeep.core.leaf import KEY_SIZE, predecessor_leaf
from ironkeep.core.logport import LogFiles
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.kernel.frame import (
    GENESIS,
    SEGMENT_HEADER,
    Frame,
    find_frame,
    read_segment_header,
    split_frames,
)
from ironkeep.kernel.hashes import HashTree, hash_reader
from ironkeep.kernel.journal import COSIGNED, PUBLISHED, SIGNED, Journal
from ironkeep.kernel.log import Heads, SignedHead, require_root
from ironkeep.kernel.wal import (
    SEGMENT_BYTES,
    Segment,
    Wal,
    clear_scratch,
    create_segment,
    read_bundle,
    segment_firsts,
    segment_name,
)
from ironkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from ironkeep.tlog.merkle import Frontier, leaf_hash
from ironkeep.tlog.note import MAX_NOTE, KeyType, NoteVerifier, Signer, SigningKey, VerifierKey
from ironkeep.tlog.tile import TILE_WIDTH

ORIGIN: Final = "origin"
VKEY: Final = "vkey"
SIGNING_KEY: Final = "signing-key"

_RUN: Final = 1 << 15
"""Leaves between two syncs of the hash files when they are made again."""

_EVIDENCE: Final = "Keep the directory as evidence, compare it with a mirror, and start a new epoch"


def open_journal(
    files: LogFiles,
    entropy: Entropy,
    origin: str,
    reading_key: bytes,
    *,
    witnessed: Sequence[Checkpoint] = (),
    segment_bytes: int = SEGMENT_BYTES,
) -> Journal:
    """Open the log named origin, making it if there is none, and check all that was promised of it.

    reading_key is the X25519 public key that entries are sealed to. witnessed are heads of this log
    that the caller has fetched from witnesses and verified. Raises IntegrityError, RolledBack.
    """
    signer = _open_signer(files, entropy, origin)
    _prepare(files, origin, segment_bytes)
    heads, promised = _read_heads(files, signer.key)
    for checkpoint in witnessed:
        if checkpoint.origin != origin:
            raise IntegrityError(f"a witness's head is of {checkpoint.origin}, not of {origin}")
        promised.append(("a witness's head", checkpoint))
    wal, frames = _replay(files, origin, segment_bytes)
    for what, checkpoint in promised:
        if checkpoint.size > wal.size:
            raise RolledBack(
                f"the journal ends at {wal.size}, but {what} is at {checkpoint.size}: this is an "
                "older copy. Bring back the newest one, or start a new epoch"
            )
    tree = _grow(files, wal, frames, [checkpoint for _, checkpoint in promised])
    for what, checkpoint in promised:
        require_root(checkpoint, tree.root_at(checkpoint.size), what)
    if heads.published:
        # A crash may have come between `signed` and this.
        files.replace(PUBLISHED, heads.published.note.serialise())
    return Journal(files, entropy, signer, reading_key, wal, tree, heads)


def begin_epoch(
    files: LogFiles, entropy: Entropy, origin: str, reading_key: bytes, checkpoint: bytes
) -> Journal:
    """Start the log that continues another one, whose last checkpoint note becomes its leaf 0.

    For when a journal cannot be trusted or was restored from a backup: appending to its origin
    would be a fork that witnesses refuse for ever. Raises InvalidRequest if the log has leaves.
    """
    leaf = predecessor_leaf(checkpoint)
    journal = open_journal(files, entropy, origin, reading_key)
    if journal.next_index:
        raise InvalidRequest(f"{origin} is in use already; choose the epoch after it")
    journal.append_leaf(leaf)
    frame = journal.close_batch()
    assert frame is not None
    journal.write(frame)
    journal.written(frame)
    journal.checkpoint()
    return journal


def next_epoch(origin: str) -> str:
    """Return the origin of the epoch after this one: its last path element is a number."""
    stem, slash, number = origin.rpartition("/")
    if not (slash and number.isascii() and number.isdigit()):
        raise InvalidRequest("an origin ends in /<epoch>, a number")
    return f"{stem}/{int(number) + 1}"


def _open_signer(files: LogFiles, entropy: Entropy, origin: str) -> Signer:
    """Return the log's signer; its key is made at the first start, before anything is logged."""
    text = read_small(files, SIGNING_KEY)
    if text is None:
        if read_small(files, ORIGIN) is not None:
            raise IntegrityError(f"{SIGNING_KEY} is missing: bring it back, or start a new epoch")
        text = SigningKey(origin, Secret(entropy.token(KEY_SIZE))).format().reveal() + b"\n"
        files.replace(SIGNING_KEY, text)
    key = SigningKey.parse(Secret(text.removesuffix(b"\n")))
    if key.name != origin:
        raise IntegrityError(f"this directory belongs to the log {key.name}, not to {origin}")
    return Signer(key)


def _prepare(files: LogFiles, origin: str, segment_bytes: int) -> None:
    """Make the files of a new log, or check that they are this one's. `origin` comes last."""
    line = f"{origin}\n".encode()
    found = read_small(files, ORIGIN)
    if found is None:
        if any(read_small(files, name) for name in (SIGNED, PUBLISHED, COSIGNED)):
            raise IntegrityError(f"{ORIGIN} is missing from a log that was in use. {_EVIDENCE}")
        text = read_small(files, SIGNING_KEY) or b""
        key = SigningKey.parse(Secret(text.removesuffix(b"\n")))
        files.replace(VKEY, f"{key.verifier_key(KeyType.ED25519).format()}\n".encode())
        _create(files, origin, segment_bytes)
        files.replace(ORIGIN, line)
    elif found != line:
        raise IntegrityError(f"{ORIGIN} does not say {origin}")
    clear_scratch(files)


def _create(files: LogFiles, origin: str, segment_bytes: int) -> None:
    """Make the first segment, unless a first start that crashed has left it."""
    clear_scratch(files)
    firsts = segment_firsts(files)
    if not firsts:
        create_segment(files, origin, segment_bytes)
        return
    name = segment_name(firsts[0])
    if len(firsts) > 1 or files.read(name, SEGMENT_HEADER, files.size(name)).strip(b"\x00"):
        raise IntegrityError(f"{ORIGIN} is missing from a log that was in use. {_EVIDENCE}")


def _read_heads(files: LogFiles, key: VerifierKey) -> tuple[Heads, list[tuple[str, Checkpoint]]]:
    """Return the heads that we signed, and what the log must lead to, with words for it.

    `signed` counts where `checkpoint` did not come to be.
    """
    signed = read_head(files, SIGNED, key)
    published = read_head(files, PUBLISHED, key)
    cosigned = read_head(files, COSIGNED, key)
    if signed is None:
        if published or cosigned:
            raise IntegrityError(f"{SIGNED} is missing from a log with checkpoints. {_EVIDENCE}")
        return Heads(), []
    promised = [("the checkpoint it signed", signed.checkpoint)]
    for what, head in (("published", published), ("that witnesses cosigned", cosigned)):
        if head is None:
            continue
        if head.checkpoint.size > signed.checkpoint.size:
            raise RolledBack(f"{SIGNED} is older than the checkpoint {what}. {_EVIDENCE}")
        promised.append((f"the checkpoint {what}", head.checkpoint))
    if published is not None and published.checkpoint == signed.checkpoint:
        # The same head, with the cosignatures it has gathered.
        signed = published
    return Heads(signed, cosigned), promised


def _replay(files: LogFiles, origin: str, segment_bytes: int) -> tuple[Wal, list[Frame]]:
    """Return the write-ahead log as it stands, and the frames that are in it."""
    firsts = segment_firsts(files)
    if not firsts:
        raise IntegrityError(f"all segments of the journal are missing. {_EVIDENCE}")
    digest = None if firsts[0] else GENESIS
    frames: list[Frame] = []
    segments: list[Segment] = []
    for first in firsts:
        name = segment_name(first)
        if segments and segments[-1].next != first:
            raise IntegrityError(f"{name} does not start where the one before ends. {_EVIDENCE}")
        segment = Segment(first, files.size(name))
        data = files.read(name, 0, segment.capacity)
        try:
            found, digest = _read_segment(data, segment, origin, digest)
        except IntegrityError as error:
            where = f"{name} at offset {segment.offset}"
            raise IntegrityError(f"{where}: {error}. {_EVIDENCE}") from None
        frames += found
        segments.append(segment)
        if data[segment.offset :].strip(b"\x00"):
            _take_torn_tail(files, segment, data, last=first == firsts[-1])
    assert digest is not None
    return Wal(files, origin, segments, digest, segment_bytes), frames


def _read_segment(
    data: bytes, segment: Segment, origin: str, digest: bytes | None
) -> tuple[list[Frame], bytes]:
    """Return a segment's whole frames, noted in it, and the digest that the next one chains to.

    digest is what this segment has to chain to; None where that went with older segments.
    """
    previous = read_segment_header(data, segment.first, origin)
    if digest not in {None, previous}:
        raise IntegrityError("the segment does not chain to the one before")
    frames = []
    for frame in split_frames(data, SEGMENT_HEADER, previous):
        if frame.first != segment.next:
            raise IntegrityError(f"a frame for leaf {frame.first} where {segment.next} belongs")
        segment.add(frame)
        frames.append(frame)
    return frames, frames[-1].digest if frames else previous


def _take_torn_tail(files: LogFiles, segment: Segment, data: bytes, *, last: bool) -> None:
    """Cut off what a crash left half written, and keep it; refuse if it is anything else."""
    where = f"{segment.name} at offset {segment.offset}"
    if not last:
        raise IntegrityError(f"{where}: damaged, and segments follow. {_EVIDENCE}")
    follows = find_frame(data, segment.offset)
    if follows is not None:
        raise IntegrityError(
            f"{where}: damaged, and a whole frame follows at offset {follows}. {_EVIDENCE}"
        )
    torn = data[segment.offset :].rstrip(b"\x00")
    files.replace(f"quarantine/{segment.first:020d}-{segment.offset}", torn)
    files.truncate(segment.name, segment.offset)
    # Full as it is now: the next frame goes to a segment of its own.
    segment.capacity = segment.offset


def _grow(
    files: LogFiles, wal: Wal, frames: list[Frame], promised: Sequence[Checkpoint]
) -> HashTree:
    """Return the tree over all leaves; made from the leaves if the hash files do not fit."""
    try:
        tree = HashTree(files, Frontier.from_tiles(wal.start, hash_reader(files)))
        tree.grow([leaf for frame in frames for leaf in frame.leaf_hashes])
        if all(tree.root_at(one.size) == one.root for one in promised):
            return tree
    except IntegrityError:
        # Too short: the hash files are behind the bundles.
        pass
    tree = HashTree(files, Frontier())
    for hashes in _sealed_hashes(files, wal.start):
        tree.grow(hashes)
    tree.grow([leaf for frame in frames for leaf in frame.leaf_hashes])
    return tree


def _sealed_hashes(files: LogFiles, end: int) -> Iterator[list[bytes]]:
    """Yield the leaf hashes below end, from bundles, in runs."""
    hashes: list[bytes] = []
    for number in range(-(-end // TILE_WIDTH)):
        first, leaves = read_bundle(files, number)
        hashes += [leaf_hash(leaf) for leaf in leaves[: end - first]]
        if len(hashes) >= _RUN:
            yield hashes
            hashes = []
    yield hashes


def read_small(files: LogFiles, name: str) -> bytes | None:
    """Return a small file's bytes, or None if there is none."""
    try:
        return files.read(name, 0, MAX_NOTE)
    except FileNotFoundError:
        return None


def read_head(files: LogFiles, name: str, key: VerifierKey) -> SignedHead | None:
    """Return the head in a file, its log signature verified; None if there is no file."""
    data = read_small(files, name)
    if data is None:
        return None
    try:
        opened = open_checkpoint(data, [NoteVerifier(key)])
    except IntegrityError as error:
        raise IntegrityError(f"{name}: {error}. {_EVIDENCE}") from None
    return SignedHead(opened.checkpoint, opened.note)
