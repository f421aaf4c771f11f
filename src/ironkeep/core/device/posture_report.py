"""What a device says of its own state, in one spelling, to be signed by its key.

    signed bytes = "ironkeep/posture/v1" ‖ 0x00 ‖ the report as JSON, as `encode` spells it

Unknown is null, and null is never good news: a rule that asks for what is not known is not met. A
report says what the device believes; it keeps honest devices in order, and does not find a machine
that lies.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal

import msgspec

from ironkeep.core.errors import InvalidRequest, TooLarge

MAX_REPORT: Final = 192 * 1024
"""Bytes: some thousand programs with publisher, well below the size of a record."""
MAX_SOFTWARE: Final = 2_048
MAX_LISTENING: Final = 256

_CONTEXT: Final = b"ironkeep/posture/v1\0"

Name = Annotated[str, msgspec.Meta(max_length=128)]
Word = Annotated[str, msgspec.Meta(max_length=64)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=366 * 86_400)]
Source = Literal[
    "programs", "apps", "deb_packages", "rpm_packages", "homebrew_packages", "chrome_extensions"
]
"""The osquery table that a program was found in, whoever looked."""
Family = Literal["windows", "macos", "debian", "ubuntu", "fedora", "linux"]

TABLES: Final[Mapping[Family, frozenset[Source]]] = {
    "windows": frozenset({"programs", "chrome_extensions"}),
    "macos": frozenset({"apps", "homebrew_packages", "chrome_extensions"}),
    "debian": frozenset({"deb_packages", "chrome_extensions"}),
    "ubuntu": frozenset({"deb_packages", "chrome_extensions"}),
    "fedora": frozenset({"rpm_packages", "chrome_extensions"}),
    "linux": frozenset({"deb_packages", "rpm_packages", "chrome_extensions"}),
}
"""Where programs of each system are found. What was not read of these is unknown."""


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operating system; `version` is dotted, on Windows with the build: 10.0.26100."""

    name: Family
    version: Word
    build: Word
    arch: Word


class Software(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One installed program; `running` is null where nobody looked."""

    src: Source
    name: Name
    version: Word
    publisher: Name
    running: bool | None


class Listening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One port that answers."""

    proto: Literal["tcp", "udp"]
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    name: Name


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A device's state at `ts` (POSIX seconds, its own clock, for people to read).

    What is fresh is decided by `nonce`. `screen_lock_s` is how long until it locks, 0 when never.
    `secure_boot` is system integrity protection on macOS. `unseen` names the tables of the system
    that could not be read, so that `software` says nothing of them; it is left out when empty,
    and agents of before did not know it.
    """

    v: Literal[1]
    device_id: Word
    nonce: Word
    ts: Annotated[int, msgspec.Meta(ge=0, le=2**40)]
    os: System
    disk_encrypted: bool | None
    screen_lock_s: Seconds | None
    firewall: bool | None
    secure_boot: bool | None
    os_auto_update: bool | None
    admin_user: bool | None
    edr: Annotated[tuple[Name, ...], msgspec.Meta(max_length=16)]
    software: Annotated[tuple[Software, ...], msgspec.Meta(max_length=MAX_SOFTWARE)]
    listening: Annotated[tuple[Listening, ...], msgspec.Meta(max_length=MAX_LISTENING)]
    agent_version: Word
    unseen: Annotated[tuple[Source, ...], msgspec.Meta(max_length=8)] = ()


_DECODER: Final = msgspec.json.Decoder(Report)


def unseen(family: Family, read: Iterable[Source]) -> tuple[Source, ...]:
    """Return the tables of a system that were not read, in order."""
    return tuple(sorted(TABLES[family].difference(read)))


def encode(report: Report) -> bytes:
    """Return the one spelling of report."""
    return msgspec.json.encode(report)


def decode(raw: bytes) -> Report:
    """Return the report in raw; raise InvalidRequest unless raw is its one spelling, or TooLarge.

    A message names the field that is wrong and shows nothing of what was sent.
    """
    if len(raw) > MAX_REPORT:
        raise TooLarge(f"a posture report has at most {MAX_REPORT} bytes")
    try:
        report = _DECODER.decode(raw)
        written = encode(report)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        place = str(error).rpartition(" - at ")[2] if " - at " in str(error) else "`$`"
        raise InvalidRequest(f"not a posture report of version 1: look at {place}") from None
    if written != raw:
        raise InvalidRequest("the posture report is not in its one spelling: compact, in order")
    return report


def signed_bytes(raw: bytes) -> bytes:
    """Return what the device's key signs for a report: it is taken for nothing else."""
    return _CONTEXT + raw
