"""Traces recorded by strace(1): every call by which a real process changes or syncs its files.

Nothing in the program under test knows of it, and SQLite's own calls are among them. strace reports
a call's end before the thread goes on, so its lines are in an order in which things happened.

Refused with ValueError: paths relative to the working directory, links below the root, renamed
folders, files that were there before. Not seen: writes through shared mappings (SQLite's -shm file,
which every start rebuilds), what a child process does with descriptors of its own numbering. A
`write` without an offset is taken to follow the last write or seek of its descriptor.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.crash.crashfs import (
    FOLDER,
    NEVER,
    Change,
    Mark,
    Names,
    Resize,
    Sync,
    Trace,
    Write,
)

_CALLS: Final = (
    "openat,open,creat,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,lseek,ftruncate,truncate,"
    "fallocate,copy_file_range,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir"
)
_LONGEST: Final = 64 << 20
"""Bytes of one write that strace shows whole."""

_LINE: Final = re.compile(r"(\d+) +(.*)")
_UNFINISHED: Final = " <unfinished ...>"
_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_CALL: Final = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(?:<([^>]*)>)?.*")
_STRING: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PATH: Final = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:\\x[0-9a-f]{2})*)"')
_PLACE: Final = re.compile(r"(AT_FDCWD|\d+)<([^>]*)>(\(deleted\))?")


def recorded(output: Path, *, inject: tuple[str, ...] = ()) -> list[str]:
    """Return the start of a command line: what follows is run, and its calls go to output.

    inject are strace's own expressions that make calls fail, such as "fdatasync:error=EIO:when=3".
    Raise FileNotFoundError when there is no strace.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise FileNotFoundError("strace is not installed: apt-get install strace")
    faults = [f"--inject={fault}" for fault in inject]
    shown = ["-y", "-xx", "-s", str(_LONGEST), "-e", "signal=none", "-e", f"trace={_CALLS}"]
    return [strace, "-f", "--seccomp-bpf", "-qq", *shown, *faults, "-o", str(output)]


def parse(output: Path, root: Path) -> Trace:
    """Return what the recorded process did below root, which it found empty or made itself."""
    reader = _Reader(str(root.resolve()))
    for call in _calls(output):
        reader.take(call)
    return Trace(tuple(reader.calls), tuple(reader.marks), tuple(reader.paths))


@dataclass(slots=True)
class _Raw:
    """One call as text: its arguments, its result, and the path of a descriptor it returned."""

    begin: int
    end: int
    name: str
    arguments: str
    result: int
    opened: str


def _calls(output: Path) -> Iterator[_Raw]:
    """Yield the calls that returned, and those that never did, in the order they began.

    Line n tells that a call began at 2n, or ended at 2n + 1, or both.
    """
    begun: dict[str, tuple[int, str]] = {}
    calls: list[_Raw] = []
    with output.open(encoding="ascii") as lines:
        for number, line in enumerate(lines):
            match = _LINE.match(line)
            assert match is not None
            thread, text = match.groups()
            begin = 2 * number
            if resumed := _RESUMED.match(text):
                begin, start = begun.pop(thread)
                text = start + resumed[1]
            elif text.endswith(_UNFINISHED):
                begun[thread] = begin, text.removesuffix(_UNFINISHED)
                continue
            calls.extend(_raw(begin, 2 * number + 1, text))
    for begin, start in begun.values():
        calls.extend(_raw(begin, NEVER, f"{start}) = ?"))
    return iter(sorted(calls, key=lambda call: call.begin))


def _raw(begin: int, end: int, text: str) -> Iterator[_Raw]:
    """Parse a call; its result is -1 when it failed, and huge when it did not return."""
    match = _CALL.fullmatch(text)
    if match is None:
        return
    name, arguments, result, opened = match.groups()
    if result == "?":
        yield _Raw(begin, NEVER, name, arguments, NEVER, "")
    else:
        yield _Raw(begin, end, name, arguments, int(result), _text(opened or ""))


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _text(escaped: str) -> str:
    return _bytes(escaped).decode(errors="surrogateescape")


@dataclass(slots=True)
class _Open:
    """What a descriptor was opened for, and where its next `write` goes."""

    position: int
    append: bool
    through: bool


class _Reader:
    """Follows the files below the root, call by call."""

    def __init__(self, root: str) -> None:
        self._root: Final = root
        self._files: Final[dict[str, int]] = {"": FOLDER}
        self._sizes: Final[list[int]] = []
        self._open: Final[dict[str, _Open]] = {}
        self.paths: Final[list[str]] = []
        self.calls: Final[list[Change | Sync]] = []
        self.marks: Final[list[Mark]] = []

    def take(self, raw: _Raw) -> None:
        """Add one call to the trace."""
        if raw.name in {"fsync", "fdatasync"}:
            self._sync(raw)
        elif raw.result < 0 or (raw.result == NEVER and raw.name in {"openat", "lseek"}):
            return
        elif raw.name in {"openat", "open", "creat"}:
            self._opened(raw)
        elif raw.name == "lseek":
            if (descriptor := self._open.get(raw.arguments.partition("<")[0])) is not None:
                descriptor.position = raw.result
        elif raw.name in {
            "write",
            "writev",
            "pwrite64",
            "pwritev",
            "pwritev2",
            "sendto",
            "sendmsg",
        }:
            self._written(raw)
        elif raw.name in {"ftruncate", "fallocate"}:
            self._resized(raw)
        else:
            self._renamed(raw)

    def _below(self, path: str) -> str | None:
        """Return path relative to the root, or None when it is elsewhere."""
        if path == self._root:
            return ""
        return path[len(self._root) + 1 :] if path.startswith(self._root + "/") else None

    def _place(self, raw: _Raw) -> tuple[str, str, str | None]:
        """Return the first argument's descriptor, its path, and that below the root if it is.

        A deleted file is nowhere: what happens to it no crash can show.
        """
        match = _PLACE.match(raw.arguments)
        if match is None:
            return "", "", None
        path = _text(match[2])
        return match[1], path, None if match[3] else self._below(path)

    def _known(self, raw: _Raw, path: str) -> int:
        if path not in self._files:
            raise ValueError(f"{raw.name} of {path!r}, which was there before the trace began")
        return self._files[path]

    def _sync(self, raw: _Raw) -> None:
        _, _, path = self._place(raw)
        if path is not None:
            file = self._known(raw, path)
            target = path if file == FOLDER else file
            self.calls.append(Sync(raw.begin, raw.end, target, failed=raw.result != 0))

    def _opened(self, raw: _Raw) -> None:
        path = self._below(raw.opened)
        if path is None:
            self._open.pop(str(raw.result), None)
            return
        if "O_TMPFILE" in raw.arguments:
            raise ValueError(f"{path!r} was opened with O_TMPFILE")
        if path not in self._files and ("O_CREAT" in raw.arguments or raw.name == "creat"):
            self._files[path] = len(self.paths)
            self.paths.append(path)
            self._sizes.append(0)
            self._name(raw, {path: self._files[path]})
        file = self._known(raw, path)
        if "O_TRUNC" in raw.arguments and self._sizes[file]:
            self._sizes[file] = 0
            self.calls.append(Resize(raw.begin, raw.end, file, 0))
        through = "O_SYNC" in raw.arguments or "O_DSYNC" in raw.arguments
        self._open[str(raw.result)] = _Open(0, "O_APPEND" in raw.arguments, through)

    def _written(self, raw: _Raw) -> None:
        descriptor, channel, path = self._place(raw)
        data = b"".join(_bytes(match[1]) for match in _STRING.finditer(raw.arguments))
        data = data[: raw.result]
        if path is None:
            self.marks.append(Mark(raw.begin, channel, data))
            return
        file, opened = self._known(raw, path), self._open[descriptor]
        through = opened.through or "RWF_DSYNC" in raw.arguments or "RWF_SYNC" in raw.arguments
        if raw.name.startswith("p"):
            # After the data come its size or number of parts, the offset, and perhaps flags.
            at = int(raw.arguments.rpartition('"')[2].rpartition("]")[2].split(", ")[2])
        else:
            at = self._sizes[file] if opened.append else opened.position
            opened.position = at + len(data)
        self._sizes[file] = max(self._sizes[file], at + len(data))
        self.calls.append(Write(raw.begin, raw.end, file, at, data, through))

    def _resized(self, raw: _Raw) -> None:
        _, _, path = self._place(raw)
        if path is None:
            return
        file = self._known(raw, path)
        _, *numbers = raw.arguments.split(", ")
        length = int(numbers[-1])
        if raw.name == "fallocate":
            if numbers[0] != "0":
                raise ValueError(f"fallocate of {path!r} in another mode than to grow it")
            length = max(self._sizes[file], int(numbers[1]) + length)
        self._sizes[file] = length
        self.calls.append(Resize(raw.begin, raw.end, file, length))

    def _renamed(self, raw: _Raw) -> None:
        """Take a call that is about names."""
        paths = list(self._named(raw))
        if not any(path is not None for path in paths) or raw.name == "sync_file_range":
            return
        first = paths[0]
        if raw.name in {"mkdir", "mkdirat"} and first is not None:
            if first:
                self._name(raw, {first: FOLDER})
        elif raw.name in {"unlink", "unlinkat", "rmdir"} and first is not None:
            self._known(raw, first)
            self._name(raw, {first: None})
        elif raw.name in {"rename", "renameat", "renameat2"} and None not in paths:
            old, new = (path for path in paths if path is not None)
            file = self._known(raw, old)
            if file == FOLDER or "RENAME_EXCHANGE" in raw.arguments:
                raise ValueError(f"{raw.name} of {old!r}, a folder or an exchange")
            self._name(raw, {old: None, new: file})
        else:
            raise ValueError(f"{raw.name} of {paths} is not something that a trace can tell")

    def _named(self, raw: _Raw) -> Iterator[str | None]:
        """Yield the paths in the arguments, relative to the root; None for those elsewhere."""
        for match in _PATH.finditer(raw.arguments):
            path = _text(match[2])
            if not path.startswith("/"):
                if match[1] is None:
                    raise ValueError(f"{raw.name} of {path!r}, relative to the working directory")
                path = f"{_text(match[1])}/{path}"
            yield self._below(path)

    def _name(self, raw: _Raw, entries: dict[str, int | None]) -> None:
        """Set and remove names, all those in one folder together."""
        folders: dict[str, list[tuple[str, int | None]]] = {}
        for path, file in entries.items():
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, []).append((name, file))
            if file is None:
                del self._files[path]
            else:
                self._files[path] = file
        for folder, changed in folders.items():
            self.calls.append(Names(raw.begin, raw.end, folder, tuple(changed)))
