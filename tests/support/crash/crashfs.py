"""What a disk may hold after the power failed: crash images from a trace of writes and syncs.

A trace is what a process asked of the file system, in order; `tests.support.crash.strace` records
one from any program. `CrashImages` takes an instant of it and builds what a crash then may leave.
The model is POSIX at its least helpful, not one file system's habits:

- Written data, a file's length and a folder's names last only once a sync that began after the
  call returned has itself returned; a file's sync covers data and length, a folder's its names.
- What was not synced is there or not, in any combination; a write may be torn at 512 or 4,096
  bytes, and what a file grew over reads as zeros.
- The names that one call changes in one folder change together. A call under way is not synced.
- After a sync that failed, the data it was to cover may be lost although a later one succeeds.

To test a whole server: start it below `strace.recorded`, so that it makes all its files in an empty
directory; drive it over HTTP from the test; stop it; then

    trace = strace.parse(output, root)
    for image in CrashImages(trace, seed).images(1_000):
        image.write_to(folder)
        # start on folder, and compare with the answers in image.marks

Marks are what the process wrote elsewhere, its sockets included: a response that is among an
image's marks had been given when the power failed, so what it acknowledged must be there. To see
that the test can fail, take syncs away with `Trace.without_syncs` and expect it to.
"""

import enum
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

NEVER: Final = 1 << 62
"""The end of a call that did not return while it was watched."""
FOLDER: Final = -1
"""Stands in a folder's entries for a folder; files have numbers from 0."""
SECTORS: Final = (512, 4_096)
"""What a disk writes whole: old and new sector sizes."""
HALF: Final = 0.5
"""How often a change of uncertain fate is kept."""

Target = int | str
"""A file's number, or a folder's path relative to the root ("" is the root)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One system call, from its begin to its end in the trace's count, where no two are equal."""

    begin: int
    end: int
    target: Target


@dataclass(frozen=True, slots=True)
class Write(Call):
    """Data written at an offset; `through` says that it is synced when the call returns."""

    at: int
    data: bytes
    through: bool


@dataclass(frozen=True, slots=True)
class Resize(Call):
    """A file cut, or grown by zeros, to a length."""

    length: int


@dataclass(frozen=True, slots=True)
class Names(Call):
    """Names set or removed in a folder; None removes."""

    entries: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Sync(Call):
    """A file or folder synced, or not, as the call failed."""

    failed: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the process wrote outside of the root, such as an answer."""

    begin: int
    channel: str
    data: bytes


Change = Write | Resize | Names


@dataclass(frozen=True, slots=True)
class Trace:
    """All that happened below a root that was empty; `paths` has each file's first name."""

    calls: tuple[Change | Sync, ...]
    marks: tuple[Mark, ...]
    paths: tuple[str, ...]

    def path_of(self, call: Call) -> str:
        """Return the path that a call was about, relative to the root."""
        return call.target if isinstance(call.target, str) else self.paths[call.target]

    def synced(self) -> set[str]:
        """Return the paths that were synced at least once."""
        return {self.path_of(call) for call in self.calls if _syncs(call)}

    def without_syncs(self, chosen: Callable[[str], bool]) -> "Trace":
        """Return the trace of a program that forgets to sync the chosen paths."""
        calls: list[Change | Sync] = []
        for call in self.calls:
            if not chosen(self.path_of(call)) or not _syncs(call):
                calls.append(call)
            elif isinstance(call, Write):
                calls.append(replace(call, through=False))
        return replace(self, calls=tuple(calls))


def _syncs(call: Call) -> bool:
    return isinstance(call, Sync) or (isinstance(call, Write) and call.through)


class Loss(enum.Enum):
    """What becomes of the changes that were not synced when the power failed."""

    NOTHING = enum.auto()
    EVERYTHING = enum.auto()
    LATEST = enum.auto()
    SOME = enum.auto()
    TORN = enum.auto()
    NAMES_AND_LENGTHS = enum.auto()


@dataclass(frozen=True, slots=True)
class Image:
    """One state of the disk, with the marks that had been made by then."""

    files: dict[str, bytes]
    folders: list[str]
    marks: tuple[Mark, ...]
    label: str

    def write_to(self, root: Path) -> None:
        """Make the image's files and folders below root, which must exist and be empty."""
        for folder in self.folders:
            (root / folder).mkdir(mode=0o700)
        for name, data in self.files.items():
            (root / name).write_bytes(data)


@dataclass(slots=True)
class _Pending:
    """A change that is not yet part of the durable state."""

    change: Change
    durable: bool = False
    doomed: bool = False


@dataclass(slots=True)
class _Disk:
    """The durable state, and in order for each target what has changed since."""

    files: dict[int, bytearray] = field(default_factory=dict)
    names: dict[str, dict[str, int]] = field(default_factory=dict)
    pending: dict[Target, list[_Pending]] = field(default_factory=dict)

    def begin(self, change: Change) -> None:
        self.pending.setdefault(change.target, []).append(_Pending(change))

    def end(self, call: Change | Sync) -> None:
        """Take note that call returned: a sync settles what had returned when it began."""
        waiting = self.pending.get(call.target, [])
        for item in waiting:
            if isinstance(call, Sync):
                covered = item.change.end < call.begin and not item.durable
                item.doomed |= covered and call.failed and not isinstance(call.target, str)
                item.durable |= covered and not (call.failed or item.doomed)
            elif item.change is call:
                item.durable = isinstance(call, Write) and call.through
        while waiting and waiting[0].durable:
            self.apply(waiting.pop(0).change)

    def apply(self, change: Change, sector: int = 0, kept: Callable[[], bool] = bool) -> None:
        """Carry out change; of a write only the sectors kept, when their size is given."""
        if isinstance(change, Names):
            folder = self.names.setdefault(_folder(change), {})
            for name, file in change.entries:
                folder.pop(name, None)
                if file is not None:
                    folder[name] = file
            return
        content = self.files.setdefault(_file(change), bytearray())
        if isinstance(change, Resize):
            _resize(content, change.length)
            return
        start, stop = change.at, change.at + len(change.data)
        while start < stop:
            end = min(stop, start + sector - start % sector) if sector else stop
            if not sector or kept():
                _resize(content, max(len(content), end))
                content[start:end] = change.data[start - change.at : end - change.at]
            start = end

    def copy(self) -> "_Disk":
        files = {file: bytearray(content) for file, content in self.files.items()}
        return _Disk(files, {folder: dict(names) for folder, names in self.names.items()})


def _folder(change: Names) -> str:
    assert isinstance(change.target, str)
    return change.target


def _file(change: Write | Resize) -> int:
    assert isinstance(change.target, int)
    return change.target


def _resize(content: bytearray, length: int) -> None:
    if length < len(content):
        del content[length:]
    else:
        content.extend(bytes(length - len(content)))


class CrashImages:
    """Crash images of one trace; the same seed gives the same ones."""

    def __init__(self, trace: Trace, seed: int) -> None:
        self._trace: Final = trace
        self._seed: Final = seed
        events: list[tuple[int, bool, Change | Sync]] = []
        for call in trace.calls:
            events.append((call.begin, False, call))
            if call.end != NEVER:
                events.append((call.end, True, call))
        self._events: Final = sorted(events, key=lambda event: event[0])

    def images(self, count: int, *, since: int = 0, until: int = NEVER) -> Iterator[Image]:
        """Yield count images in the trace's order, of instants from since to until, both included.

        Each instant has its turn before one has a second.
        """
        rng = random.Random(self._seed)
        events = (event[0] for event in self._events)
        marks = (mark.begin for mark in self._trace.marks)
        instants = sorted({at for at in (*events, *marks) if since <= at <= until})
        rounds, rest = divmod(count, len(instants))
        chosen = instants * rounds + rng.sample(instants, rest)
        disk, done = _Disk(), 0
        for instant in sorted(chosen):
            while done < len(self._events) and self._events[done][0] <= instant:
                _, ended, call = self._events[done]
                if ended:
                    disk.end(call)
                elif not isinstance(call, Sync):
                    disk.begin(call)
                done += 1
            yield self._image(disk, instant, rng)

    def _image(self, disk: _Disk, instant: int, rng: random.Random) -> Image:
        loss, sector = rng.choice(list(Loss)), rng.choice(SECTORS)
        unsure = [item for waiting in disk.pending.values() for item in waiting]
        latest = rng.choice(unsure).change.begin if unsure else instant
        result = disk.copy()
        for item in unsure:
            if item.durable or _kept(item.change, loss, latest, rng):
                result.apply(item.change)
            elif loss is Loss.TORN and isinstance(item.change, Write):
                result.apply(item.change, sector, lambda: rng.random() < HALF)
        marks = tuple(mark for mark in self._trace.marks if mark.begin <= instant)
        return _image(result, marks, f"seed {self._seed}, instant {instant}, lost: {loss.name}")


def _kept(change: Change, loss: Loss, latest: int, rng: random.Random) -> bool:
    """Decide whether a change that was not synced is there whole; those from latest on are late."""
    match loss:
        case Loss.NOTHING:
            return True
        case Loss.EVERYTHING:
            return False
        case Loss.LATEST:
            return change.begin < latest
        case Loss.TORN:
            return not isinstance(change, Write) and rng.random() < HALF
        case Loss.SOME:
            return rng.random() < HALF
        case Loss.NAMES_AND_LENGTHS:
            return isinstance(change, Write) or rng.random() < HALF


def _image(disk: _Disk, marks: tuple[Mark, ...], label: str) -> Image:
    """List what can be reached from the root."""
    files: dict[str, bytes] = {}
    folders: list[str] = []
    reached = [""]
    while reached:
        folder = reached.pop()
        for name, file in disk.names.get(folder, {}).items():
            path = f"{folder}/{name}" if folder else name
            if file == FOLDER:
                folders.append(path)
                reached.append(path)
            else:
                files[path] = bytes(disk.files.get(file, b""))
    return Image(files, sorted(folders), marks, label)
