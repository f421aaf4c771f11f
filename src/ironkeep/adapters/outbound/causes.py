"""Causes of failed exchanges in this machine's words, never in those of the other system."""

import ssl
from collections.abc import Iterator


def cause(error: BaseException) -> str:
    """Return the underlying cause of a library's error."""
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
