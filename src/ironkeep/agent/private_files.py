"""Files that only their owner reads: written whole, mode 0600, no symbolic link followed."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from ironkeep.core.errors import Conflict, InvalidRequest, NotFound

_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


def make_folder(path: Path) -> None:
    """Make path a folder of this user alone; raise InvalidRequest when it is open to others."""
    path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    require_own_folder(path)


def require_own_folder(path: Path) -> None:
    """Raise NotFound, or InvalidRequest when others may write to the folder: on every start."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise NotFound(f"there is no {path}") from None
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise InvalidRequest(f"{path} is not yours alone to write: run `chmod 700 {path}`")


def create(path: Path, data: bytes) -> None:
    """Write a new file, durable when this returns; raise Conflict when there is one already.

    Of two who create it at the same moment the later one stays: both are the same person.
    """
    if os.path.lexists(path):
        raise Conflict(f"{path} exists already")
    replace(path, data)


def replace(path: Path, data: bytes) -> None:
    """Make path hold data, durable when this returns; a reader sees the old or the new."""
    staged = _stage(path, data)
    try:
        staged.rename(path)
    except OSError:
        staged.unlink()
        raise
    _sync(path.parent)


def read(path: Path, limit: int) -> bytes:
    """Return what path holds; raise NotFound, or InvalidRequest unless it is private and small."""
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
    """Write data, durably, to a file beside path."""
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
