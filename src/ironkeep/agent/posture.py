"""The posture report of a Linux device; a property that the agent cannot see is null.

Screen lock and firewall are not examined, because each desktop has its own; they stay unknown. Of
the installed packages only those named below are reported.

Sources: os-release(5); lsblk(8); dpkg-query(1); UEFI 2.10, 3.3 (SecureBoot).
"""

import grp
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec

from ironkeep import __version__
from ironkeep.core.device.posture_report import (
    Family,
    Report,
    Software,
    Source,
    System,
    encode,
    unseen,
)

PACKAGES: Final = (
    "7zip", "chromium", "firefox", "firefox-esr", "google-chrome-stable", "openssh-server",
    "openssl", "p7zip", "plexmediaserver", "sudo", "thunderbird",
)  # fmt: skip
"""Debian packages that posture rules refer to, and packages that matter for logins."""

PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
COMMAND_SECONDS: Final = 10
MAX_OUTPUT: Final = 1 << 20

_SECURE_BOOT: Final = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_FAMILIES: Final[dict[str, Family]] = {
    "debian": "debian", "ubuntu": "ubuntu", "fedora": "fedora",
}  # fmt: skip
_MAX_WORD: Final = 64


def report_text(device: str, nonce: str, now_ns: int, root: Path = Path("/")) -> str:
    """Return the report of this machine in its canonical encoding."""
    release = os_release(_text(root / "etc/os-release"))
    system = System(
        name=_FAMILIES.get(release.get("ID", ""), "linux"),
        version=release.get("VERSION_ID", "")[:_MAX_WORD],
        build=platform.release()[:_MAX_WORD],
        arch=platform.machine()[:_MAX_WORD],
    )
    programs = packages(
        _output("dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\\n")
    )
    upgrades = _text(root / "etc/apt/apt.conf.d/20auto-upgrades")
    report = Report(
        v=1,
        device_id=device,
        nonce=nonce,
        ts=now_ns // 1_000_000_000,
        os=system,
        disk_encrypted=encrypted(_output("lsblk", "--json", "-o", "NAME,TYPE,MOUNTPOINTS")),
        screen_lock_s=None,
        firewall=None,
        secure_boot=_secure_boot(root / "sys/firmware/efi/efivars" / _SECURE_BOOT),
        os_auto_update='Unattended-Upgrade "1"' in upgrades if upgrades else None,
        admin_user=_is_admin(),
        edr=(),
        software=programs or (),
        listening=(),
        agent_version=__version__,
        unseen=_unseen(system.name, known=programs is not None),
    )
    return encode(report).decode()


def os_release(text: str) -> dict[str, str]:
    """Return the assignments of an os-release file."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def encrypted(lsblk: str) -> bool | None:
    """Return whether the root file system is on dm-crypt, None when lsblk does not show it."""
    try:
        devices = msgspec.json.decode(lsblk).get("blockdevices", [])
    except (msgspec.DecodeError, AttributeError):
        return None
    return _on_crypt(devices, within=False)


def packages(listed: str) -> tuple[Software, ...] | None:
    """Return those of PACKAGES that dpkg-query listed as installed, None when it listed nothing.

    A system without any package is not a Debian system. A version that is too long is reported as
    "", which no posture rule can read.
    """
    found = []
    installed = 0
    for line in listed.splitlines():
        name, _, rest = line.partition(" ")
        version, _, state = rest.partition(" ")
        if state != "installed":
            continue
        installed += 1
        if name in PACKAGES:
            version = version if len(version) <= _MAX_WORD else ""
            found.append(
                Software(src="deb_packages", name=name, version=version, publisher="", running=None)
            )
    return tuple(found) if installed else None


def _unseen(family: Family, *, known: bool) -> tuple[Source, ...]:
    """Return the sources that were not examined; `known` tells whether dpkg-query listed packages.

    rpm is not queried. On an unknown family with dpkg, its list counts as complete.
    """
    read: tuple[Source, ...] = ("deb_packages",) if known else ()
    if known and family == "linux":
        read += ("rpm_packages",)
    return unseen(family, read)


def _on_crypt(devices: Any, *, within: bool) -> bool | None:
    """Return whether `/` is mounted from or below a crypt device, None when it is not listed."""
    for device in devices if isinstance(devices, list) else ():
        if not isinstance(device, dict):
            return None
        inside = within or device.get("type") == "crypt"
        if "/" in (device.get("mountpoints") or ()):
            return inside
        below = _on_crypt(device.get("children"), within=inside)
        if below is not None:
            return below
    return None


def _secure_boot(variable: Path) -> bool | None:
    try:
        return variable.read_bytes()[4:5] == b"\1"
    except OSError:
        return None


def _is_admin() -> bool:
    names = {group.gr_name for group in grp.getgrall() if group.gr_gid in os.getgroups()}
    return os.geteuid() == 0 or bool(names & {"sudo", "wheel", "admin"})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:MAX_OUTPUT]
    except OSError:
        return ""


def _output(program: str, *words: str) -> str:
    """Return a program's output; "" when it is missing, fails, or exceeds a time or size limit."""
    # Not the caller's PATH: a changed PATH could forge the report.
    found = shutil.which(program, path=PATH)
    if found is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program and fixed words
            [found, *words],
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=True,
            env={"LC_ALL": "C", "PATH": PATH},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    # A truncated list would report the missing half as not installed.
    return "" if len(done.stdout) > MAX_OUTPUT else done.stdout.decode("utf-8", "replace")
