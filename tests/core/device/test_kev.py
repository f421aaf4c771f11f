"""CISA's catalogue: read whole or not at all; it adds questions, never ranges."""

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ironkeep.core.device import kev, posture_rules
from ironkeep.core.errors import InvalidRequest, TooLarge

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = ROOT.parent / "shared" / "data" / "kev" / "known_exploited_vulnerabilities.json"
SHIPPED = files("ironkeep.access.posture").joinpath("rules.json").read_bytes()
RULES = posture_rules.decode(SHIPPED)


def entry(cve: str, vendor: str, product: str, added: str) -> dict[str, Any]:
    return {
        "cveID": cve, "vendorProject": vendor, "product": product, "dateAdded": added,
        "vulnerabilityName": "x", "knownRansomwareCampaignUse": "Unknown", "cwes": [],
    }  # fmt: skip


def file(*entries: dict[str, Any], **changes: Any) -> bytes:
    document = {
        "title": "CISA", "catalogVersion": "2026.11.20", "dateReleased": "2026-11-20T10:00:00Z",
        "count": len(entries), "vulnerabilities": list(entries), **changes,
    }  # fmt: skip
    return json.dumps(document).encode()


NEWER = file(
    entry("CVE-2020-5741", "Plex", "Media Server", "2023-03-10"),
    entry("CVE-2026-11111", "Plex", "Media Server", "2026-11-01"),
    entry("CVE-2026-22222", "VideoLAN", "VLC", "2026-11-02"),
    entry("CVE-2026-33333", "Nobody", "Fortress Gateway", "2026-11-03"),
)


def test_a_newer_catalogue_says_what_needs_a_rule_and_invents_none() -> None:
    catalogue = kev.parse(NEWER)
    names = ["Plex Media Server", "VLC media player"]
    needed = kev.unruled(catalogue, RULES, names)
    assert [each.cve for each in needed] == ["CVE-2026-11111", "CVE-2026-22222"]
    # A CVE that the rules know is not asked for; what no device has, neither.
    assert kev.unruled(catalogue, RULES, ["Solitaire"]) == []


def test_rules_take_their_day_and_names_from_the_catalogue() -> None:
    plex = next(rule for rule in RULES.software if rule.cve == "CVE-2020-5741")
    only = msgspec.structs.replace(RULES, software=(plex,))
    joined = kev.joined(only, kev.parse(NEWER))
    assert joined.data_as_of == "2026-11-20"
    assert joined.software == (plex,)
    with pytest.raises(InvalidRequest, match="CVE-2020-5741 is not in the catalogue"):
        kev.joined(only, kev.parse(file()))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{}", b"[]", b"\xff", b"[" * 100_000, NEWER[:-9], file(count=3),
        file(dateReleased="some time ago"), file(entry("CVE-1", "a", "b", "2026-01-01")),
        file(entry("CVE-2026-11111", "a", "b", "yesterday")), file(vulnerabilities=None),
        file(entry("CVE-2026-11111", "a", "b" * 513, "2026-01-01")),
    ],
)  # fmt: skip
def test_what_is_no_whole_catalogue_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        kev.parse(raw)


def test_catalogues_are_bounded() -> None:
    with pytest.raises(TooLarge):
        kev.parse(b" " * (kev.MAX_CATALOGUE + 1))
    row = entry("CVE-2026-11111", "a", "b", "2026-01-01")
    assert len(kev.parse(file(*[row] * kev.MAX_ENTRIES)).entries) == kev.MAX_ENTRIES
    with pytest.raises(TooLarge):
        kev.parse(file(*[row] * (kev.MAX_ENTRIES + 1)))


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs CISA's file")
def test_what_is_shipped_is_what_the_script_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    sys.modules.pop("posture_rules", None)
    built = __import__("posture_rules").build(PUBLISHED.read_bytes())
    assert built == SHIPPED
    assert len(kev.parse(PUBLISHED.read_bytes()).entries) == 1_404


def test_each_shipped_rule_names_its_source() -> None:
    for rule in RULES.software:
        assert rule.cve is not None
        assert rule.cve in rule.source
        assert rule.kev_added is not None
        assert rule.affected
