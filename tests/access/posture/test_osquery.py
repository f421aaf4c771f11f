"""osquery's TLS API: bodies as osqueryd sends them, and what of them is not believed."""

import json
from typing import Any, Final

import msgspec
import pytest

from ironkeep.access.posture.osquery import QUERIES, translate
from ironkeep.core.device import posture_rules
from ironkeep.core.errors import InvalidRequest, PermissionDenied, TooLarge
from ironkeep.core.operation import Operation
from ironkeep.plugin.peer import Peer
from ironkeep.testing.parts import text
from tests.support.devices.device_estate import DeviceEstate

ENROLL: Final = json.loads("""{
  "enroll_secret": "", "host_identifier": "7F3C-ANN-LAPTOP", "platform_type": "2",
  "host_details": {
    "os_version": {"_id": "10.0.26100", "codename": "", "major": "10", "minor": "0",
      "name": "Microsoft Windows 11 Pro", "patch": "", "platform": "windows",
      "version": "10.0.26100"},
    "osquery_info": {"build_platform": "windows", "pid": "4120", "version": "5.12.1",
      "watcher": "3996"},
    "system_info": {"computer_name": "ANN-LAPTOP", "cpu_brand": "x86", "hostname": "ANN-LAPTOP"},
    "platform_info": {"vendor": "Vendor", "version": "1.2"}
  }
}""")

WINDOWS: Final[dict[str, list[dict[str, str]]]] = {
    "os": [{"name": "Microsoft Windows 11 Pro", "version": "10.0.26100", "build": "26100",
            "platform": "windows", "arch": "64-bit"}],
    "programs": [
        {"name": "Plex Media Server", "version": "1.42.2.10156", "publisher": "Plex, Inc."},
        {"name": "7-Zip 24.09 (x64)", "version": "24.09", "publisher": "Igor Pavlov"},
    ],
    "bitlocker": [{"on_": "1"}],
    "firewall_windows": [{"on_": "1"}],
    "secure_boot": [{"on_": "1"}],
    "lock_windows": [{"seconds": "600"}],
    "listening": [{"port": "32400", "protocol": "6", "name": "Plex Media Server.exe"},
                  {"port": "0", "protocol": "255", "name": ""}],
}  # fmt: skip
"""What a Windows machine answers; the tables of other systems fail there."""


class Daemon:
    """osqueryd on an enrolled device."""

    def __init__(self) -> None:
        self.estate: Final = DeviceEstate()
        self.device: Final = self.estate.active("ann")
        self.peer: Peer | None = self.estate.peer(self.device)
        self.estate.vault.clock.advance(seconds=601)

    def post(self, name: str, body: dict[str, Any], **rest: Any) -> Any:
        reply = self.estate.vault.request(
            Operation.UPDATE, f"device/osquery/{name}", body, token=None, peer=self.peer, **rest
        )
        assert not self.estate.vault.defects
        return reply

    def asked(self) -> dict[str, str]:
        queries: dict[str, str] = self.post("distributed_read", {"node_key": "x"}).body["queries"]
        return queries

    def answer(self, asked: dict[str, str], rows: dict[str, Any]) -> dict[str, Any]:
        queries: dict[str, Any] = {}
        statuses: dict[str, int] = {}
        for query in asked:
            name = query.split(".")[1]
            queries[query] = rows.get(name, [])
            statuses[query] = 0 if name in rows else 1
        return {"node_key": "x", "queries": queries, "statuses": statuses}

    def write(self, body: dict[str, Any]) -> Any:
        return self.post("distributed_write", body)

    def shown(self) -> dict[str, Any]:
        data: dict[str, Any] = self.estate.vault.read(
            f"device/posture/devices/{self.device.id}"
        ).data
        return data


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture(scope="module")
def unmoved() -> Daemon:
    """One for all tests that are refused, and change nothing."""
    return Daemon()


def test_a_round_of_osqueryd_is_judged(daemon: Daemon) -> None:
    enrolled = daemon.post("enroll", ENROLL).body
    assert enrolled == {"node_key": daemon.device.id, "node_invalid": False}
    assert daemon.post("config", {"node_key": "x"}).body == {"schedule": {}}
    log = {"node_key": "x", "log_type": "status", "data": [{"severity": "0", "message": "hi"}]}
    assert daemon.post("logger", log).body == {}
    asked = daemon.asked()
    assert {query.split(".")[1]: text for query, text in asked.items()} == dict(QUERIES)
    assert daemon.write(daemon.answer(asked, WINDOWS)).body == {}
    shown = daemon.shown()
    assert (shown["compliant"], shown["source"]) == (True, "osquery")
    assert shown["findings"] == []
    # Nothing is asked again before it is due.
    assert daemon.asked() == {}


def test_the_plex_machine_is_found_by_osquery_too(daemon: Daemon) -> None:
    plex = {"name": "Plex Media Server", "version": "1.16.5.1488", "publisher": "Plex, Inc."}
    daemon.write(daemon.answer(daemon.asked(), {**WINDOWS, "programs": [plex]}))
    shown = daemon.shown()
    assert shown["compliant"] is False
    assert [each["cve"] for each in shown["findings"]] == ["CVE-2020-5741"]


def test_what_a_query_did_not_answer_is_unknown(daemon: Daemon) -> None:
    rows = {name: WINDOWS[name] for name in WINDOWS if name != "bitlocker"}
    daemon.write(daemon.answer(daemon.asked(), rows))
    shown = daemon.shown()
    assert shown["compliant"] is False
    assert "not known whether the disk" in shown["findings"][0]["text"]


@pytest.mark.parametrize("lost", ["failed", "left out", "empty", "nameless"])
def test_a_list_of_programs_that_was_not_learnt_is_no_empty_list(daemon: Daemon, lost: str) -> None:
    body = daemon.answer(daemon.asked(), WINDOWS)
    (query,) = (each for each in body["queries"] if ".programs." in each)
    if lost == "failed":
        body["statuses"][query] = 1
    elif lost == "left out":
        del body["queries"][query], body["statuses"][query]
    else:
        body["queries"][query] = [] if lost == "empty" else [{"version": "1"}]
    daemon.write(body)
    shown = daemon.shown()
    assert shown["compliant"] is False
    assert [each["rule"] for each in shown["findings"]] == ["software-unknown"]


@pytest.mark.parametrize(
    ("platform", "answered", "unseen"),
    [
        ("windows", {"programs"}, set()),
        ("windows", {"apps", "deb"}, {"programs"}),
        ("darwin", {"apps", "homebrew"}, set()),
        ("darwin", {"apps"}, {"homebrew_packages"}),
        ("darwin", {"homebrew"}, {"apps"}),
        ("debian", {"deb"}, set()),
        ("ubuntu", {"rpm"}, {"deb_packages"}),
        ("fedora", {"rpm"}, set()),
        ("fedora", {"deb"}, {"rpm_packages"}),
        ("arch", {"deb"}, set()),
        ("arch", {"rpm"}, set()),
        ("arch", set(), {"deb_packages", "rpm_packages"}),
    ],
)
def test_a_report_names_the_tables_of_its_system_that_were_not_read(
    platform: str, answered: set[str], unseen: set[str]
) -> None:
    answers = {name: [{"name": "x", "version": "1"}] for name in answered}
    answers["os"] = [{"platform": platform, "version": "1"}]
    # Browser extensions are asked of nobody.
    assert set(translate("d", "n", 0, answers).unseen) == unseen | {"chrome_extensions"}


def test_blanks_before_a_name_push_nothing_of_it_out(daemon: Daemon) -> None:
    hidden = {"name": " " * 128 + "WinRAR", "version": "1.0"}
    daemon.write(daemon.answer(daemon.asked(), {**WINDOWS, "programs": [hidden]}))
    assert [each["rule"] for each in daemon.shown()["findings"]] == ["winrar"]


def test_without_a_devices_certificate_there_is_no_node(daemon: Daemon) -> None:
    asked = daemon.asked()
    body = daemon.answer(asked, WINDOWS)
    daemon.peer = None
    for name, sent in (
        ("enroll", ENROLL), ("config", {"node_key": daemon.device.id}), ("distributed_write", body),
        ("distributed_read", {"node_key": daemon.device.id}), ("logger", {"log_type": "status"}),
    ):  # fmt: skip
        assert daemon.post(name, sent).body == {"node_invalid": True}


def test_a_revoked_device_is_no_node(daemon: Daemon) -> None:
    daemon.estate.decide("revoke", daemon.device)
    assert daemon.post("config", {}).body == {"node_invalid": True}


def test_answers_count_once_in_time_and_for_their_device(daemon: Daemon) -> None:
    own, theirs = daemon.peer, daemon.estate.peer(daemon.estate.active("bob"))
    late = daemon.answer(daemon.asked(), WINDOWS)
    daemon.estate.vault.clock.advance(seconds=300)
    assert daemon.write(late).error is PermissionDenied
    body = daemon.answer(daemon.asked(), WINDOWS)
    daemon.peer = theirs
    assert daemon.write(body).error is PermissionDenied
    daemon.peer = own
    assert daemon.write(body).error is None
    assert daemon.write(body).error is PermissionDenied


def test_rules_may_refuse_osquerys_word(daemon: Daemon) -> None:
    raw = text(daemon.estate.vault.read("device/posture/rules").data, "rules").encode()
    rules = msgspec.structs.replace(posture_rules.decode(raw), osquery=False)
    daemon.estate.write("device/posture/rules", {"rules": posture_rules.encode(rules).decode()})
    assert daemon.write(daemon.answer(daemon.asked(), WINDOWS)).error is InvalidRequest


@pytest.mark.parametrize(
    "change",
    [
        {"queries": None}, {"queries": []}, {"queries": {}}, {"statuses": []},
        {"queries": {"other": []}}, {"queries": {"ironkeep.nothing.x": []}},
        {"queries": {"ironkeep.os.a": [], "ironkeep.os.b": []}},
        {"queries": {"\ud800": []}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_osquerys_is_refused(unmoved: Daemon, change: dict[str, Any]) -> None:
    body = {**unmoved.answer(unmoved.asked(), WINDOWS), **change}
    assert unmoved.write(body).error is InvalidRequest


@pytest.mark.parametrize(
    "rows",
    [
        {"os": []}, {"os": WINDOWS["os"] * 2}, {"os": [{"platform": "windows"}] * 3},
        {"os": "windows"}, {"programs": [1]}, {"programs": [{"name": 1}]}, {"programs": {"a": 1}},
        {"programs": [{"name": "\ud800"}]}, {"programs": [{"name": "x"}] * 2_049},
    ],
    ids=lambda rows: str(rows)[:40],
)  # fmt: skip
def test_rows_that_are_none_are_refused(unmoved: Daemon, rows: dict[str, Any]) -> None:
    body = unmoved.answer(unmoved.asked(), {**WINDOWS, **rows})
    assert unmoved.write(body).error is InvalidRequest


def test_log_lines_are_bounded(unmoved: Daemon) -> None:
    body = {"log_type": "result", "data": [{}] * 10_001}
    assert unmoved.post("logger", body).error is TooLarge
    for bad in ({}, {"log_type": "x", "data": []}, {"log_type": "result", "data": "x"}):
        assert unmoved.post("logger", bad).error is InvalidRequest


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"bitlocker": [{"on_": "1"}, {"on_": "0"}]}, "disk-encryption"),
        ({"firewall_windows": [{"on_": "Good"}]}, "firewall"),
        ({"lock_windows": [{"seconds": "0"}]}, "screen-lock"),
        ({"lock_windows": [{"seconds": "600"}, {"seconds": "901"}]}, "screen-lock"),
        ({"lock_windows": [{"seconds": "\u0661"}]}, "screen-lock"),
        ({"programs": [{"name": "WinRAR 7.10 (64-bit)", "version": "7.10.0"}]}, "winrar"),
        ({"programs": [{"name": "WinRAR", "version": "9" * 65}]}, "winrar"),
        ({"programs": [{"name": "WinRAR"}]}, "winrar"),
    ],
)
def test_rows_in_doubt_are_read_to_the_worse(
    daemon: Daemon, change: dict[str, Any], rule: str
) -> None:
    daemon.write(daemon.answer(daemon.asked(), {**WINDOWS, **change}))
    assert [each["rule"] for each in daemon.shown()["findings"]] == [rule]


def test_a_mac_and_an_unknown_linux_are_read() -> None:
    mac = translate("d", "n", 0, {
        "os": [{"platform": "darwin", "version": "26.6", "build": "25G1", "arch": "arm64"}],
        "apps": [{"name": "Firefox.app", "version": "145.0"}], "disk": [{"on_": "1"}],
        "firewall_mac": [{"on_": "1"}], "lock_mac": [{"seconds": "5"}], "sip": [{"on_": "1"}],
    })  # fmt: skip
    assert (mac.os.name, mac.os.version) == ("macos", "26.6")
    assert (mac.disk_encrypted, mac.firewall, mac.secure_boot, mac.screen_lock_s) == (
        True, True, True, 5,
    )  # fmt: skip
    arch = translate("d", "n", 0, {"os": [{"platform": "arch", "version": "rolling"}]})
    assert (arch.os.name, arch.os.version, arch.disk_encrypted) == ("linux", "", None)
