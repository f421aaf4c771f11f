"""The port to one log's directory: named files, and how durable each operation leaves them.

Names are relative, with forward slashes, and made by the journal itself, never by a caller. One
open LogFiles is the one writer of its directory: a second one is refused. Every operation may raise
OSError; what it was to do may then have happened or not, in whole or in part.
"""

import errno
from typing import Final, Protocol

PASSING: Final = frozenset(
    {
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR,
        errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG,
    }
)  # fmt: skip
"""Refusals that say why, and end when that is mended: no descriptor, no memory, no right, no room.

The kernel has not lost anything that it had taken. What was to be written is written again whole,
over what there may be of it. Any other failure, EIO above all, may have dropped what came before.
"""


def is_passing(error: OSError) -> bool:
    """Return whether the same call may be made again when its cause is mended."""
    return error.errno in PASSING


class LogFiles(Protocol):
    """A directory that one log keeps its files in."""

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
        """Make the file hold exactly data: durable when this returns, and never seen half done."""
        ...

    def allocate(self, name: str, length: int) -> None:
        """Make a file of length zeros whose space is taken; durable when this returns."""
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
        """Write data at an offset, making the file if needed; lost by a crash until `sync`."""
        ...

    def sync(self, name: str) -> None:
        """Make what was written to a file durable."""
        ...

    def free(self) -> int:
        """Return the bytes that the disk still has room for."""
        ...

    def require_linked(self, name: str) -> None:
        """Raise OSError unless the file held open under name is still found under that name."""
        ...

    def close(self) -> None:
        """Let go of the directory; what is durable stays."""
        ...
