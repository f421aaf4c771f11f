"""Times and durations in the spelling of Go's encoders, which Vault's clients parse.

Source: RFC 3339 with nanoseconds as Go's time.RFC3339Nano prints them; Go's Duration.String.
"""

from datetime import date
from functools import lru_cache
from typing import Final

from ironkeep.core.units import SECOND_NS

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_SECONDS: Final = 86_400


def rfc3339(time_ns: int) -> str:
    """Return POSIX nanoseconds as RFC 3339 UTC; trailing zeros of the fraction are left out."""
    seconds, fraction = divmod(time_ns, SECOND_NS)
    if not fraction:
        return _second(seconds) + "Z"
    return f"{_second(seconds)}.{fraction:09d}".rstrip("0") + "Z"


@lru_cache(maxsize=4_096)
def _second(seconds: int) -> str:
    """Return a time without its fraction; consecutive requests ask for the same one."""
    days, seconds = divmod(seconds, _DAY_SECONDS)
    minutes, seconds = divmod(seconds, 60)
    return f"{_day(days)}T{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


@lru_cache(maxsize=4_096)
def _day(days: int) -> str:
    return date.fromordinal(_EPOCH + days).isoformat()


def duration(seconds: int) -> str:
    """Return whole seconds as 1h2m3s, or 0s; every unit below the largest is written too."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    if minutes:
        return f"{minutes}m{rest}s"
    return f"{rest}s"
