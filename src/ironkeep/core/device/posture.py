"""The posture verdict on a device: a pure function of its report, the rules and the time.

    evaluate(report, rules, now, first_seen, excused) -> Verdict

A finding tells the device's owner the problem, its remedy and the time when access returns. A
finding within its grace period is shown but does not refuse access yet. Unknown states are not
compliant: an unknown setting, an unreadable list of programs or version, a system without a rule.
"""

from collections.abc import Iterator, Mapping, Sequence, Set as AbstractSet
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from ironkeep.core.device.posture_report import TABLES, Family, Report, Software
from ironkeep.core.device.posture_rules import (
    Cycle,
    OperatingSystem,
    Rules,
    ScreenLock,
    Setting,
    Severity,
    SoftwareRule,
    matches,
    plain,
)
from ironkeep.core.device.software_version import Unparsable, begins_with, is_older
from ironkeep.core.text.visible import visible
from ironkeep.core.units import SECOND_NS

MAX_FINDINGS: Final = 64
"""Findings shown to a person; the verdict counts the others too."""

SOFTWARE_UNKNOWN: Final = "software-unknown"
"""The rule that is broken if the list of programs could not be read."""

_SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "high", "medium")


class Finding(msgspec.Struct, frozen=True):
    """One broken rule. `until_ns` is the end of its grace period; 0 if there is none left."""

    rule: str
    severity: Severity
    problem: str
    remedy: str
    returns: str
    data_as_of: str
    cve: str = ""
    source: str = ""
    until_ns: int = 0

    @property
    def text(self) -> str:
        """Return problem, remedy and return of access as one text."""
        return f"{self.problem} {self.remedy} {self.returns}"


class Verdict(msgspec.Struct, frozen=True):
    """The verdict on a device, valid until `until_ns`.

    `findings` has all faults, including those within grace. `refusing` are the rule ids of those
    that refuse access.
    """

    compliant: bool
    findings: tuple[Finding, ...]
    until_ns: int
    refusing: tuple[str, ...] = ()


class _Fault(msgspec.Struct, frozen=True):
    rule: str
    severity: Severity
    problem: str
    remedy: str
    cve: str = ""
    source: str = ""


def evaluate(
    report: Report,
    rules: Rules,
    now_ns: int,
    first_seen: Mapping[str, int] | None = None,
    excused: AbstractSet[str] = frozenset(),
) -> Verdict:
    """Return the verdict on report at now_ns.

    `first_seen` maps a rule to the time (POSIX ns) at which its fault was first seen, from which
    its grace period counts; a fault not in it is new. Rules in `excused` are skipped: they have an
    exception, which the caller removes when it ends.
    """
    seen = first_seen or {}
    until_ns = now_ns + rules.max_age_s * SECOND_NS
    findings, refusing = [], []
    for fault in _faults(report, rules, now_ns):
        if fault.rule in excused:
            continue
        began_ns = min(seen.get(fault.rule, now_ns), now_ns)
        grace_s = _grace_s(rules, fault.severity)
        ends_ns = began_ns + grace_s * SECOND_NS
        if ends_ns <= now_ns:
            refusing.append(fault.rule)
            ends_ns = 0
        else:
            until_ns = min(until_ns, ends_ns)
        findings.append(_finding(fault, ends_ns, rules.data_as_of))
    # Refusing findings (until_ns 0) come first.
    findings.sort(key=lambda each: each.until_ns)
    return Verdict(not refusing, tuple(findings[:MAX_FINDINGS]), until_ns, tuple(refusing))


def _finding(fault: _Fault, ends_ns: int, data_as_of: str) -> Finding:
    if ends_ns:
        end = datetime.fromtimestamp(ends_ns // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M UTC")
        returns = f"You still have access until {end}; after that it stops until this is fixed."
    else:
        returns = (
            "Access returns by itself with the first report of this device after that, "
            "usually within minutes."
        )
    return Finding(
        fault.rule,
        fault.severity,
        fault.problem,
        fault.remedy,
        returns,
        data_as_of,
        fault.cve,
        fault.source,
        ends_ns,
    )


def _grace_s(rules: Rules, severity: Severity) -> int:
    grace: int = getattr(rules.grace_s, severity)
    return grace


def _faults(report: Report, rules: Rules, now_ns: int) -> Iterator[_Fault]:
    for name, what, state, wanted, setting in (
        ("disk-encryption", "The disk", report.disk_encrypted, "encrypted", rules.disk_encryption),
        ("firewall", "The firewall", report.firewall, "switched on", rules.firewall),
        ("secure-boot", "Secure boot", report.secure_boot, "switched on", rules.secure_boot),
    ):
        if setting is not None and _is_asked(setting.os, report):
            yield from _switched_off(name, what, state, wanted, setting)
    lock = rules.screen_lock
    if lock is not None and _is_asked(lock.os, report):
        yield from _unlocked(report.screen_lock_s, lock)
    yield from _system(report, rules, now_ns)
    yield from _unread(report, rules)
    named = [(plain(each.name), each) for each in report.software]
    for rule in rules.software:
        if _is_asked(rule.os, report):
            yield from _program(named, rule)


def _is_asked(systems: tuple[Family, ...], report: Report) -> bool:
    return not systems or report.os.name in systems


def _switched_off(
    rule: str, what: str, state: bool | None, wanted: str, setting: Setting
) -> Iterator[_Fault]:
    if state:
        return
    if state is None:
        problem = (
            f"It is not known whether {what[0].lower()}{what[1:]} of this computer is {wanted}."
        )
    else:
        problem = f"{what} of this computer is not {wanted}."
    yield _Fault(rule, setting.severity, problem, setting.remedy)


def _unlocked(seconds: int | None, lock: ScreenLock) -> Iterator[_Fault]:
    if seconds is not None and 0 < seconds <= lock.max_s:
        return
    if seconds is None:
        problem = "It is not known when the screen of this computer locks."
    elif seconds == 0:
        problem = "The screen of this computer never locks by itself."
    else:
        problem = (
            f"The screen of this computer locks after {seconds} seconds; at most {lock.max_s} "
            "are allowed."
        )
    yield _Fault("screen-lock", lock.severity, problem, lock.remedy)


def _system(report: Report, rules: Rules, now_ns: int) -> Iterator[_Fault]:
    system = next((each for each in rules.systems if each.os == report.os.name), None)
    if system is None:
        yield _Fault(
            "os-unknown",
            "critical",
            f"No rule says which releases of {report.os.name} are safe.",
            "Ask your administrator to add this system to the posture rules.",
        )
        return
    problem = _system_problem(system, report.os.version, now_ns)
    if problem is not None:
        yield _Fault(f"os-{system.os}", system.severity, problem, system.remedy, "", system.source)


def _system_problem(system: OperatingSystem, version: str, now_ns: int) -> str | None:
    try:
        cycle = _cycle(system, version)
        if cycle is None:
            return f"{system.os} {_shown(version)} is not among the releases that are supported."
        today = datetime.fromtimestamp(now_ns // SECOND_NS, UTC).date()
        if cycle.ends and today > date.fromisoformat(cycle.ends):
            return f"{cycle.name} has had no security updates since {cycle.ends}."
        days = (today - date.fromisoformat(cycle.latest_on)).days
        if cycle.latest and days > system.max_days_behind:
            behind = is_older("dotted", version, cycle.latest)
            if behind:
                return (
                    f"{cycle.name} is at {_shown(version)}; {cycle.latest} has been out for "
                    f"{days} days."
                )
    except (Unparsable, ValueError):
        return f"The version of {system.os}, {_shown(version)}, cannot be read."
    return None


def _cycle(system: OperatingSystem, version: str) -> Cycle | None:
    found = [each for each in system.cycles if begins_with(version, each.version)]
    return max(found, key=lambda each: len(each.version), default=None)


def _unread(report: Report, rules: Rules) -> Iterator[_Fault]:
    """Yield one fault if a rule applies to a table of programs that could not be read."""
    unseen = TABLES[report.os.name].intersection(report.unseen)
    asked = [
        rule
        for rule in rules.software
        if _is_asked(rule.os, report) and not unseen.isdisjoint(rule.tables)
    ]
    if not asked:
        return
    worst = min(asked, key=lambda rule: _SEVERITIES.index(rule.severity))
    tables = sorted({table for rule in asked for table in rule.tables if table in unseen})
    yield _Fault(
        SOFTWARE_UNKNOWN,
        worst.severity,
        f"It is not known which programs are installed on this computer: {', '.join(tables)} could "
        "not be read.",
        "Repair the package database or osquery's table, and make sure that the reporting program "
        "may read it.",
    )


def _program(named: Sequence[tuple[str, Software]], rule: SoftwareRule) -> Iterator[_Fault]:
    """Yield at most one fault of a rule, however many programs break it."""
    for name, program in named:
        if program.src in rule.tables and matches(rule.names, name):
            problem = _program_problem(program, rule)
            if problem is not None:
                yield _Fault(
                    rule.id, rule.severity, problem, rule.remedy, rule.cve or "", rule.source
                )
                return


def _program_problem(program: Software, rule: SoftwareRule) -> str | None:
    running = ", and it is running" if program.running else ""
    name = f"{rule.title} {_shown(program.version)}"
    if not rule.affected:
        return f"{name} is installed on this computer{running}. {rule.harm}"
    fixed = rule.affected[-1].fixed
    try:
        if not any(
            (not each.introduced or not is_older(rule.scheme, program.version, each.introduced))
            and is_older(rule.scheme, program.version, each.fixed)
            for each in rule.affected
        ):
            return None
    except Unparsable:
        return (
            f"{rule.title} is installed on this computer, and its version, "
            f"{_shown(program.version)}, cannot be read. {rule.harm} Versions before {fixed} have "
            "this fault."
        )
    known = f" ({rule.cve}, known to be used by attackers)" if rule.cve else ""
    return (
        f"{name} is installed on this computer{running}, and it is too old. {rule.harm} "
        f"This is fixed since version {fixed}{known}."
    )


def _shown(text: str) -> str:
    """Return text from a device shortened and without invisible characters, for a message."""
    shown = visible(text)[:64]
    return shown or "(no version)"
