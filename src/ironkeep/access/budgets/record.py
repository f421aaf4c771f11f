"""The stored records of budgets: limits, the settings of a subject, and its charges."""

from collections.abc import Mapping
from typing import Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.policy.secret_class import SecretClass
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.lifetimes import is_running

PERSON: Final = "entity"
DEVICE: Final = "device"
TEAM: Final = "team"
HOUSE: Final = "house"
KINDS: Final = (PERSON, DEVICE, TEAM, HOUSE)
ALL: Final = "all"
"""The id of the only subject of kind house, the vault itself."""

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
MONTH: Final = 30 * DAY
MAX_RAISE_SECONDS: Final = 7 * DAY
WEIGHTS: Final[Mapping[SecretClass, int]] = {
    SecretClass.OPEN: 1,
    SecretClass.GUARDED: 3,
    SecretClass.TWO_PERSON: 5,
    SecretClass.CUSTODY: 5,
}
SOFT: Final = 70
"""Default percentage of a limit past which a read needs a touch; at 100 none does."""
SLOT: Final = 600
"""Seconds of one slot in which charges are summed; a window is at most this much longer."""
MAX_LIMIT: Final = 1_000_000

_SLOT_NS: Final = SLOT * SECOND_NS


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Weights that may be charged in an hour, a day and 30 days; 0 is no limit."""

    hour: int = 0
    day: int = 0
    month: int = 0

    def allows_more_than(self, other: "Limits") -> bool:
        """Return whether any window allows more than that of `other`; 0 is no limit."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return any(other and (not ours or ours > other) for ours, other in pairs)

    def windows(self) -> tuple[tuple[str, int, int], ...]:
        """Return (name, seconds, limit) of each window that has a limit."""
        every = (("hour", HOUR, self.hour), ("day", DAY, self.day), ("30 days", MONTH, self.month))
        return tuple(each for each in every if each[2])


class Defaults(msgspec.Struct, frozen=True, omit_defaults=True):
    """The limits of subjects without their own, by kind; `soft` is in percent of any limit."""

    entity: Limits = Limits(10, 25, 60)
    device: Limits = Limits(10, 25, 60)
    team: Limits = Limits()
    house: Limits = Limits()
    soft: int = SOFT

    def of(self, kind: str) -> Limits:
        """Return the limits of a kind."""
        limits: Limits = getattr(self, kind)
        return limits


class Subject(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings of one subject. `raised` applies until `raised_until_ns`.

    With a `manifest` (API paths below their mounts, as `mount uuid/path`) it is a machine: it may
    read these as often as it likes, and nothing else. `set_by` are all people behind any token that
    wrote these settings since they were last removed.
    """

    limits: Limits | None = None
    raised: Limits | None = None
    raised_until_ns: int = 0
    reason: str = ""
    manifest: tuple[str, ...] = ()
    set_by: tuple[str, ...] = ()


class Charge(msgspec.Struct, frozen=True):
    """The last charge of a secret to a subject."""

    time_ns: int
    weight: int


class Sums(msgspec.Struct, frozen=True):
    """Weights by time slot, in order of time; `time_ns` is the latest charge."""

    time_ns: int
    slots: tuple[tuple[int, int], ...] = ()

    def within(self, now_ns: int, seconds: int) -> int:
        """Return the weight charged in the last `seconds`, counting their first slot whole."""
        first = (now_ns - seconds * SECOND_NS) // _SLOT_NS
        return sum(weight for slot, weight in self.slots if slot >= first)

    def until(self, now_ns: int) -> "Sums":
        """Return the sums as of now; charges of the future (`is_granted`) count as made now."""
        if self.time_ns <= now_ns:
            return self
        return Sums(now_ns, ((now_ns // _SLOT_NS, sum(weight for _, weight in self.slots)),))


def check_soft(percent: int) -> None:
    """Raise InvalidRequest for an invalid percentage."""
    if not 0 <= percent <= 100:  # noqa: PLR2004 - percent
        raise InvalidRequest("the soft limit is 0 to 100 percent of the hard one")


def check_limits(limits: Limits) -> None:
    """Raise InvalidRequest for invalid limits."""
    if any(not 0 <= value <= MAX_LIMIT for value in (limits.hour, limits.day, limits.month)):
        raise InvalidRequest(f"a limit is 0 (none) to {MAX_LIMIT}")


def is_raised(subject: Subject, now_ns: int) -> bool:
    """Return whether the raise of a subject's limits holds."""
    return is_running(subject.raised_until_ns, MAX_RAISE_SECONDS, now_ns)


def limits_in_force(subject: Subject, default: Limits, now_ns: int) -> Limits:
    """Return the limits that apply: a raise for a time, the subject's own, or those of its kind."""
    if subject.raised is not None and is_raised(subject, now_ns):
        return subject.raised
    return default if subject.limits is None else subject.limits
