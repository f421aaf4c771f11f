"""Torn, zeroed and flipped bytes: recovery stops at a batch boundary before the damage, or refuses.

It never takes a damaged byte for an entry, never loses a whole batch before the damage, and never
passes over damage that something whole follows.
"""

import random
from bisect import bisect_right
from collections import Counter

import pytest

from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.core.secret import Secret
from ironkeep.journal.frame import (
    FILE_HEADER,
    build_frame,
    file_header,
    read_file_header,
    split_frames,
)
from ironkeep.journal.journal import Journal
from ironkeep.journal.verify import verify_log
from ironkeep.journal.wal import wal_file_name
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.note import Signer, SigningKey, VerifierKey
from tests.support.log.sample_journal import SAMPLE_ORIGIN, open_sample, sample_entry, write_batch

SEGMENT = 1 << 20
ROUNDS = [80, pytest.param(1_000, marks=pytest.mark.slow)]
WAL = wal_file_name(0)


class History:
    """A log of one segment and a hundred batches, which nothing has signed yet."""

    def __init__(self) -> None:
        self.disk = LogDisk()
        journal = open_sample(self.disk, file_bytes=SEGMENT)
        sizes = random.Random(1)
        self.offsets = [FILE_HEADER]
        self.ends = [0]
        for _ in range(100):
            for _ in range(sizes.randrange(1, 40)):
                journal.append(sample_entry(journal.next_index))
            frame = journal.close_batch()
            assert frame is not None
            journal.write(frame)
            journal.written(frame)
            self.offsets.append(self.offsets[-1] + len(frame.data))
            self.ends.append(frame.end)
        self.hashes = [leaf_hash(leaf) for leaf in journal.log.leaves(0, journal.durable_size)]
        journal.close()

    @property
    def used(self) -> int:
        """Bytes of the segment that hold frames."""
        return self.offsets[-1]


HISTORY = History()


def damage(kind: str, at: int, chance: random.Random) -> tuple[bytearray, int]:
    """Return the segment with a damage at offset at, and where it ends."""
    wal = bytearray(HISTORY.disk.files[WAL])
    if kind == "cut":
        wal[at:] = bytes(len(wal) - at)
        return wal, HISTORY.used
    if kind == "shortened":
        del wal[at:]
        return wal, HISTORY.used
    if kind == "zeroed":
        begin = max(at - at % 4096, FILE_HEADER)
        wal[begin : at - at % 4096 + 4096] = bytes(at - at % 4096 + 4096 - begin)
        return wal, at - at % 4096 + 4096
    wal[at] ^= 1 << chance.randrange(8)
    return wal, at + 1


def first_difference(wal: bytearray) -> int:
    """Return the offset of the first byte that is not as it was."""
    whole = HISTORY.disk.files[WAL]
    return next(
        (at for at in range(HISTORY.used) if at >= len(wal) or wal[at] != whole[at]), HISTORY.used
    )


@pytest.mark.parametrize("kind", ["cut", "shortened", "zeroed", "flipped"])
@pytest.mark.parametrize("rounds", ROUNDS, ids=["some", "many"])
def test_damage_never_gets_through(kind: str, rounds: int) -> None:
    chance = random.Random(kind)
    outcomes: Counter[str] = Counter()
    for _ in range(rounds):
        wal, end = damage(kind, chance.randrange(FILE_HEADER, HISTORY.used), chance)
        disk = HISTORY.disk.copy()
        disk.files[WAL] = wal
        intact = bisect_right(HISTORY.offsets, first_difference(wal)) - 1
        # A whole frame after the damage proves that this is no torn tail.
        proven = any(end <= offset for offset in HISTORY.offsets[:-1])
        try:
            journal = open_sample(disk, seed=1, file_bytes=SEGMENT)
        except IntegrityError as error:
            where = str(error)
            assert where.startswith(f"{WAL} at offset {HISTORY.offsets[intact]}: ")
            assert disk.files[WAL] == wal, "evidence is not touched"
            outcomes["refused"] += 1
            assert proven
            continue
        outcomes["recovered"] += 1
        assert not proven
        assert journal.durable_size == HISTORY.ends[intact]
        check_goes_on(disk, journal, intact)
    assert outcomes["refused" if kind in {"zeroed", "flipped"} else "recovered"] > 0.8 * rounds
    assert outcomes["recovered"] > 0


def check_goes_on(disk: LogDisk, again: Journal, intact: int) -> None:
    """Check that what was cut off is kept aside, and that the log goes on, now or restarted."""
    begin = HISTORY.offsets[intact]
    torn = [name for name in disk.files if name.startswith("quarantine/")]
    if torn:
        whole = HISTORY.disk.files[WAL][begin:]
        assert torn == [f"quarantine/{0:020d}-{begin}"]
        assert len(disk.files[WAL]) == begin
        assert len(disk.files[torn[0]]) <= len(whole)
    if intact % 2:
        disk.crash()
        again = open_sample(disk, seed=2, file_bytes=SEGMENT)
    write_batch(again, 2)
    if torn:
        # A segment that was cut is full; what follows goes to one whose space is taken.
        assert len(disk.files[wal_file_name(HISTORY.ends[intact])]) == SEGMENT
    again.checkpoint()
    hashes = again.log.leaf_hashes(0, again.durable_size)
    assert hashes[: HISTORY.ends[intact]] == HISTORY.hashes[: HISTORY.ends[intact]]
    assert len(hashes) == HISTORY.ends[intact] + 3
    again.close()
    third = open_sample(disk, seed=3, file_bytes=SEGMENT)
    assert third.durable_size == len(hashes)


def test_every_bit_of_a_segment_s_header_counts() -> None:
    for bit in range(8 * FILE_HEADER):
        disk = HISTORY.disk.copy()
        disk.files[WAL][bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError, match="header is damaged"):
            open_sample(disk, file_bytes=SEGMENT)


def test_a_torn_tail_below_what_was_signed_is_no_torn_tail() -> None:
    disk = HISTORY.disk.copy()
    journal = open_sample(disk, seed=1, file_bytes=SEGMENT)
    journal.drain([])
    journal.checkpoint()
    write_batch(journal, 1)
    journal.checkpoint()
    journal.close()
    assert journal.log.published is not None
    disk.files[WAL][HISTORY.used + 9] ^= 1
    with pytest.raises(RolledBack, match="the checkpoint it signed"):
        open_sample(disk, seed=2, file_bytes=SEGMENT)


class Sealed:
    """A log with bundles, several segments and a signed head."""

    def __init__(self) -> None:
        self.disk = LogDisk()
        journal = open_sample(self.disk)
        while journal.next_index < 900:
            write_batch(journal, 23)
            if journal.next_index < 700:
                journal.checkpoint()
                journal.rotate_wal()
        journal.checkpoint()
        journal.close()
        self.segments = sorted(name for name in self.disk.files if name.endswith(".wal"))
        self.key = VerifierKey.parse(bytes(self.disk.files["vkey"]).decode().strip())


SEALED = Sealed()


def test_damage_in_a_segment_that_others_follow_is_refused() -> None:
    assert len(SEALED.segments) > 3
    for name in SEALED.segments[:-1]:
        disk = SEALED.disk.copy()
        used = len(bytes(disk.files[name]).rstrip(b"\x00"))
        disk.files[name][used - 5] ^= 1
        with pytest.raises(
            IntegrityError, match="the WAL file is damaged, and more WAL files follow"
        ):
            open_sample(disk, seed=1)


def test_a_missing_segment_is_refused() -> None:
    for name in SEALED.segments:
        disk = SEALED.disk.copy()
        del disk.files[name]
        with pytest.raises(IntegrityError):
            open_sample(disk, seed=1)
        with pytest.raises(IntegrityError):
            verify_log(MemoryLogFiles(disk, readonly=True), SEALED.key)
    disk = SEALED.disk.copy()
    for name in SEALED.segments:
        del disk.files[name]
    with pytest.raises(IntegrityError, match="all WAL files of the journal are missing"):
        open_sample(disk, seed=1)


def test_segments_in_each_other_s_place_are_refused() -> None:
    one, other = SEALED.segments[1:3]
    disk = SEALED.disk.copy()
    disk.files[one], disk.files[other] = disk.files[other], disk.files[one]
    with pytest.raises(IntegrityError, match="to another log or index"):
        open_sample(disk, seed=1)


def forge(
    disk: LogDisk, *, header: int = 0, frames: int = 0, previous: bytes | None = None
) -> None:
    """Write the last segment anew, all checksums right, its header or frames moved on."""
    name = SEALED.segments[-1]
    first = int(name.removeprefix("wal/").removesuffix(".wal"))
    data = bytes(disk.files.pop(name))
    chain = read_file_header(data, first, SAMPLE_ORIGIN)
    found = list(split_frames(data, FILE_HEADER, chain))
    digest = chain if previous is None else previous
    forged = bytearray(file_header(first + header, digest, SAMPLE_ORIGIN))
    for frame in found:
        new = build_frame(digest, frame.first + frames, frame.payload, frame.leaf_hashes)
        forged += new.data
        digest = new.digest
    disk.files[wal_file_name(first + header)] = forged


def test_segments_and_frames_forged_with_care_still_have_to_follow() -> None:
    disk = SEALED.disk.copy()
    forge(disk)
    open_sample(disk, seed=1)
    for change, match in (
        ({"previous": bytes(32)}, "does not chain to the WAL file before it"),
        ({"frames": 1}, r"the frame starts with leaf \d+, expected leaf \d+"),
        ({"header": 1, "frames": 1}, "does not start where the WAL file before it ends"),
    ):
        disk = SEALED.disk.copy()
        forge(disk, **change)
        with pytest.raises(IntegrityError, match=match):
            open_sample(disk, seed=1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cosigned", "the checkpoint that witnesses cosigned"),
        ("checkpoint", "checkpoint published"),
    ],
)
def test_two_heads_of_different_histories_are_refused(name: str, words: str) -> None:
    disk = SEALED.disk.copy()
    text = bytes(disk.files["signing-key"]).removesuffix(b"\n")
    signer = Signer(SigningKey.parse(Secret(text)))
    fork = Checkpoint(SAMPLE_ORIGIN, 100, bytes(32)).sign(signer)
    disk.files[name] = bytearray(fork.serialise())
    with pytest.raises(IntegrityError, match=f"does not lead to {name} at size 100"):
        verify_log(MemoryLogFiles(disk, readonly=True), SEALED.key)
    with pytest.raises(IntegrityError, match=f"{words} at size 100"):
        open_sample(disk, seed=1)


def test_a_stranger_s_file_among_the_segments_is_refused() -> None:
    disk = SEALED.disk.copy()
    disk.files["wal/7.wal"] = bytearray(8)
    with pytest.raises(IntegrityError, match=r"wal/7\.wal is not a file of this journal"):
        open_sample(disk, seed=1)


def test_hash_files_that_are_short_wrong_or_gone_are_made_again() -> None:
    whole = {name: bytes(data) for name, data in SEALED.disk.files.items() if "hash/" in name}
    assert len(whole) == 2
    for name in whole:
        for change in ("gone", "short", "wrong"):
            disk = SEALED.disk.copy()
            if change == "gone":
                del disk.files[name]
            elif change == "short":
                del disk.files[name][40:]
            else:
                disk.files[name][:64] = bytes(64)
            journal = open_sample(disk, seed=1)
            if (name, change) != ("hash/L0", "wrong"):
                assert {n: bytes(d) for n, d in disk.files.items() if "hash/" in n} == whole
            journal.close()


def test_a_hash_that_no_start_looks_at_is_noticed_by_its_proof_and_by_verification() -> None:
    disk = SEALED.disk.copy()
    disk.files["hash/L0"][5 * 32] ^= 1
    journal = open_sample(disk, seed=1)
    with pytest.raises(IntegrityError, match="inclusion proof"):
        journal.log.proof(4)
    journal.log.proof(600)
    journal.close()
    with pytest.raises(IntegrityError, match="hash/L0 does not match the leaves"):
        verify_log(MemoryLogFiles(disk, readonly=True), SEALED.key)
    del disk.files["hash/L0"]
    open_sample(disk, seed=2).log.proof(4)


def test_a_changed_bundle_is_noticed() -> None:
    disk = SEALED.disk.copy()
    disk.files["tile/entries/000"][100] ^= 1
    with pytest.raises(IntegrityError, match="hash/L0 does not match the leaves"):
        verify_log(MemoryLogFiles(disk, readonly=True), SEALED.key)
    for name in [name for name in disk.files if name.startswith("hash/")]:
        del disk.files[name]
    with pytest.raises(IntegrityError, match="entries were changed"):
        open_sample(disk, seed=1)
    del disk.files["tile/entries/000"]
    disk.crash()
    with pytest.raises(IntegrityError, match="tile/entries/000 is missing"):
        open_sample(disk, seed=1)


def test_files_of_the_log_that_are_gone_or_another_s_are_refused() -> None:
    other = LogDisk()
    write_batch(open_sample(other, seed=77), 1)
    for name, match in (
        ("origin", "origin is missing from a log that was in use"),
        ("signing-key", "signing-key is missing"),
        ("signed", "signed is missing from a log with checkpoints"),
    ):
        disk = SEALED.disk.copy()
        del disk.files[name]
        with pytest.raises(IntegrityError, match=match):
            open_sample(disk, seed=1)
    disk = SEALED.disk.copy()
    disk.files["signing-key"] = other.files["signing-key"]
    with pytest.raises(IntegrityError, match="vkey is not that of the signing key"):
        open_sample(disk, seed=1)
    disk = SEALED.disk.copy()
    disk.files |= {name: other.files[name] for name in ("signing-key", "vkey")}
    with pytest.raises(IntegrityError, match="not signed by a trusted key"):
        open_sample(disk, seed=1)
    disk = HISTORY.disk.copy()
    del disk.files["origin"]
    with pytest.raises(IntegrityError, match="origin is missing from a log that was in use"):
        open_sample(disk, seed=1, file_bytes=SEGMENT)
    disk = HISTORY.disk.copy()
    disk.files["origin"] = bytearray(b"another.example/log/0\n")
    with pytest.raises(IntegrityError, match="origin does not say"):
        open_sample(disk, seed=1, file_bytes=SEGMENT)


@pytest.mark.parametrize("name", ["signed", "checkpoint", "cosigned"])
def test_a_changed_head_is_refused(name: str) -> None:
    disk = SEALED.disk.copy()
    disk.files["cosigned"] = bytearray(disk.files["signed"])
    disk.files[name][-9] ^= 1
    with pytest.raises(IntegrityError, match=f"{name}: "):
        open_sample(disk, seed=1)
    with pytest.raises(IntegrityError, match=f"{name}: "):
        verify_log(MemoryLogFiles(disk, readonly=True), SEALED.key)
