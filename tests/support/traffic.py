"""Realistic traffic in a journal, made from a seed, with the truth about it.

    python -m tests.support.traffic DIR --entries 1000000 --seed 1

    disk = LogDisk()
    made = write_traffic(MemoryLogFiles(disk), entries=20_000, seed=1)
    reader = Reader(made.journal.log, READING_SECRET)
    person = made.truth.people()[0]
    expected = made.truth.of(person)                     # all positions, ascending
    expected = made.truth.positions("released", f"{mount_uuid}/{record_path}")

`write_traffic` writes a log named ORIGIN through `journal.Journal`, with the entries that a server
writes over DAYS days: 300 people with one to three devices and 60 machines with roles, some of them
far busier than others; 100,000 secrets in five mounts, read by Zipf's law; logins with the
accessors that they issue; writes, listings, refusals, commits, expiries, rotations, alerts, three
cases with containment, and a start every week, with a run key of its own. People work by day. 85 %
of the entries are reads that release a secret. The secrets are older than the log.

The same arguments give the same log, byte for byte. Checkpoints are signed and full bundles moved
out of WAL files along the way; witnesses there are none. The returned journal is open, and its last
checkpoint covers all leaves. Entries can be read with READING_SECRET (`journal.entries.Reader`).

`Truth` (tests/support/log/traffic_truth.py) has the positions by term: by entity, accessor, device,
login, secret, kind and more. `Truth.of` gives what a person did, with its logins.

On disk, `python -m tests.support.traffic DIR` writes the log's directory DIR/log, whose files are
not synced, and DIR/truth for `Truth.load`. `write_directory` and `open_directory` do the same for
tests. A million entries take some 20 s of CPU and 0.6 GB.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Final

from ironkeep.core.event import Entry
from ironkeep.core.logport import LogFiles
from ironkeep.journal.journal import Journal
from ironkeep.journal.recovery import open_journal
from ironkeep.testing.memory import START_NS, SeededEntropy
from tests.support.log.sample_journal import READING_KEY, READING_SECRET, flush
from tests.support.log.traffic_acts import Acts
from tests.support.log.traffic_cases import Cases
from tests.support.log.traffic_estate import Actor, Estate
from tests.support.log.traffic_truth import Subject, Term, Truth
from tests.support.log.unsynced_files import UnsyncedLogFiles

__all__ = [
    "DAYS", "ORIGIN", "READING_KEY", "READING_SECRET", "Made", "Subject", "Term", "Truth",
    "open_directory", "open_log", "write_directory", "write_traffic",
]  # fmt: skip

ORIGIN: Final = "vault.example/audit/node-1/1"
DAYS: Final = 90
FRAME: Final = 256
"""Entries in a batch: about as many as a bundle has, so that single entries are read as quickly."""
SMALL_FILES: Final = 4 << 20
"""Bytes of a WAL file. A server's are larger; a start replays one, and there are a dozen starts."""
UPKEEP: Final = 64 * FRAME
"""Entries from one checkpoint to the next."""

_HOUR_NS: Final = 3_600 * 1_000_000_000
_HOURS: Final = DAYS * 24
_WEEK: Final = 7 * 24
_CASES: Final = (20 * 24 + 11, 50 * 24 + 15, 80 * 24 + 10)
"""The hours in which cases are opened."""
_AWAY: Final = 48
"""Hours for which a person is contained."""
_MACHINES: Final = 0.5
"""What machines do in an hour, people doing 1 in a working hour."""


@dataclass(frozen=True, slots=True)
class Made:
    """A log with traffic in it, open, and the truth about it."""

    journal: Journal
    truth: Truth


def write_traffic(
    files: LogFiles,
    *,
    entries: int,
    seed: int,
    file_bytes: int = SMALL_FILES,
    progress: Callable[[int], None] | None = None,
) -> Made:
    """Write a log into empty files: entries, and a few more that complete the last act.

    `progress` is called now and then with the number of entries so far.
    """
    return _Writer(files, seed, file_bytes, progress).write(entries)


def write_directory(
    folder: Path, *, entries: int, seed: int, progress: Callable[[int], None] | None = None
) -> Made:
    """Write a log into folder/log, and the truth about it into folder/truth."""
    files = UnsyncedLogFiles(folder / "log")
    made = write_traffic(files, entries=entries, seed=seed, progress=progress)
    made.truth.save(folder / "truth")
    return made


def open_directory(folder: Path) -> Made:
    """Open what `write_directory` wrote, or the command."""
    return Made(open_log(folder), Truth.load(folder / "truth"))


def open_log(folder: Path) -> Journal:
    """Open only the log of what `write_directory` wrote, or the command."""
    return open_journal(UnsyncedLogFiles(folder / "log"), SeededEntropy(), ORIGIN, READING_KEY)


class _Writer:
    """Writes one log."""

    def __init__(
        self, files: LogFiles, seed: int, file_bytes: int, progress: Callable[[int], None] | None
    ) -> None:
        self._files: Final = files
        self._seed: Final = seed
        self._file_bytes: Final = file_bytes
        self._progress: Final = progress
        self._truth: Final = Truth()
        self._estate: Final = Estate(Random(seed), self._truth)
        self._acts: Final = Acts(self._estate, self._append)
        self._cases: Final = Cases(self._estate, self._acts)
        self._starts = 0
        self._journal = self._open()

    def write(self, entries: int) -> Made:
        """Write the log hour by hour; each has its share of the entries."""
        truth = self._truth
        truth.first_ns = START_NS
        shares = list(accumulate(_MACHINES + _people_in(hour) for hour in range(_HOURS)))
        for hour, share in enumerate(shares):
            self._events(hour)
            quota = round(entries * share / shares[-1])
            self._fill(START_NS + hour * _HOUR_NS, quota, _people_in(hour))
        self._upkeep()
        truth.leaves = self._journal.next_index
        return Made(self._journal, truth)

    def _events(self, hour: int) -> None:
        """Do what happens at the beginning of an hour that is not ordinary traffic."""
        now = START_NS + hour * _HOUR_NS
        if hour % _WEEK == 0:
            if hour:
                self._upkeep()
                self._journal = self._open()
            self._acts.start(now)
        if hour in _CASES:
            self._cases.open(now)
        if hour - _AWAY in _CASES:
            for person in self._estate.people:
                if person.contained:
                    self._cases.readmit(now, person)

    def _fill(self, start: int, quota: int, people: float) -> None:
        """Write entries of the hour from start on, until the log has as many as quota."""
        count = quota - self._truth.entries
        if count <= 0:
            return
        rng, truth = self._estate.rng, self._truth
        weights = list(accumulate(weight for weight, _ in self._acts.table))
        acts = rng.choices([act for _, act in self._acts.table], cum_weights=weights, k=count)
        step = _HOUR_NS / count
        now = start
        for number, act in enumerate(acts):
            if truth.entries >= quota:
                break
            now = start + int((number + rng.random()) * step)
            act(now, self._actor(people))
        truth.last_ns = now

    def _actor(self, people: float) -> Actor:
        """Return the person or the machine that acts next."""
        estate = self._estate
        if estate.rng.random() * (_MACHINES + people) < _MACHINES:
            return estate.role()
        return estate.person()

    def _append(self, entry: Entry) -> int:
        index = self._journal.append(entry).index
        truth = self._truth
        truth.entries += 1
        if truth.entries % FRAME == 0:
            flush(self._journal)
            if truth.entries % UPKEEP == 0:
                self._upkeep()
        return index

    def _upkeep(self) -> None:
        """Sign a checkpoint, and move finished WAL files into bundles."""
        if self._journal.has_open_batch():
            flush(self._journal)
        self._journal.checkpoint()
        while self._journal.rotate_wal():
            pass
        if self._progress is not None:
            self._progress(self._truth.entries)

    def _open(self) -> Journal:
        """Open the journal as a start of the server does: its next entry gets a fresh run key."""
        self._starts += 1
        entropy = SeededEntropy(self._seed << 16 | self._starts)
        return open_journal(self._files, entropy, ORIGIN, READING_KEY, file_bytes=self._file_bytes)


def _people_in(hour: int) -> float:
    """Return what people do in an hour, compared with a working hour. START_NS is a Thursday."""
    day, clock = divmod(hour, 24)
    if (day + 3) % 7 >= 5:
        return 0.05
    if 9 <= clock < 17:
        return 1.0
    return 0.3 if clock in {8, 17, 18} else 0.02


def main() -> None:
    """Write a log as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.traffic")
    parser.add_argument("folder", type=Path, help="a new directory")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()

    def progress(count: int) -> None:
        rate = count / (time.monotonic() - began)
        print(f"\r{count:,} entries, {rate:,.0f} a second", end="", file=sys.stderr, flush=True)

    options.folder.mkdir(parents=True)
    made = write_directory(
        options.folder, entries=options.entries, seed=options.seed, progress=progress
    )
    print(file=sys.stderr)
    truth = made.truth
    print(f"{truth.entries:,} entries in {truth.leaves:,} leaves of {ORIGIN} in {options.folder}")


if __name__ == "__main__":
    main()
