"""A log directory on disk whose writes are never synced, so that large logs are made quickly."""

import os
from pathlib import Path
from typing import Final

from ironkeep.adapters.log.files import DirectoryLogFiles


class UnsyncedLogFiles(DirectoryLogFiles):
    """DirectoryLogFiles without durability: a crash of the machine loses the log.

    The files have the same names and bytes as those of a server.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._folders: Final[set[Path]] = set()

    def replace(self, name: str, data: bytes) -> None:
        """Write the file in place; see LogFiles."""
        path = self._root / name
        if path.parent not in self._folders:
            self._make_folder(path.parent)
            self._folders.add(path.parent)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)

    def allocate(self, name: str, length: int) -> None:
        """Make a file of zeros without taking their space; see LogFiles."""
        self.replace(name, b"")
        os.truncate(self._root / name, length)

    def write_through(self, name: str, at: int, data: bytes) -> None:
        """Write without a sync; see LogFiles."""
        os.pwrite(self._writable(name).fd, data, at)

    def sync(self, name: str) -> None:
        """Do nothing; see LogFiles."""
