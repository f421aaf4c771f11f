"""The posture rules for devices: a file that people read, change and review.

JSON, version 1. `data_as_of` is the day of the data behind the rules, shown with every answer. Each
severity has a grace period, counted from the report that first showed the fault; for "critical" it
is 0 by default.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from ironkeep.core.device.posture_report import Family, Source
from ironkeep.core.device.software_version import MAX_VERSION, Scheme, Unparsable, compare
from ironkeep.core.errors import InvalidRequest, TooLarge

MAX_RULES_BYTES: Final = 512 * 1024
MAX_SOFTWARE_RULES: Final = 256
"""Software rules: each is matched with each program; the maximum of both takes some 0.2 s."""
MIN_AGE_S: Final = 15 * 60
MAX_AGE_S: Final = 60 * 60
"""A report counts for 15 to 60 minutes; with less, slow reporting would lock everybody out."""
MAX_GRACE_S: Final = 30 * 86_400

Severity = Literal["critical", "high", "medium"]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
Grace = Annotated[int, msgspec.Meta(ge=0, le=MAX_GRACE_S)]
Pattern = Annotated[str, msgspec.Meta(min_length=3, max_length=128)]
Systems = Annotated[tuple[Family, ...], msgspec.Meta(max_length=8)]
Cve = Annotated[str, msgspec.Meta(pattern=r"^CVE-\d{4}-\d{4,7}$")]


class GracePeriods(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds for which a fault of each severity is shown, but access is not yet refused."""

    critical: Grace = 0
    high: Grace = 86_400
    medium: Grace = 7 * 86_400


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A setting that must be on; `remedy` tells the device's owner how to switch it on.

    `os` lists the systems that the rule applies to; empty means all.
    """

    severity: Severity
    remedy: Text
    os: Systems = ()


class ScreenLock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The screen must lock by itself after at most `max_s` seconds."""

    severity: Severity
    remedy: Text
    max_s: Annotated[int, msgspec.Meta(ge=30, le=86_400)]
    os: Systems = ()


class Cycle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of releases of an operating system, and the last day of its security updates.

    `ends` is null while no day is announced. `latest` is the newest known release, of day
    `latest_on`; "" if releases have no numbers.
    """

    version: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_VERSION)]
    name: Text
    ends: Day | None = None
    latest: Annotated[str, msgspec.Meta(max_length=MAX_VERSION)] = ""
    latest_on: Day = "1970-01-01"


class OperatingSystem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The supported releases of one system; other releases are refused."""

    os: Family
    severity: Severity
    remedy: Text
    source: Text
    max_days_behind: Annotated[int, msgspec.Meta(ge=1, le=365)]
    cycles: Annotated[tuple[Cycle, ...], msgspec.Meta(min_length=1, max_length=64)]


class Affected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The versions from `introduced` ("" means the first version) up to, not including, `fixed`."""

    fixed: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_VERSION)]
    introduced: Annotated[str, msgspec.Meta(max_length=MAX_VERSION)] = ""


class SoftwareRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule on programs with an exploited vulnerability, or on forbidden programs.

    `names` are matched without regard to case; one that ends in "*" matches as a prefix. An empty
    `affected` forbids every version. `cve` with `kev_added` is an entry of CISA's catalogue;
    `source` names the source of the versions.
    """

    id: Id
    title: Text
    os: Systems
    tables: Annotated[tuple[Source, ...], msgspec.Meta(min_length=1, max_length=8)]
    names: Annotated[tuple[Pattern, ...], msgspec.Meta(min_length=1, max_length=8)]
    severity: Severity
    harm: Text
    remedy: Text
    source: Text
    affected: Annotated[tuple[Affected, ...], msgspec.Meta(max_length=16)] = ()
    scheme: Scheme = "dotted"
    cve: Cve | None = None
    kev_vendor: Annotated[str, msgspec.Meta(max_length=128)] = ""
    kev_product: Annotated[str, msgspec.Meta(max_length=128)] = ""
    kev_added: Day | None = None


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole rules file. With `osquery`, answers of a device's osqueryd count as reports too."""

    v: Literal[1]
    data_as_of: Day
    max_age_s: Annotated[int, msgspec.Meta(ge=MIN_AGE_S, le=MAX_AGE_S)]
    grace_s: GracePeriods
    osquery: bool
    disk_encryption: Setting | None
    firewall: Setting | None
    secure_boot: Setting | None
    screen_lock: ScreenLock | None
    systems: Annotated[tuple[OperatingSystem, ...], msgspec.Meta(max_length=16)]
    software: Annotated[tuple[SoftwareRule, ...], msgspec.Meta(max_length=MAX_SOFTWARE_RULES)]


_DECODER: Final = msgspec.json.Decoder(Rules)


def decode(raw: bytes) -> Rules:
    """Return the rules in a file; raise InvalidRequest with the place of the error, or TooLarge."""
    if len(raw) > MAX_RULES_BYTES:
        raise TooLarge(f"a rules file has at most {MAX_RULES_BYTES} bytes")
    try:
        rules = _DECODER.decode(raw)
        raw.decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidRequest(f"not a posture rules file of version 1: {error}") from None
    _check(rules)
    return rules


def encode(rules: Rules) -> bytes:
    """Return rules as a readable file."""
    return msgspec.json.format(msgspec.json.encode(rules), indent=2) + b"\n"


def _check(rules: Rules) -> None:
    """Raise InvalidRequest for duplicate ids or systems, and for unreadable versions."""
    ids = [rule.id for rule in rules.software]
    if len(set(ids)) != len(ids):
        raise InvalidRequest("two software rules have the same id")
    systems = [system.os for system in rules.systems]
    if len(set(systems)) != len(systems):
        raise InvalidRequest("an operating system is listed twice")
    for rule in rules.software:
        for each in rule.affected:
            _readable(rule.scheme, each.fixed, rule.id)
            _readable(rule.scheme, each.introduced or each.fixed, rule.id)
    for system in rules.systems:
        for cycle in system.cycles:
            _readable("dotted", cycle.version, system.os)
            _readable("dotted", cycle.latest or cycle.version, system.os)


def _readable(scheme: Scheme, version: str, rule: str) -> None:
    try:
        compare(scheme, version, version)
    except Unparsable as error:
        raise InvalidRequest(f"rule {rule}: {error}") from None


_Demand: TypeAlias = Setting | ScreenLock | OperatingSystem | SoftwareRule | None
_SEVERITIES: Final[tuple[Severity, ...]] = ("medium", "high", "critical")


def demands_less(after: Rules, before: Rules) -> bool:
    """Return whether the rules `after` may allow a device that the rules `before` refuse.

    A demand that is neither identical nor clearly stricter counts as weaker: a newly supported
    release, for example, is refused by `before`.
    """
    graces = [
        getattr(after.grace_s, name) > getattr(before.grace_s, name)
        for name in GracePeriods.__struct_fields__
    ]
    settings = [
        _asks_less(getattr(after, name), getattr(before, name))
        for name in ("disk_encryption", "firewall", "secure_boot", "screen_lock")
    ]
    systems = {each.os: each for each in after.systems}
    software = {each.id: each for each in after.software}
    return (
        after.max_age_s > before.max_age_s
        or (after.osquery and not before.osquery)
        or any(graces)
        or any(settings)
        # Adding or removing a system changes the verdict on its devices: compare the whole set.
        or {each.os for each in before.systems} != set(systems)
        or any(_asks_less(systems[each.os], each) for each in before.systems)
        or any(_asks_less(software.get(each.id), each) for each in before.software)
    )


def _asks_less(after: _Demand, before: _Demand) -> bool:
    """Return whether a demand is weaker than it was before; None demands nothing."""
    if before is None or after == before:
        return False
    if after is None or _SEVERITIES.index(after.severity) < _SEVERITIES.index(before.severity):
        return True
    same = msgspec.structs.replace(after, severity=before.severity, remedy=before.remedy)
    if isinstance(same, ScreenLock) and isinstance(before, ScreenLock):
        same = msgspec.structs.replace(same, max_s=max(same.max_s, before.max_s))
    return same != before


_STAR: Final = "*"
_SPACES: Final = re.compile(r"\s+")


def matches(patterns: tuple[str, ...], name: str) -> bool:
    """Return whether a rule's patterns name a program; `name` is as `plain` returns it."""
    whole, beginnings = _wanted(patterns)
    return name in whole or name.startswith(beginnings)


@lru_cache(maxsize=1_024)
def _wanted(patterns: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    whole = frozenset(plain(each) for each in patterns if not each.endswith(_STAR))
    return whole, tuple(plain(each[:-1]) for each in patterns if each.endswith(_STAR))


def plain(name: str) -> str:
    """Return a program's name for comparison: case-folded, without invisible characters."""
    if not (name.isascii() and name.isprintable()):
        name = unicodedata.normalize("NFKC", name)
        name = "".join(char for char in name if char.isprintable() or char.isspace())
    return _SPACES.sub(" ", name).strip().casefold()
