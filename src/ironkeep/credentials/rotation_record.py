"""The stored state of a rotation, and its encoding.

credentials/rotation.py changes it. It has version numbers but no secret material. The encoding
is a header line and one JSON object (RFC 8259).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from ironkeep.core.credential.connector import Probe
from ironkeep.core.errors import IntegrityError, InvalidRequest

MAX_ENCODED_BYTES: Final = 16 * 1024
"""Bytes of an encoded record, which has a few versions and one sentence."""

HEADER: Final = b"ironkeep-rotation/v1\n"


class Stage(StrEnum):
    """The stages of a version, in order."""

    PENDING = "pending"
    CURRENT = "current"
    PREVIOUS = "previous"
    RETIRED = "retired"


class RotationState(StrEnum):
    """The states of the machine; credentials/rotation.py has their table."""

    IDLE = "idle"
    PREPARING = "preparing"
    PREPARED = "prepared"
    APPLIED = "applied"
    COMMITTED = "committed"
    RETIRING = "retiring"
    LOST = "lost"


class Strategy(StrEnum):
    """The account that sets the password."""

    ADMIN = "admin"
    """The target's administering account; losing every version is an outage."""
    SELF = "self"
    """The account itself, by a version that still works; losing every version is a lock-out."""


class Version(msgspec.Struct, frozen=True, array_like=True):
    """One version of the credential, by number; the caller keeps its material.

    `dead` means that the target has refused it since it was replaced.
    """

    number: int
    stage: Stage
    dead: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of the machine; times are POSIX nanoseconds.

    `versions` ascend by number. `refusals` is the target's limit on refused logins a minute (a
    connector's `refusals_per_minute`), `refused_ns` the times of the last ones. `seen` has the
    probes since the target may last have changed. Version numbers up to `burnt` were used before
    this record, and are never used again.

    `sent` means that pending may have been sent to the target; a record of an earlier release does
    not tell. `held` means that the limit on refused logins stopped the rotation
    after `seen`: nothing was sent since. `lagging` means that the first host accepts current and
    refuses the older versions, and another host does not yet.
    """

    secret: str
    strategy: Strategy
    epoch: int
    state: RotationState = RotationState.IDLE
    versions: tuple[Version, ...] = ()
    refusals: int
    refused_ns: tuple[int, ...] = ()
    seen: tuple[tuple[int, Probe], ...] = ()
    attempt: int = 0
    unverified: int = 0
    not_before_ns: int = 0
    reason: str = ""
    burnt: int = 0
    sent: bool | msgspec.UnsetType = msgspec.UNSET
    held: bool | msgspec.UnsetType = msgspec.UNSET
    lagging: bool | msgspec.UnsetType = msgspec.UNSET

    def at(self, *stages: Stage) -> list[int]:
        """Return the version numbers at stages, by stage in the given order, then newest first."""
        return [
            each.number
            for stage in stages
            for each in reversed(self.versions)
            if each.stage is stage
        ]

    @property
    def serving(self) -> int | None:
        """Return the version to serve: pending if the target confirmed it, otherwise current."""
        stage = Stage.PENDING if self.state is RotationState.APPLIED else Stage.CURRENT
        return next(iter(self.at(stage)), None)

    def but(self, **changes: object) -> "Record":
        """Return this record with the given changes."""
        return msgspec.structs.replace(self, **changes)

    def others(self) -> list[int]:
        """Return every version except pending that may still work, the likeliest first."""
        return self.at(Stage.CURRENT, Stage.PREVIOUS, Stage.RETIRED)

    def next_number(self) -> int:
        """Return the number of the next version."""
        return max((each.number for each in self.versions), default=self.burnt) + 1

    def unproven(self) -> list[int]:
        """Return the versions whose refusal is not proved yet, newest first."""
        dead = {each.number for each in self.versions if each.dead}
        return [each for each in self.at(Stage.PREVIOUS, Stage.RETIRED) if each not in dead]

    def awaited(self) -> list[int]:
        """Return the unproven versions that a replica may accept until it follows, newest first."""
        following = self.state in {RotationState.COMMITTED, RotationState.RETIRING}
        return self.unproven() if following else []

    def marked(self, numbers: set[int], *, dead: bool) -> "Record":
        """Return this record with `dead` set on the versions of numbers."""
        versions = tuple(
            Version(each.number, each.stage, dead if each.number in numbers else each.dead)
            for each in self.versions
        )
        return self.but(versions=versions)

    def staged(self, moves: Mapping[int, Stage]) -> "Record":
        """Return this record with the versions in moves at new stages."""
        versions = tuple(
            Version(each.number, moves.get(each.number, each.stage), each.dead)
            for each in self.versions
        )
        return self.but(versions=versions)


def adopt(
    secret: str,
    strategy: Strategy,
    *,
    epoch: int,
    refusals: int,
    current: int | None,
    burnt: int = 0,
) -> Record:
    """Return the idle record of a credential with one known version, current.

    current is None if the vault does not know the password: then only an admin can rotate it.
    """
    if current is None and strategy is Strategy.SELF:
        raise InvalidRequest("an account cannot set its password without knowing one that works")
    if refusals < 1 or burnt < 0 or (current is not None and current <= burnt):
        raise InvalidRequest("version numbers and the limit on refused logins start at 1")
    versions = () if current is None else (Version(current, Stage.CURRENT),)
    return Record(
        secret=secret,
        strategy=strategy,
        epoch=epoch,
        versions=versions,
        refusals=refusals,
        burnt=burnt,
    )


def encode(record: Record) -> bytes:
    """Return the canonical encoding of record."""
    return HEADER + msgspec.json.encode(record)


def decode(raw: bytes) -> Record:
    """Return the record in raw; raise IntegrityError unless it is canonical and consistent."""
    if len(raw) > MAX_ENCODED_BYTES or not raw.startswith(HEADER):
        raise IntegrityError("not a rotation record, or of a version this release does not read")
    try:
        record = _DECODER.decode(raw[len(HEADER) :])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise IntegrityError("a rotation record does not parse") from failure
    if encode(record) != raw or not _sound(record):
        raise IntegrityError("a rotation record is not canonical or not consistent")
    return record


_DECODER: Final = msgspec.json.Decoder(Record)


def _sound(record: Record) -> bool:
    """Return whether the machine could have written record."""
    numbers = [each.number for each in record.versions]
    pending = len(record.at(Stage.PENDING))
    current = len(record.at(Stage.CURRENT))
    needed = record.strategy is Strategy.SELF or record.state in {
        RotationState.COMMITTED,
        RotationState.RETIRING,
    }
    return (
        numbers == sorted(set(numbers))
        and all(number > record.burnt >= 0 for number in numbers)
        and pending
        == (record.state in {RotationState.PREPARED, RotationState.APPLIED, RotationState.LOST})
        and needed <= current <= 1
        and record.refusals > 0
        and {number for number, _ in record.seen} <= set(numbers)
    )
