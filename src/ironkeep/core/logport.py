"""The port to one log's directory: named files, with the durability of each operation.

Names are relative, with forward slashes, and made by the journal itself, never by a client. An open
LogFiles is the only writer of its directory: opening a second one fails. Every operation may raise
OSError; it may then have taken effect in whole, in part or not at all.
"""

import errno
from typing import Final, Protocol

TRANSIENT: Final = frozenset(
    {
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR,
        errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG,
    }
)  # fmt: skip
"""Errors that end when their cause is fixed: no descriptor, memory, permission or space.

The operating system refused the operation and has kept all data that it accepted before. The caller
repeats the whole write over what there may be of it. Any other error, EIO above all, may mean that
earlier data was dropped.
"""


def is_transient(error: OSError) -> bool:
    """Return whether the same call may be repeated once the cause of error is fixed."""
    return error.errno in TRANSIENT


class LogFiles(Protocol):
    """The directory with the files of one log."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in folder, sorted; empty if there is no folder."""
        ...

    def size(self, name: str) -> int:
        """Return the bytes in a file; raise FileNotFoundError."""
        ...

    def read(self, name: str, at: int, length: int) -> bytes:
        """Return up to length bytes from offset at; fewer at the file's end. FileNotFoundError."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Replace a file's content with data, atomically; durable when this returns."""
        ...

    def allocate(self, name: str, length: int) -> None:
        """Make a file of length zeros with its space allocated; durable when this returns."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Move a file over another or to a new name; durable when this returns."""
        ...

    def truncate(self, name: str, length: int) -> None:
        """Cut a file to length; durable when this returns."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file if it is there; durable when this returns."""
        ...

    def write_through(self, name: str, at: int, data: bytes) -> None:
        """Write data at an offset of an existing file; durable when this returns."""
        ...

    def write(self, name: str, at: int, data: bytes) -> None:
        """Write data at an offset, creating the file if needed; durable only after `sync`."""
        ...

    def sync(self, name: str) -> None:
        """Make all writes to a file durable."""
        ...

    def free(self) -> int:
        """Return the free space of the disk in bytes."""
        ...

    def require_linked(self, name: str, length: int = 0) -> None:
        """Raise OSError unless the file held open under name is still found under that name.

        Raise it also if the file has fewer than length bytes.
        """
        ...

    def close(self) -> None:
        """Release the directory; durable data stays."""
        ...
