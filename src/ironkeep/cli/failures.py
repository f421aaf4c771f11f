"""The errors between a command and a server; all others are in core.errors."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ironkeep.core.errors import IronkeepError, Unavailable

_NO_FOLDER: Final = frozenset({errno.ENOTDIR, errno.EEXIST, errno.ELOOP})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})


class Unreachable(IronkeepError):
    """No answer, or none in HTTP; the message says what to check."""

    code = "unreachable"


class Refused(IronkeepError):
    """The server answered with an error status."""

    code = "refused"

    def __init__(self, request: str, status: int, errors: Sequence[str], hint: str = "") -> None:
        listed = "".join(f"\n\n* {error.strip()}" for error in errors)
        more = f"\n\n{hint}" if hint else ""
        super().__init__(
            f"Error making API request.\n\nURL: {request}\nCode: {status}. Errors:{listed}{more}"
        )
        self.status: Final = status
        self.errors: Final = tuple(errors)


class NoValue(IronkeepError):
    """The server has no value at the path."""

    code = "no_value"


class CurlString(Exception):
    """Raised instead of sending a request with -output-curl-string; its text is a curl command.

    It is not an error, and so not an IronkeepError.
    """


@contextmanager
def naming_places() -> Iterator[None]:
    """Turn an OSError about a server's files into Unavailable with the name of the place."""
    try:
        yield
    except OSError as error:
        if error.filename:
            raise Unavailable(
                f"cannot use {error.filename}: {_why(error)}. A server needs directories of its "
                "own, owned by its user, on a writable disk"
            ) from None
        if error.errno not in _FULL:
            raise
        raise Unavailable(
            f"cannot write: {error.strerror}. Check the free space on the disks of the data and "
            "the journal, and the limits of this process (ulimit -f)"
        ) from None


def _why(error: OSError) -> str:
    """Return the reason why error's file cannot be used: a known cause, or the system's text."""
    place = Path(error.filename)
    if error.errno in _NO_FOLDER and place.is_symlink():
        return "it is a symbolic link, which is not followed: give the folder that it points to"
    if error.errno in _NO_FOLDER and place.is_file():
        return "it is a file, not a folder"
    return error.strerror or type(error).__name__
