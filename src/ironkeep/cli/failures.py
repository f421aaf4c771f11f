"""What can go wrong between the command and a server; everything else is core.errors."""

from collections.abc import Sequence
from typing import Final

from ironkeep.core.errors import IronkeepError


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
