"""A log's directory on a POSIX file system.

Directories have mode 0700, files 0600. Names are durable because the folder is synced after each
change of it. A failed sync is not retried, because the kernel may have dropped the pages: the
journal stops for good. `core.logport.TRANSIENT` lists the failures after which it may continue.
"""

import errno
import fcntl
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from ironkeep.adapters.closed_folder import require_closed
from ironkeep.core.errors import Unavailable

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_LOCK: Final = "lock"
_ORIGIN: Final = "origin"
_MAX_ORIGIN: Final = 1_024
_DIRECTORY_DIGITS: Final = 16
_TEMPORARY: Final = ".new"
_ZEROS: Final = bytes(1 << 20)
_DSYNC: Final = getattr(os, "RWF_DSYNC", 0)


def log_directory(audit: Path, origin: str) -> Path:
    """Return the directory of the log named origin, among those under audit."""
    return audit / sha256(origin.encode()).hexdigest()[:_DIRECTORY_DIGITS]


def newest_origin(audit: Path, stem: str) -> str:
    """Return the origin stem/<epoch> of the highest epoch that has a log; stem/0 if none has.

    A log counts in its own directory only: a copy in another directory must not be written.
    """
    epochs = [0]
    for path in audit.glob(f"*/{_ORIGIN}"):
        with path.open("rb") as file:
            origin = file.read(_MAX_ORIGIN).decode("utf-8", "replace").removesuffix("\n")
        epoch = origin.removeprefix(f"{stem}/")
        is_number = epoch.isascii() and epoch.isdigit() and epoch[0] != "0"
        if is_number and path.parent == log_directory(audit, f"{stem}/{epoch}"):
            epochs.append(int(epoch))
    return f"{stem}/{max(epochs)}"


class _Handle:
    """An open file that closes when its last user drops it.

    A thread that still reads never has its descriptor number reused for another file.
    """

    __slots__ = ("fd", "identity")

    def __init__(self, path: Path, flags: int) -> None:
        self.fd: Final = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
        held = os.fstat(self.fd)
        self.identity: Final = held.st_dev, held.st_ino
        """Device and inode, which no other file has while this one is open."""

    def __del__(self) -> None:
        # If `os.open` failed, there is no descriptor to close.
        if hasattr(self, "fd"):
            os.close(self.fd)


class DirectoryLogFiles:
    """LogFiles over a directory. An flock keeps other writers out; `readonly` takes no lock."""

    def __init__(self, root: Path, *, readonly: bool = False) -> None:
        self._root: Final = root
        self._prefix: Final = f"{root}/"
        self._flags: Final = os.O_RDONLY if readonly else os.O_RDWR
        self._open: Final[dict[str, _Handle]] = {}
        self._lock: _Handle | None = None
        if not readonly:
            self._make_folder(root)
            require_closed(root)
            # A killed process may have left the names in either folder unsynced.
            _sync_folder(root.parent)
            _sync_folder(root)
            self._lock = self._take_lock()

    def _take_lock(self) -> _Handle:
        """Hold the lock file for as long as this object is open."""
        handle = _Handle(self._root / _LOCK, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"the journal in {self._root} is open in another process; stop that one first"
            ) from None
        return handle

    @staticmethod
    def mark(path: Path) -> None:
        """Make an empty file at path, durable when this returns; its folder must exist."""
        # An empty file has no data to sync, only its name.
        _Handle(path, os.O_WRONLY | os.O_CREAT)
        _sync_folder(path.parent)

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files in folder; see LogFiles."""
        try:
            with os.scandir(self._root / folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_file())
        except FileNotFoundError:
            return []

    def size(self, name: str) -> int:
        """Return the size of a file in bytes; see LogFiles."""
        return (self._root / name).stat().st_size

    def read(self, name: str, at: int, length: int) -> bytes:
        """Return up to length bytes from offset at; see LogFiles."""
        handle = self._open.get(name) or _Handle(self._root / name, os.O_RDONLY)
        parts = []
        # Python allocates all the bytes that it is asked for, and callers ask for a bundle's most.
        length = min(length, os.fstat(handle.fd).st_size - at)
        while length > 0:
            part = os.pread(handle.fd, length, at)
            if not part:
                break
            parts.append(part)
            at += len(part)
            length -= len(part)
        return b"".join(parts)

    def replace(self, name: str, data: bytes) -> None:
        """Write a temporary file, sync it, rename it, sync the folder; see LogFiles."""
        path = self._root / name
        self._make_folder(path.parent)
        temporary = path.with_name(path.name + _TEMPORARY)
        handle = _Handle(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        _write_all(handle.fd, 0, data)
        os.fsync(handle.fd)
        self._open.pop(name, None)
        temporary.replace(path)
        _sync_folder(path.parent)

    def allocate(self, name: str, length: int) -> None:
        """Make a file and write zeros to all of it; see LogFiles.

        A later sync then writes data only. Converting unwritten extents would about double its
        time.
        """
        path = self._root / name
        self._make_folder(path.parent)
        self._open.pop(name, None)
        handle = _Handle(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.posix_fallocate(handle.fd, 0, length)
        for at in range(0, length, len(_ZEROS)):
            _write_all(handle.fd, at, _ZEROS[: length - at])
        os.fsync(handle.fd)
        _sync_folder(path.parent)

    def rename(self, old: str, new: str) -> None:
        """Move a file; see LogFiles."""
        self._open.pop(new, None)
        handle = self._open.pop(old, None)
        (self._root / old).replace(self._root / new)
        if handle is not None:
            self._open[new] = handle
        _sync_folder((self._root / new).parent)

    def truncate(self, name: str, length: int) -> None:
        """Cut a file; see LogFiles."""
        fd = self._writable(name).fd
        os.ftruncate(fd, length)
        os.fsync(fd)

    def remove(self, name: str) -> None:
        """Delete a file; see LogFiles."""
        self._open.pop(name, None)
        path = self._root / name
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            _sync_folder(path.parent)

    def write_through(self, name: str, at: int, data: bytes) -> None:
        """Write and sync, in one call where the kernel supports it; see LogFiles."""
        fd = self._writable(name).fd
        if _DSYNC:
            try:
                written = os.pwritev(fd, [data], at, _DSYNC)
            except OSError as error:
                # Refused before any write: this file system does not support the flag.
                if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                    raise
                written = 0
            if written == len(data):
                return
            at, data = at + written, data[written:]
        _write_all(fd, at, data)
        os.fdatasync(fd)

    def write(self, name: str, at: int, data: bytes) -> None:
        """Write without syncing; see LogFiles."""
        path = self._root / name
        if name not in self._open and not path.exists():
            self._make_folder(path.parent)
            self._open[name] = _Handle(path, self._flags | os.O_CREAT)
            _sync_folder(path.parent)
        _write_all(self._writable(name).fd, at, data)

    def sync(self, name: str) -> None:
        """Make a file's data durable; see LogFiles."""
        os.fdatasync(self._writable(name).fd)

    def free(self) -> int:
        """Return the free bytes for this user; see LogFiles."""
        disk = os.statvfs(self._root)
        return disk.f_bavail * disk.f_frsize

    def require_linked(self, name: str, length: int = 0) -> None:
        """Compare device, inode and size of the open file and the path; see LogFiles."""
        held = self._writable(name)
        there = os.lstat(self._prefix + name)
        if held.identity != (there.st_dev, there.st_ino):
            raise FileNotFoundError(errno.ENOENT, "moved or deleted while in use", name)
        if there.st_size < length:
            raise FileNotFoundError(errno.ENOENT, "cut while in use", name)

    def close(self) -> None:
        """Close the files and release the lock."""
        self._open.clear()
        self._lock = None

    def _writable(self, name: str) -> _Handle:
        """Return the open handle of a file, opening it if needed."""
        handle = self._open.get(name)
        if handle is None:
            handle = self._open[name] = _Handle(self._root / name, self._flags)
        return handle

    def _make_folder(self, folder: Path) -> None:
        """Make folder and its missing parents, each durable in its parent."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        _sync_folder(folder.parent)


def _write_all(fd: int, at: int, data: bytes) -> None:
    """Write all of data at an offset, in several calls if the kernel writes only a part."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        at += written
        view = view[written:]


def _sync_folder(folder: Path) -> None:
    """Make the names in folder durable."""
    handle = _Handle(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle.fd)
