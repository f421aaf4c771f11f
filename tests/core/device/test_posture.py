"""Posture as a pure function: the Plex machine, grace, what is unknown, hostile reports."""

from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core.device import posture_report, posture_rules
from ironkeep.core.device.posture import Verdict, evaluate
from ironkeep.core.device.posture_report import Report, Software, System
from ironkeep.core.device.posture_rules import Rules, matches, plain
from ironkeep.core.errors import InvalidRequest, TooLarge

RULES = posture_rules.decode(files("ironkeep.access.posture").joinpath("rules.json").read_bytes())
SECOND = 10**9
NOW = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()) * SECOND
DAY = 86_400 * SECOND

PLEX_2022 = Software(
    src="programs", name="Plex Media Server", version="1.16.5.1488-deeb86e7f",
    publisher="Plex, Inc.", running=True,
)  # fmt: skip
PLEX_NOW = msgspec.structs.replace(PLEX_2022, version="1.42.2.10156-f737b826c")

GOOD = Report(
    v=1, device_id="3f1c8f0e-9d0e-4a63-8a0e-1f0e52f3a111", nonce="n", ts=NOW // SECOND,
    os=System(name="windows", version="10.0.26100", build="26100", arch="64-bit"),
    disk_encrypted=True, screen_lock_s=300, firewall=True, secure_boot=True,
    os_auto_update=True, admin_user=False, edr=("Defender",), software=(PLEX_NOW,),
    listening=(), agent_version="0.1.0",
)  # fmt: skip


def report(**changes: Any) -> Report:
    return msgspec.structs.replace(GOOD, **changes)


def judged(changed: Report, rules: Rules = RULES, **rest: Any) -> Verdict:
    return evaluate(changed, rules, NOW, **rest)


def broken(verdict: Verdict) -> list[str]:
    return [each.rule for each in verdict.findings]


def test_the_plex_machine_of_2022_is_refused_in_words_that_its_owner_understands() -> None:
    verdict = judged(report(software=(PLEX_2022,)))
    assert not verdict.compliant
    (finding,) = verdict.findings
    assert finding.cve == "CVE-2020-5741"
    assert finding.data_as_of == "2025-08-25"
    assert finding.text == (
        "Plex Media Server 1.16.5.1488-deeb86e7f is installed on this computer, and it is running, "
        "and it is too old. Through a hole in it attackers run their own programs on the computer: "
        "a LastPass engineer's home computer was taken over in this way in 2022. This is fixed "
        "since version 1.19.3 (CVE-2020-5741, known to be used by attackers). "
        "Install the newest version from https://www.plex.tv/media-server-downloads/, or uninstall "
        "Plex Media Server in Settings, Apps. "
        "Access returns by itself with the first report of this device after that, usually within "
        "minutes."
    )


@pytest.mark.parametrize(
    ("family", "unseen", "broken_by"),
    [
        ("windows", ("programs",), ["software-unknown"]),
        # No rule for Windows speaks of these.
        ("windows", ("deb_packages", "chrome_extensions"), []),
        ("macos", ("homebrew_packages",), ["software-unknown"]),
        ("debian", ("deb_packages",), []),
    ],
)
def test_programs_that_nobody_could_list_are_not_compliant_where_a_rule_asks(
    family: Any, unseen: Any, broken_by: list[str]
) -> None:
    system = msgspec.structs.replace(GOOD.os, name=family)
    verdict = judged(report(os=system, software=(), unseen=unseen))
    found = [each for each in broken(verdict) if each.startswith("software")]
    assert found == broken_by
    assert ("software-unknown" in verdict.refusing) is bool(broken_by)


def test_a_report_of_before_keeps_its_one_spelling() -> None:
    """An agent that does not know of tables that were not read writes none."""
    raw = posture_report.encode(GOOD)
    assert b"unseen" not in raw
    assert posture_report.decode(raw) == GOOD
    told = report(unseen=("programs",))
    assert posture_report.decode(posture_report.encode(told)) == told


def test_a_current_plex_passes() -> None:
    assert judged(GOOD) == Verdict(True, (), NOW + 1_800 * SECOND, ())


@pytest.mark.parametrize("version", ["1.19.2.2737-b69929dab", "1.9.0", "1.19.2.99999", "1.2"])
def test_every_plex_before_the_fix_is_refused(version: str) -> None:
    old = msgspec.structs.replace(PLEX_2022, version=version)
    assert broken(judged(report(software=(old,)))) == ["plex-media-server"]


@pytest.mark.parametrize(
    "version", ["", "unknown", "1.19.3\u200b", "\uff11.42.2", "v1.42", "1.42,2", "9" * 40]
)
def test_a_version_that_cannot_be_read_is_not_compliant(version: str) -> None:
    odd = msgspec.structs.replace(PLEX_2022, version=version)
    verdict = judged(report(software=(odd,)))
    assert not verdict.compliant
    assert "cannot be read" in verdict.findings[0].problem


@pytest.mark.parametrize(
    "name",
    [
        "plex media server",
        "  PLEX   Media\tServer ",
        "Plex\u00a0Media Server",
        "\uff30\uff4c\uff45\uff58 Media Server",
        "Plex\u200b Media Server",
        "Plex Media Server (x64)",
    ],
)
def test_the_spelling_of_a_name_hides_nothing(name: str) -> None:
    hidden = msgspec.structs.replace(PLEX_2022, name=name)
    assert broken(judged(report(software=(PLEX_NOW, hidden)))) == ["plex-media-server"]


def test_a_rule_is_for_its_system_and_table_alone() -> None:
    linux = System(name="debian", version="12", build="", arch="x86_64")
    assert judged(report(os=linux, software=(PLEX_2022,))).compliant
    extension = msgspec.structs.replace(PLEX_2022, src="chrome_extensions")
    assert judged(report(software=(extension,))).compliant


@pytest.mark.parametrize(
    ("version", "bad"),
    [
        ("115.16.0", True),
        ("115.16.1", False),
        ("128.3.0", True),
        ("128.3.1", False),
        ("131.0.1", True),
        ("131.0.2", False),
        ("145.0", False),
    ],
)
def test_each_line_of_releases_has_its_own_fix(version: str, bad: bool) -> None:
    firefox = Software(
        src="programs", name="Mozilla Firefox (x64 en-US)", version=version, publisher="",
        running=None,
    )  # fmt: skip
    assert broken(judged(report(software=(firefox,)))) == ["firefox"] * bad


@pytest.mark.parametrize("field", ["disk_encrypted", "firewall", "secure_boot"])
@pytest.mark.parametrize("state", [False, None])
def test_off_and_unknown_are_faults(field: str, state: bool | None) -> None:
    (finding,) = judged(report(**{field: state})).findings
    assert ("not known" in finding.problem) == (state is None)


@pytest.mark.parametrize("seconds", [0, 901, None])
def test_a_screen_that_stays_open_is_a_fault(seconds: int | None) -> None:
    assert broken(judged(report(screen_lock_s=seconds))) == ["screen-lock"]


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("windows", "10.0.19045", "no security updates since 2025-10-14"),
        ("windows", "6.1.7601", "not among the releases"),
        ("windows", "eleven", "cannot be read"),
        ("macos", "14.1", "has been out for 286 days"),
        ("fedora", "42", "No rule says"),
    ],
)
def test_an_old_or_unknown_system_is_refused(name: Any, version: str, words: str) -> None:
    verdict = judged(report(os=System(name=name, version=version, build="", arch="")))
    assert not verdict.compliant
    assert words in verdict.findings[0].problem


def test_a_setting_is_asked_on_its_systems_alone() -> None:
    linux = System(name="debian", version="12", build="", arch="x86_64")
    unseen = report(os=linux, firewall=None, screen_lock_s=None)
    assert broken(judged(unseen)) == []
    assert broken(judged(msgspec.structs.replace(unseen, disk_encrypted=None))) == [
        "disk-encryption"
    ]


def test_grace_is_told_and_ends_when_it_was_said() -> None:
    off = report(firewall=False)
    first = judged(off)
    assert first.compliant
    assert first.findings[0].until_ns == NOW + DAY
    assert "until 2026-11-25 12:00 UTC" in first.findings[0].text
    # Close to its end the verdict is believed no longer than the grace lasts.
    late = judged(off, first_seen={"firewall": NOW - DAY + SECOND})
    assert (late.compliant, late.until_ns) == (True, NOW + SECOND)
    assert not judged(off, first_seen={"firewall": NOW - DAY}).compliant
    # A time in the future buys nothing.
    assert judged(off, first_seen={"firewall": NOW + DAY}).findings == first.findings


def test_an_exception_is_for_its_rule_alone() -> None:
    bad = report(software=(PLEX_2022,), disk_encrypted=False)
    assert broken(judged(bad, excused={"plex-media-server"})) == ["disk-encryption"]


def test_what_refuses_is_said_first() -> None:
    verdict = judged(report(firewall=False, software=(PLEX_2022,)))
    assert broken(verdict) == ["plex-media-server", "firewall"]
    assert verdict.refusing == ("plex-media-server",)


@given(st.text(max_size=64), st.text(min_size=1, max_size=128))
def test_no_text_in_a_report_breaks_a_verdict(version: str, name: str) -> None:
    odd = Software(src="programs", name=name, version=version, publisher="", running=None)
    for each in judged(report(software=(odd,))).findings:
        assert each.text.isprintable()


def test_a_report_has_one_spelling() -> None:
    raw = posture_report.encode(GOOD)
    assert posture_report.decode(raw) == GOOD
    for other in (
        raw + b" ",
        raw.replace(b'"v":1', b'"v": 1'),
        raw.replace(b"Plex", b"\\u0050lex"),
    ):
        assert other != raw
        with pytest.raises(InvalidRequest, match="canonical"):
            posture_report.decode(other)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{}", b"null", b"[" * 100_000, b"\xff\xfe", b'{"v":2}',
        posture_report.encode(GOOD).replace(b'"firewall":true', b'"firewall":1'),
        posture_report.encode(GOOD).replace(b'"v":1', b'"v":1,"v":1'),
        posture_report.encode(GOOD).replace(b'"edr"', b'"extra":1,"edr"'),
        posture_report.encode(GOOD).replace(b"Defender", b"\\ud800"),
        posture_report.encode(GOOD).replace(b"Defender", b"x" * 129),
        posture_report.encode(GOOD).replace(b'"screen_lock_s":300', b'"screen_lock_s":-1'),
        posture_report.encode(GOOD).replace(b'"name":"windows"', b'"name":"templeos"'),
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        posture_report.decode(raw)


@given(st.integers(0), st.binary(max_size=3))
def test_what_is_read_is_spelled_as_it_was_sent(at: int, piece: bytes) -> None:
    good = posture_report.encode(GOOD)
    at %= len(good)
    sent = good[:at] + piece + good[at + 1 :]
    try:
        read = posture_report.decode(sent)
    except InvalidRequest:
        return
    assert posture_report.encode(read) == sent


def test_reports_are_bounded() -> None:
    with pytest.raises(TooLarge):
        posture_report.decode(b" " * (posture_report.MAX_REPORT + 1))
    short = Software(src="apps", name="", version="", publisher="", running=None)
    most = report(software=(short,) * posture_report.MAX_SOFTWARE)
    assert posture_report.decode(posture_report.encode(most)) == most
    more = report(software=(short,) * (posture_report.MAX_SOFTWARE + 1))
    with pytest.raises(InvalidRequest, match="software"):
        posture_report.decode(posture_report.encode(more))


def test_a_refusal_shows_nothing_of_what_was_sent() -> None:
    raw = posture_report.encode(GOOD).replace(b'"firewall":true', b'"firewall":"canary"')
    with pytest.raises(InvalidRequest) as caught:
        posture_report.decode(raw)
    assert "canary" not in str(caught.value)
    assert "$.firewall" in str(caught.value)


def test_a_pattern_with_a_star_matches_what_begins_so() -> None:
    assert matches(("7-zip*",), plain("7-Zip 24.08 (x64)"))
    assert not matches(("google chrome",), plain("Google Chrome Canary"))


def _rules(**changes: Any) -> bytes:
    return posture_rules.encode(msgspec.structs.replace(RULES, **changes))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{}", b"\xff", b"[" * 100_000,
        _rules(max_age_s=899), _rules(max_age_s=3_601), _rules(data_as_of="yesterday"),
        _rules(software=RULES.software * 2), _rules(systems=RULES.systems * 2),
        _rules().replace(b'"1.19.3"', b'"soon"'), _rules().replace(b'"v": 1', b'"v": 2'),
        _rules().replace(b'"firewall"', b'"firewal"', 1),
    ],
)  # fmt: skip
def test_a_rules_file_that_cannot_be_judged_by_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        posture_rules.decode(raw)
