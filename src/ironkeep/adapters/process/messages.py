"""Operator messages: one line each on standard error, with a time, and never a secret.

What others wrote is part of some of them: an upstream's errors, names. It is spelt out, so that it
neither drives the terminal nor begins a line of its own.

What happened belongs in the journal. These lines tell whoever starts a server what it is doing, and
the place of a defect, without the values involved. `write_to` sends them to a file as well, as
Vault's `log_file` does; a line that cannot be written anywhere stops nobody's work.
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
"""The group may read: programs that ship logs run as another user."""


class LogFile:
    """A file that grows by whole lines, until it is opened anew under the same name."""

    def __init__(self, path: Path) -> None:
        """Open it at its end, or make it; raise InvalidRequest when that cannot be done."""
        self._path = path.absolute()
        self._descriptor = _open(self._path)

    def write(self, line: str) -> None:
        """Append line; a full disk loses it, and standard error still has it."""
        with suppress(OSError):
            os.write(self._descriptor, f"{line}\n".encode())

    def reopen(self) -> None:
        """Go on in the file that has the name now; raise InvalidRequest and stay in the old one."""
        opened = _open(self._path)
        # One step for every thread that writes: the descriptor keeps its number.
        os.dup2(opened, self._descriptor, inheritable=False)
        os.close(opened)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class _Places:
    """Where the lines of this process go, beside standard error."""

    file: LogFile | None = None


def write_to(path: Path | None) -> None:
    """Send every line from now on to the file at path as well; None is standard error alone."""
    before, _Places.file = _Places.file, LogFile(path) if path is not None else None
    if before is not None:
        before.close()


def reopen() -> None:
    """Take the log file by its name again, after it was moved; say it when that fails."""
    if _Places.file is None:
        return
    try:
        _Places.file.reopen()
    except InvalidRequest as error:
        say(f"the log file stays as it was: {error}")


def say(message: str) -> None:
    """Write one line."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    line = f"{now} {visible(message)}"
    if _Places.file is not None:
        _Places.file.write(line)
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is what it is for


def defect(request_id: str, error: BaseException) -> None:
    """Say where a defect is: class, file and line of each frame, but no message and no values."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in reversed(frames))
    say(f"defect in request {request_id}: {type(error).__name__} at {places}")


def _open(path: Path) -> int:
    """Return a descriptor that appends to path; what is no regular file would block or lose."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        opened = os.open(path, flags, _MODE)
    except OSError as error:
        raise InvalidRequest(f"cannot write to the log file {path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise InvalidRequest(f"the log file {path} is no regular file")
    return opened
