"""The file `~/.vault-token`, in which `login` stores the token as Vault's clients expect it.

A temporary file is written and renamed, so that a reader sees either the old token or the new one,
and other users can never read it, not even for a moment. A symbolic link in its place is neither
followed nor written through. It is the only file in which the command stores a secret.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ironkeep.config.environment import environment
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret

NAME: Final = ".vault-token"
MAX_TOKEN: Final = 8_192
"""Bytes of a token: a server accepts no more in the header."""

_MODE: Final = 0o600


def home() -> Path:
    """Return the folder of the file, HOME; raise InvalidRequest if it is not set."""
    found = environment("HOME")
    if not found:
        raise InvalidRequest("HOME is not set, so there is no token file: set VAULT_TOKEN")
    return Path(found)


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def require_place(folder: Path) -> None:
    """Raise InvalidRequest if no token can be stored in folder; call before a token is made."""
    wanted = os.W_OK | os.X_OK
    if not folder.is_dir() or not os.access(folder, wanted):
        raise InvalidRequest(
            f"{folder} is not a folder that you can write to, so the token cannot be stored there. "
            "Set HOME, or give -no-store"
        )
    _require_closed(folder, folder.stat())


def _require_closed(folder: Path, found: os.stat_result) -> None:
    """Raise InvalidRequest if all users may replace the token's file."""
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise InvalidRequest(f"all users can write to {folder}: run `chmod o-w {folder}`")


def store(folder: Path, token: Secret) -> None:
    """Store token in the file, with mode 0600; durable when this returns."""
    with _folder(folder) as at:
        temporary = f"{NAME}.{os.urandom(8).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, _MODE, dir_fd=at)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(token.reveal())
                file.flush()
                os.fsync(fd)
            os.rename(temporary, NAME, src_dir_fd=at, dst_dir_fd=at)
        except BaseException:
            os.unlink(temporary, dir_fd=at)
            raise
        os.fsync(at)


def load(folder: Path) -> Secret | None:
    """Return the stored token, or None.

    Raise InvalidRequest if the file is a link, of another owner, or readable by other users.
    """
    path = folder / NAME
    try:
        with _folder(folder) as at:
            around = os.fstat(at)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(NAME, flags, dir_fd=at)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise InvalidRequest(f"{path} is a symbolic link, which is not followed") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise InvalidRequest(f"{path} is not a regular file")
        _require_closed(folder, around)
        if found.st_uid not in (os.geteuid(), around.st_uid):
            raise InvalidRequest(f"{path} belongs to another user: remove it and log in again")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise InvalidRequest(f"other users have access to {path}: run `chmod 600 {path}`")
        token = os.read(fd, MAX_TOKEN + 1).strip()
    finally:
        os.close(fd)
    if len(token) > MAX_TOKEN:
        raise InvalidRequest(f"{path} is not a token: it is longer than {MAX_TOKEN} bytes")
    return Secret(token) if token else None
