"""What can go wrong between the command and a server; everything else is core.errors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from ironkeep.core.errors import IronkeepError, Unavailable


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
        if not error.filename:
            raise
        raise Unavailable(
            f"cannot use {error.filename}: {error.strerror}. A server needs its directories to "
            "itself, owned by its user, on a disk that can be written"
        ) from None
