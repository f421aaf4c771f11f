"""The lifetime of a token or a lease, by Vault's rules and with Vault's warnings.

Source: Vault, framework.CalculateTTL. All durations are whole seconds; 0 means "not given".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.text.goformat import duration
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.token import DEFAULT_TTL_SECONDS


@dataclass(frozen=True, slots=True)
class Limits:
    """A mount's default lifetime, for requests that name none, and its longest lifetime."""

    default_seconds: int = DEFAULT_TTL_SECONDS
    max_seconds: int = DEFAULT_TTL_SECONDS


SYSTEM: Final = Limits()


def limits_of(config: Mapping[str, Any], system: Limits = SYSTEM) -> Limits:
    """Return the limits in a mount's config, with the system's for those that are 0 or absent."""
    longest = int(config.get("max_lease_ttl") or system.max_seconds)
    default = int(config.get("default_lease_ttl") or system.default_seconds)
    return Limits(min(default, longest), longest)


def lifetime(
    limits: Limits,
    *,
    issued_ns: int,
    now_ns: int,
    increment: int = 0,
    ttl: int = 0,
    longest: int = 0,
    explicit: int = 0,
    period: int = 0,
) -> tuple[int, list[str]]:
    """Return the seconds from now that may be granted, and Vault's warnings about capped values.

    `increment` is the duration that a renewal asks for, `ttl` the one of the first request,
    `longest` the role's limit on the whole life, `explicit` the hard maximum. A token with a
    `period` can be renewed without end unless `explicit` limits it. Raise InvalidRequest when no
    time is left.
    """
    maximum = min(value for value in (limits.max_seconds, longest, explicit) if value)
    warnings: list[str] = []
    if period:
        if period > maximum:
            warnings.append(_cut("period", period, maximum))
        granted, total = min(period, maximum), explicit
    else:
        granted, total = increment or ttl or limits.default_seconds, maximum
    if total:
        left = total - max(0, now_ns - issued_ns) // SECOND_NS
        if left <= 0:
            raise InvalidRequest("past the max TTL, cannot renew")
        if granted > left:
            warnings.append(_cut("TTL", granted, left))
            granted = left
    return granted, warnings


def is_granted(*granted_ns: int, now_ns: int) -> bool:
    """Return whether a grant made or renewed at these times has begun.

    One of the future was made while an earlier release followed a clock that was ahead. More than
    what was granted would be left of it, and how much is really left is unknown: it has ended.
    """
    return max(granted_ns) <= now_ns


def is_running(until_ns: int, longest_seconds: int, now_ns: int) -> bool:
    """Return whether something granted until a time, for at most `longest_seconds`, still holds.

    More is left of a grant of the future than was ever granted: it has ended, as in `is_granted`.
    """
    return now_ns < until_ns <= now_ns + longest_seconds * SECOND_NS


def _cut(what: str, asked: int, most: int) -> str:
    return (
        f'{what} of "{duration(asked)}" exceeded the effective max_ttl of '
        f'"{duration(most)}"; {what} value is capped accordingly'
    )
