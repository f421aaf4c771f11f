"""What a Linux device says of itself: only what can be seen, and null for the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from ironkeep.agent.posture import MAX_OUTPUT, encrypted, os_release, packages, report_text
from ironkeep.core.device.posture_report import decode


def lsblk(*devices: dict[str, Any]) -> str:
    return json.dumps({"blockdevices": devices})


ROOT: dict[str, Any] = {"name": "root", "type": "lvm", "mountpoints": ["/"]}
CRYPT: dict[str, Any] = {"name": "luks", "type": "crypt", "mountpoints": [None], "children": [ROOT]}
BOOT: dict[str, Any] = {"name": "sda1", "type": "part", "mountpoints": ["/boot"]}


@pytest.mark.parametrize(
    ("listed", "wanted"),
    [
        (lsblk({"name": "sda", "type": "disk", "children": [BOOT, CRYPT]}), True),
        (lsblk({"name": "sda", "type": "disk", "children": [BOOT, ROOT]}), False),
        (lsblk(CRYPT | {"children": []}, ROOT), False),
        (lsblk(BOOT), None),
        ("", None),
        ("[]", None),
        ('{"blockdevices": 7}', None),
        ('{"blockdevices": [7]}', None),
    ],
)
def test_the_disk_counts_as_encrypted_when_root_is_below_dm_crypt(
    listed: str, wanted: bool | None
) -> None:
    assert encrypted(listed) is wanted


def test_only_named_packages_that_are_installed_are_told() -> None:
    listed = "sudo 1.9.13p3-1 installed\nopenssl 3.0.1 config-files\ndiary 1 installed\nsudo\n"
    found = packages(listed)
    assert found is not None
    assert [(one.name, one.version) for one in found] == [("sudo", "1.9.13p3-1")]


@pytest.mark.parametrize("listed", ["", "dpkg-query: error\n", "sudo 1 config-files\n", "\n"])
def test_a_list_without_an_installed_package_is_not_known(listed: str) -> None:
    assert packages(listed) is None


def test_a_version_that_is_too_long_is_told_as_one_that_cannot_be_read() -> None:
    (found,) = packages(f"sudo {'9' * 65} installed\n") or ()
    assert (found.name, found.version) == ("sudo", "")


PROGRAMS: dict[str, str | None] = {
    "missing": None,
    "fails": "#!/bin/sh\necho 'sudo 1.9 installed'\nexit 1\n",
    "says too much": f"#!/bin/sh\nyes 'x 1 installed' | head -c {MAX_OUTPUT + 1}\n",
    "is cut off": "#!/bin/sh\necho 'sudo 1.9 installed'\nkill -9 $$\n",
    "answers": "#!/bin/sh\necho 'sudo 1.9 installed'\n",
}


@pytest.mark.parametrize("how", PROGRAMS)
def test_packages_that_could_not_be_listed_are_unknown_and_not_absent(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = PROGRAMS[how]
    if script is not None:
        program = tmp_path / "dpkg-query"
        program.write_text(script)
        program.chmod(0o755)
    monkeypatch.setattr("ironkeep.agent.posture.PATH", f"{tmp_path}:/usr/bin:/bin")
    if script is None:
        monkeypatch.setattr("ironkeep.agent.posture.PATH", str(tmp_path))
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "os-release").write_text("ID=debian\nVERSION_ID=12\n")
    report = decode(report_text("d", "n", 0, tmp_path).encode())
    assert ("deb_packages" in report.unseen) is (how != "answers")
    assert bool(report.software) is (how == "answers")


def test_os_release() -> None:
    text = "# a comment\nID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='Debian = 12'\n"
    assert os_release(text)["ID"] == "debian"
    assert os_release(text)["VERSION_ID"] == "12"
    assert os_release(text)["PRETTY_NAME"] == "Debian = 12"


def test_this_machine_makes_a_report_that_the_server_reads(tmp_path: Path) -> None:
    """Whatever is missing below root is unknown, never good news."""
    report = decode(report_text("a-device", "a-nonce", 5_000_000_000, tmp_path).encode())
    assert (report.device_id, report.nonce, report.ts) == ("a-device", "a-nonce", 5)
    assert report.os.name == "linux"
    unknown = (report.screen_lock_s, report.firewall, report.secure_boot, report.os_auto_update)
    assert unknown == (None,) * 4
