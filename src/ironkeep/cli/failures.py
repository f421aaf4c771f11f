"""What can go wrong between the command and a server; everything else is core.errors."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ironkeep.core.errors import IronkeepError, Unavailable

_NO_FOLDER: Final = frozenset({errno.ENOTDIR, errno.EEXIST, errno.ELOOP})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})


class Unreachable(IronkeepError):
    """No answer came, or none that is HTTP; the message says what to look at."""

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
    """The server has nothing at that path."""

    code = "no_value"


class CurlString(Exception):
    """The request as a curl command, raised instead of sending it: what -output-curl-string asks.

    It is no error, and so not one of IronkeepError's.
    """


@contextmanager
def naming_places() -> Iterator[None]:
    """Raise Unavailable for a place on this machine that what serves cannot use, naming it."""
    try:
        yield
    except OSError as error:
        if error.filename:
            raise Unavailable(
                f"cannot use {error.filename}: {_why(error)}. A server needs its directories to "
                "itself, owned by its user, on a disk that can be written"
            ) from None
        if error.errno not in _FULL:
            raise
        raise Unavailable(
            f"cannot write: {error.strerror}. Look at the room on the disks of the data and the "
            "journal, and at the limits of this process (ulimit -f)"
        ) from None


def _why(error: OSError) -> str:
    """Return why the place that error names cannot be used: what the system says, or the cause."""
    place = Path(error.filename)
    if error.errno in _NO_FOLDER and place.is_symlink():
        return "it is a symbolic link, which is not followed: name the folder that it stands for"
    if error.errno in _NO_FOLDER and place.is_file():
        return "it is a file, and should be a folder"
    return error.strerror or type(error).__name__
