"""Operator messages: one line each on standard error, with a time, and never a secret.

Some contain text of other parties, such as names or an upstream's errors. Its control characters
are escaped, so that it neither controls the terminal nor begins a line of its own.

The journal records events. These lines tell an operator the state of the server, and the place of a
defect without the values involved. `write_to` sends them to a file as well, like Vault's
`log_file`. A line that cannot be written is dropped and interrupts nothing.
"""

import os
import stat
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.text.visible import visible

_MODE: Final = 0o640
"""The group may read, because log shippers run as another user."""


class LogFile:
    """A log file that is appended to, and reopened by name after a rotation."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending, or create it; raise InvalidRequest if that fails."""
        self._path = path.absolute()
        self._descriptor = _open(self._path)

    def write(self, line: str) -> None:
        """Append line; on a full disk it appears on standard error only."""
        with suppress(OSError):
            os.write(self._descriptor, f"{line}\n".encode())

    def reopen(self) -> None:
        """Continue in the file that now has the name; on InvalidRequest the old one is kept."""
        opened = _open(self._path)
        # The descriptor keeps its number, so the switch is atomic for all writing threads.
        os.dup2(opened, self._descriptor, inheritable=False)
        os.close(opened)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class _Places:
    """The log file of this process, in addition to standard error."""

    file: LogFile | None = None


def write_to(path: Path | None) -> None:
    """Send every line from now on to the file at path as well; None for standard error only."""
    before, _Places.file = _Places.file, LogFile(path) if path is not None else None
    if before is not None:
        before.close()


def reopen() -> None:
    """Open the log file by its name again after a rotation; report a failure."""
    if _Places.file is None:
        return
    try:
        _Places.file.reopen()
    except InvalidRequest as error:
        say(f"the old log file is kept: {error}")


def say(message: str) -> None:
    """Write one line to standard error and the log file."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    line = f"{now} {visible(message)}"
    if _Places.file is not None:
        _Places.file.write(line)
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is what it is for


def defect(request_id: str, error: BaseException) -> None:
    """Report a defect by class, file and line of each frame, without its message or any values."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in reversed(frames))
    say(f"defect in request {request_id}: {type(error).__name__} at {places}")


def _open(path: Path) -> int:
    """Return a descriptor that appends to path, which must be a regular file.

    Writes to a pipe or a device could block or be lost.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        opened = os.open(path, flags, _MODE)
    except OSError as error:
        raise InvalidRequest(f"cannot write to the log file {path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise InvalidRequest(f"the log file {path} is not a regular file")
    return opened
