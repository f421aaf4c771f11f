"""Files that only their owner can read: written atomically, mode 0600, symbolic links refused."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from ironkeep.core.errors import Conflict, InvalidRequest, NotFound

_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


def make_folder(path: Path) -> None:
    """Create the folder for this user alone; raise InvalidRequest when others may write to it."""
    path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    require_own_folder(path)


def require_own_folder(path: Path) -> None:
    """Raise NotFound, or InvalidRequest when others may write to the folder; run on every start."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise NotFound(f"there is no {path}") from None
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise InvalidRequest(f"{path} is open to others: run `chmod 700 {path}`")


def create(path: Path, data: bytes) -> None:
    """Write a new file, durable when this returns; raise Conflict when it exists.

    Of two simultaneous calls the later one wins: both are from the same user.
    """
    if os.path.lexists(path):
        raise Conflict(f"{path} already exists")
    replace(path, data)


def replace(path: Path, data: bytes) -> None:
    """Write data to path, durable when this returns; readers see the old data or the new."""
    staged = _stage(path, data)
    try:
        staged.rename(path)
    except OSError:
        staged.unlink()
        raise
    _sync(path.parent)


def read(path: Path, limit: int) -> bytes:
    """Return the content of path; raise NotFound, or InvalidRequest unless private and small."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"there is no {path}") from None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise InvalidRequest(f"{path} is a symbolic link, which is not followed") from None
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise InvalidRequest(f"{path} is not a plain file")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise InvalidRequest(f"{path} is open to others: run `chmod 600 {path}`")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidRequest(f"{path} is longer than {limit} bytes")
    return data


def _stage(path: Path, data: bytes) -> Path:
    """Write data durably to a file next to path."""
    staged = path.with_name(f"{path.name}.{os.getpid()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(staged, flags, _MODE)
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, _MODE)
        file.write(data)
        file.flush()
        os.fsync(fd)
    return staged


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
