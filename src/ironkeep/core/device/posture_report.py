"""A device's report of its own state, in its canonical encoding, signed by the device's key.

    signed bytes = "ironkeep/posture/v1" ‖ 0x00 ‖ the report as JSON, as `encode` writes it

Unknown is null, and a rule on an unknown value is not met. A report contains the device's own
claims: it keeps honest devices in order, but does not detect a device that lies.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal

import msgspec

from ironkeep.core.errors import InvalidRequest, TooLarge

MAX_REPORT: Final = 192 * 1024
"""Bytes of a report: some thousand programs with publisher, well below a record's limit."""
MAX_SOFTWARE: Final = 2_048
MAX_LISTENING: Final = 256

_CONTEXT: Final = b"ironkeep/posture/v1\0"

Name = Annotated[str, msgspec.Meta(max_length=128)]
Word = Annotated[str, msgspec.Meta(max_length=64)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=366 * 86_400)]
Source = Literal[
    "programs", "apps", "deb_packages", "rpm_packages", "homebrew_packages", "chrome_extensions"
]
"""The osquery table of a program, even if the agent and not osquery read it."""
Family = Literal["windows", "macos", "debian", "ubuntu", "fedora", "linux"]

TABLES: Final[Mapping[Family, frozenset[Source]]] = {
    "windows": frozenset({"programs", "chrome_extensions"}),
    "macos": frozenset({"apps", "homebrew_packages", "chrome_extensions"}),
    "debian": frozenset({"deb_packages", "chrome_extensions"}),
    "ubuntu": frozenset({"deb_packages", "chrome_extensions"}),
    "fedora": frozenset({"rpm_packages", "chrome_extensions"}),
    "linux": frozenset({"deb_packages", "rpm_packages", "chrome_extensions"}),
}
"""The tables of programs on each system. A table that was not read is unknown."""


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operating system; `version` is dotted, on Windows with the build: 10.0.26100."""

    name: Family
    version: Word
    build: Word
    arch: Word


class Software(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One installed program; `running` is null if it was not checked."""

    src: Source
    name: Name
    version: Word
    publisher: Name
    running: bool | None


class Listening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One listening port."""

    proto: Literal["tcp", "udp"]
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    name: Name


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A device's state at `ts` (POSIX seconds, its own clock, for people to read).

    `nonce` proves that the report is fresh. `screen_lock_s` is the time until the screen locks, 0
    if it never does. `secure_boot` is system integrity protection on macOS. `unseen` names the
    tables of the system that could not be read, so that `software` lacks them; it is omitted if
    empty, and older agents do not send it.
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
    """Return the canonical encoding of report."""
    return msgspec.json.encode(report)


def decode(raw: bytes) -> Report:
    """Return the report in raw, which must be in canonical encoding.

    Raise InvalidRequest or TooLarge; the message names the wrong field and shows no sent value.
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
        raise InvalidRequest("the posture report is not canonical JSON: compact, keys in order")
    return report


def signed_bytes(raw: bytes) -> bytes:
    """Return the bytes that the device's key signs for a report, in a domain of their own."""
    return _CONTEXT + raw
