"""The file in which `login` keeps the token, `~/.vault-token`, as Vault's clients expect it.

It is written beside and renamed over, so that a reader sees the old token or the new one, and is
never readable to others, not even for an instant. A symbolic link in its place is neither followed
nor written through. It is the only file into which the command puts a secret.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ironkeep.config import environment
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret

NAME: Final = ".vault-token"
MAX_TOKEN: Final = 8_192
"""Bytes; what a server takes in a header."""

_MODE: Final = 0o600


def home() -> Path:
    """Return the folder that holds the file; raise InvalidRequest when there is none."""
    found = environment("HOME")
    if not found:
        raise InvalidRequest("HOME is not set: there is no place for the token. Set VAULT_TOKEN")
    return Path(found)


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def require_place(folder: Path) -> None:
    """Raise InvalidRequest when no token can be kept in folder: before it is asked for."""
    wanted = os.W_OK | os.X_OK
    if not folder.is_dir() or not os.access(folder, wanted):
        raise InvalidRequest(
            f"{folder} is no folder that you can write to: no token can be kept there. Set HOME, "
            "or give -no-store"
        )
    _require_closed(folder, folder.stat())


def _require_closed(folder: Path, found: os.stat_result) -> None:
    """Raise InvalidRequest when everybody may put another file in the token's place."""
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise InvalidRequest(f"{folder} is open to others: run `chmod o-w {folder}`")


def store(folder: Path, token: Secret) -> None:
    """Make the file hold token, mode 0600, durable when this returns."""
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
    """Return the token kept, or None; raise InvalidRequest when the file is not as `store` does."""
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
            raise InvalidRequest(f"{path} is not a plain file")
        _require_closed(folder, around)
        if found.st_uid not in (os.geteuid(), around.st_uid):
            raise InvalidRequest(f"{path} belongs to somebody else: remove it, and log in again")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise InvalidRequest(f"{path} is open to others: run `chmod 600 {path}`")
        token = os.read(fd, MAX_TOKEN + 1).strip()
    finally:
        os.close(fd)
    if len(token) > MAX_TOKEN:
        raise InvalidRequest(f"{path} holds no token: it is longer than {MAX_TOKEN} bytes")
    return Secret(token) if token else None
