"""A log's directory in memory: fails on demand, forgets what was not synced, can be changed."""

import copy
import errno
import os
from dataclasses import dataclass, field
from typing import Final, Self

from ironkeep.core.errors import Unavailable
from ironkeep.testing.memory import Fault


@dataclass(slots=True)
class LogDisk:
    """The content of a disk. Tests read and change `files` as an intruder with root would.

    `synced` holds the durable content of files that were written since their last sync; `capacity`,
    in bytes, makes the disk full.
    """

    files: dict[str, bytearray] = field(default_factory=dict)
    synced: dict[str, bytes] = field(default_factory=dict)
    capacity: int | None = None
    locked: bool = False

    def crash(self, *, keep_unsynced: bool = False) -> None:
        """Cut the power: release the lock, and lose unsynced data unless keep_unsynced is set."""
        self.locked = False
        if not keep_unsynced:
            self.files |= {name: bytearray(data) for name, data in self.synced.items()}
        self.synced.clear()

    def copy(self) -> Self:
        """Return an independent, unlocked copy, as a backup tool would make it."""
        twin = copy.deepcopy(self)
        twin.locked = False
        return twin


class MemoryLogFiles:
    """LogFiles over a LogDisk. `calls` records every changing call, as (method, name)."""

    def __init__(self, disk: LogDisk, *, readonly: bool = False) -> None:
        if not readonly:
            if disk.locked:
                raise Unavailable("the journal is open in another process; stop that one first")
            disk.locked = True
        self._disk: Final = disk
        self._readonly: Final = readonly
        self._open: Final[dict[str, bytearray]] = {}
        self.calls: Final[list[tuple[str, str]]] = []
        self._fail_at = -1
        self._fault = Fault.NOT_PERSISTED
        self._torn: int | None = None
        self._errno = errno.EIO

    def fail(
        self, call: int, fault: Fault, *, torn: int | None = None, number: int = errno.EIO
    ) -> None:
        """Let the changing call number `call` (0 is the next one) raise an OSError, EIO by default.

        With torn, a write_through leaves that many bytes of its data on the disk.
        """
        self._errno = number
        self._fail_at = len(self.calls) + call
        self._fault = fault
        self._torn = torn

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in folder; see LogFiles."""
        prefix = f"{folder}/" if folder else ""
        rest = (name.removeprefix(prefix) for name in self._disk.files if name.startswith(prefix))
        return sorted(name for name in rest if "/" not in name)

    def size(self, name: str) -> int:
        """Return the bytes in a file; see LogFiles."""
        return len(self._file(name))

    def read(self, name: str, at: int, length: int) -> bytes:
        """Return up to length bytes; see LogFiles."""
        return bytes(self._file(name)[at : at + length])

    def replace(self, name: str, data: bytes) -> None:
        """Make the file hold data; see LogFiles."""
        if self._begin("replace", name):
            self._require_space(len(data))
            self._put(name, bytearray(data))
        self._end()

    def allocate(self, name: str, length: int) -> None:
        """Make a file of zeros; see LogFiles."""
        if self._begin("allocate", name):
            self._require_space(length)
            self._put(name, bytearray(length))
        self._end()

    def rename(self, old: str, new: str) -> None:
        """Move a file; see LogFiles."""
        if self._begin("rename", old):
            self._put(new, self._file(old))
            del self._disk.files[old]
            self._open.pop(old, None)
        self._end()

    def truncate(self, name: str, length: int) -> None:
        """Cut a file; see LogFiles."""
        if self._begin("truncate", name):
            del self._file(name)[length:]
        self._end()

    def remove(self, name: str) -> None:
        """Delete a file; see LogFiles."""
        if self._begin("remove", name):
            self._disk.files.pop(name, None)
            self._disk.synced.pop(name, None)
            self._open.pop(name, None)
        self._end()

    def write_through(self, name: str, at: int, data: bytes) -> None:
        """Write and sync; see LogFiles."""
        file = self._open.setdefault(name, self._file(name))
        if self._begin("write_through", name):
            file[at : at + len(data)] = data
        elif self._torn is not None:
            file[at : at + self._torn] = data[: self._torn]
        self._end()

    def write(self, name: str, at: int, data: bytes) -> None:
        """Write; lost by `crash` until synced; see LogFiles."""
        if self._begin("write", name):
            file = self._disk.files.setdefault(name, bytearray())
            self._disk.synced.setdefault(name, bytes(file))
            file.extend(bytes(max(0, at - len(file))))
            file[at : at + len(data)] = data
        self._end()

    def sync(self, name: str) -> None:
        """Keep what was written; see LogFiles."""
        if self._begin("sync", name):
            self._disk.synced.pop(name, None)
        self._end()

    def free(self) -> int:
        """Return the free bytes; see LogFiles."""
        capacity = self._disk.capacity
        if capacity is None:
            return 1 << 60
        return capacity - sum(map(len, self._disk.files.values()))

    def require_linked(self, name: str, length: int = 0) -> None:
        """Raise OSError unless the open file is still at its name, and as long; see LogFiles."""
        file = self._open.setdefault(name, self._file(name))
        if file is not self._file(name):
            raise FileNotFoundError(errno.ENOENT, "moved or deleted while in use", name)
        if len(file) < length:
            raise FileNotFoundError(errno.ENOENT, "cut while in use", name)

    def close(self) -> None:
        """Release the lock."""
        if not self._readonly:
            self._disk.locked = False

    def _begin(self, method: str, name: str) -> bool:
        """Record a call; return whether to carry it out."""
        assert not self._readonly, "a verifier changes nothing"
        self.calls.append((method, name))
        return not self._failing or self._fault is Fault.PERSISTED_ANYWAY

    def _end(self) -> None:
        """Raise OSError if a test chose this call to fail."""
        if self._failing:
            raise OSError(self._errno, os.strerror(self._errno))

    @property
    def _failing(self) -> bool:
        return len(self.calls) - 1 == self._fail_at

    def _require_space(self, length: int) -> None:
        capacity = self._disk.capacity
        if capacity is not None and length + sum(map(len, self._disk.files.values())) > capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _put(self, name: str, data: bytearray) -> None:
        self._disk.files[name] = data
        self._disk.synced.pop(name, None)
        self._open.pop(name, None)

    def _file(self, name: str) -> bytearray:
        try:
            return self._disk.files[name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None
