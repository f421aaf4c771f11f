"""Progress of a long read, drawn on standard error if that is a terminal."""

import time
from pathlib import Path
from typing import Final

from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.cli.output.terminal import Terminal

QUIET_SECONDS: Final = 1.0
"""Time before progress is shown: a shorter read needs none."""
EVERY_SECONDS: Final = 0.2


class WatchedLogFiles(DirectoryLogFiles):
    """A read-only log directory that shows how much of it was read."""

    def __init__(self, root: Path, terminal: Terminal) -> None:
        super().__init__(root, readonly=True)
        self._terminal: Final = terminal
        self._bytes = 0
        self._next = time.monotonic() + QUIET_SECONDS
        self._drawn = False

    def read(self, name: str, at: int, length: int) -> bytes:
        """Read and count the bytes; see LogFiles."""
        data = super().read(name, at, length)
        self._bytes += len(data)
        if self._terminal.watched and time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_SECONDS
            self._drawn = True
            self._terminal.redraw(f"{self._bytes >> 20} MiB read ({name})")
        return data

    def close(self) -> None:
        """Close, and remove the line of progress; see LogFiles."""
        if self._drawn:
            self._terminal.redraw("")
        super().close()
