"""Opening a journal: the log on disk is replayed, checked, and compared with its signed heads.

Each step refuses a log with unexplained differences instead of repairing it:

(1) The directory belongs to this log: `origin` and the signing key match the requested name.
(2) WAL files are contiguous, and their frames are whole, contiguous and chained.
(3) A bad frame is a torn tail only in the last WAL file, and only if no whole frame follows it. Its
    requests were never answered; its bytes are moved to quarantine/. Anywhere else it is damage:
    refuse.
(4) The log reaches every size that was signed, cosigned, or is known to a witness. Otherwise it is
    an older copy: refuse with RolledBack.
(5) At each of those sizes its root is the signed one. The hash files are derived: if they do not
    match, they are rebuilt from the leaves, once; if the leaves do not match, refuse.
"""

from collections.abc import Sequence
from typing import Final

from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.core.evidence.leaf import KEY_SIZE
from ironkeep.core.logport import LogFiles
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.journal.checkpoints import COSIGNED, PUBLISHED, SIGNED
from ironkeep.journal.frame import (
    FILE_HEADER,
)
from ironkeep.journal.journal import Journal
from ironkeep.journal.log import Heads, SignedHead, require_reached, require_root
from ironkeep.journal.scan import EVIDENCE, Replayed, bundled_hashes, replay
from ironkeep.journal.tree import HashTree, hash_reader
from ironkeep.journal.wal import (
    FILE_BYTES,
    Wal,
    clear_scratch,
    create_wal_file,
    wal_file_firsts,
    wal_file_name,
)
from ironkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from ironkeep.tlog.merkle import Frontier
from ironkeep.tlog.note import MAX_NOTE, NoteVerifier, Signer, SigningKey, VerifierKey

ORIGIN: Final = "origin"
VKEY: Final = "vkey"
SIGNING_KEY: Final = "signing-key"


def open_journal(
    files: LogFiles,
    entropy: Entropy,
    origin: str,
    reading_key: bytes,
    *,
    witnessed: Sequence[Checkpoint] = (),
    file_bytes: int = FILE_BYTES,
) -> Journal:
    """Open the log named origin, or create it, and check it against every known head.

    reading_key is the X25519 public key that entries are encrypted to. witnessed are heads of this
    log that the caller has fetched from witnesses and verified. Raises IntegrityError or
    RolledBack.
    """
    signer = _open_signer(files, entropy, origin)
    vkey = f"{signer.key.format()}\n".encode()
    _prepare(files, origin, vkey, file_bytes)
    heads, promised = _read_heads(files, signer.key)
    for checkpoint in witnessed:
        if checkpoint.origin != origin:
            raise IntegrityError(f"a witness's head is of {checkpoint.origin}, not of {origin}")
        promised.append(("a witness's head", checkpoint))
    replayed = replay(files, origin)
    for what, checkpoint in promised:
        require_reached(checkpoint, replayed.size, what)
    tree = _grow(files, replayed, [checkpoint for _, checkpoint in promised])
    for what, checkpoint in promised:
        require_root(checkpoint, tree.root_at(checkpoint.size), what)
    _keep_torn_tail(files, replayed)
    if heads.published:
        # A crash may have come after `signed` was written and before this file was.
        files.replace(PUBLISHED, heads.published.note.serialise())
    wal = Wal(files, origin, replayed.wal_files, replayed.digest, file_bytes)
    journal = Journal(files, entropy, signer, reading_key, wal, tree, heads)
    journal.latest_ns = max(journal.latest_ns, replayed.latest_ns)
    return journal


def _open_signer(files: LogFiles, entropy: Entropy, origin: str) -> Signer:
    """Return the log's signer; the first start makes its key, before anything is logged."""
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


def _prepare(files: LogFiles, origin: str, vkey: bytes, file_bytes: int) -> None:
    """Create the files of a new log, `origin` last, or check that they belong to this log."""
    line = f"{origin}\n".encode()
    found = read_small(files, ORIGIN)
    if found is None:
        if any(read_small(files, name) for name in (SIGNED, PUBLISHED, COSIGNED)):
            raise IntegrityError(f"{ORIGIN} is missing from a log that was in use. {EVIDENCE}")
        files.replace(VKEY, vkey)
        _create(files, origin, file_bytes)
        files.replace(ORIGIN, line)
    elif found != line:
        raise IntegrityError(f"{ORIGIN} does not say {origin}")
    elif read_small(files, VKEY) != vkey:
        # Operators copy this file to where they verify the log.
        raise IntegrityError(f"{VKEY} is not that of the signing key. {EVIDENCE}")
    clear_scratch(files)


def _create(files: LogFiles, origin: str, file_bytes: int) -> None:
    """Create the first WAL file, unless a first start that crashed has left one."""
    clear_scratch(files)
    firsts = wal_file_firsts(files)
    if not firsts:
        create_wal_file(files, origin, file_bytes)
        return
    name = wal_file_name(firsts[0])
    if len(firsts) > 1 or files.read(name, FILE_HEADER, files.size(name)).strip(b"\x00"):
        raise IntegrityError(f"{ORIGIN} is missing from a log that was in use. {EVIDENCE}")


def _read_heads(files: LogFiles, key: VerifierKey) -> tuple[Heads, list[tuple[str, Checkpoint]]]:
    """Return the stored heads, and the checkpoints that the log must match, each with a name.

    `signed` is the newest head even if a crash came before `checkpoint` was written.
    """
    signed = read_head(files, SIGNED, key)
    published = read_head(files, PUBLISHED, key)
    cosigned = read_head(files, COSIGNED, key)
    if signed is None:
        if published or cosigned:
            raise IntegrityError(f"{SIGNED} is missing from a log with checkpoints. {EVIDENCE}")
        return Heads(), []
    promised = [("the checkpoint it signed", signed.checkpoint)]
    for what, head in (("published", published), ("that witnesses cosigned", cosigned)):
        if head is None:
            continue
        if head.checkpoint.size > signed.checkpoint.size:
            raise RolledBack(f"{SIGNED} is older than the checkpoint {what}. {EVIDENCE}")
        promised.append((f"the checkpoint {what}", head.checkpoint))
    if published is not None and published.checkpoint == signed.checkpoint:
        # The same head, with the cosignatures it has gathered.
        signed = published
    return Heads(signed, cosigned), promised


def _keep_torn_tail(files: LogFiles, replayed: Replayed) -> None:
    """Move the bytes that a crash left half written out of the log."""
    if replayed.torn:
        wal_file = replayed.wal_files[-1]
        name = f"quarantine/{wal_file.first:020d}-{wal_file.offset}"
        files.replace(name, replayed.torn)
        files.truncate(wal_file.name, wal_file.offset)
        # The WAL file counts as full: the next frame goes into a new one.
        wal_file.capacity = wal_file.offset


def _grow(files: LogFiles, replayed: Replayed, promised: Sequence[Checkpoint]) -> HashTree:
    """Return the tree over all leaves, rebuilt from the leaves if the hash files do not match."""
    try:
        tree = HashTree(files, Frontier.from_tiles(replayed.start, hash_reader(files)))
        tree.add(replayed.leaf_hashes())
        tree.save()
        if all(tree.root_at(one.size) == one.root for one in promised):
            return tree
    except IntegrityError:
        # The hash files are too short for the bundles: rebuild them.
        pass
    tree = HashTree(files, Frontier())
    for hashes in bundled_hashes(files, replayed.start):
        tree.add(hashes)
        tree.save()
    tree.add(replayed.leaf_hashes())
    tree.save()
    return tree


def read_small(files: LogFiles, name: str) -> bytes | None:
    """Return a small file's bytes, or None if there is none."""
    try:
        return files.read(name, 0, MAX_NOTE)
    except FileNotFoundError:
        return None


def read_head(files: LogFiles, name: str, key: VerifierKey) -> SignedHead | None:
    """Return the head in a file after verifying the log's signature; None without a file."""
    data = read_small(files, name)
    if data is None:
        return None
    try:
        opened = open_checkpoint(data, [NoteVerifier(key)])
    except IntegrityError as error:
        raise IntegrityError(f"{name}: {error}. {EVIDENCE}") from None
    return SignedHead(opened.checkpoint, opened.note)
