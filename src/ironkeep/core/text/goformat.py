"""Times and durations in the spelling of Go's encoders, which Vault's clients parse.

Source: RFC 3339 with nanoseconds as Go's time.RFC3339Nano prints them; Go's Duration.String.
"""

from datetime import UTC, datetime

from ironkeep.core.units import SECOND_NS


def rfc3339(time_ns: int) -> str:
    """Return POSIX nanoseconds as RFC 3339 UTC; trailing zeros of the fraction are left out."""
    seconds, fraction = divmod(time_ns, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if fraction:
        text += f".{fraction:09d}".rstrip("0")
    return text + "Z"


def duration(seconds: int) -> str:
    """Return whole seconds as 1h2m3s, or 0s; every unit below the largest is written too."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    if minutes:
        return f"{minutes}m{rest}s"
    return f"{rest}s"
