"""Why an exchange with another system failed, in this machine's own words and never in theirs."""

import ssl
from collections.abc import Iterator


def cause(error: BaseException) -> str:
    """Return the true cause beneath an error of a library."""
    for each in _chain(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {each.verify_message}"
        if isinstance(each, ssl.SSLError) and each.reason:
            return f"TLS failed: {each.reason}"
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
    return type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
