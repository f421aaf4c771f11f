"""The stored record of a segment, and the table of all segments.

    sys/segments : table -> every segment that ever existed, in one record

It is one record, so that a change is one row and every derived form is validated by that row's
identity. Names are never reused: destroyed segments stay in the table, because old mount options,
rules and records that mention the name would otherwise refer to another segment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import MountAccessor, MountUuid
from ironkeep.core.policy.flows import HOUSE
from ironkeep.plugin.cidr import Address, Network, parse_cidrs
from ironkeep.store.keyring import SegmentId

FIRST_NUMBER: Final = 2
MAX_SEGMENTS: Final = 200
"""Over the life of a vault: a segment's number is the first byte of its row keys, never reused."""
MAX_NETWORKS: Final = 64
MAX_CLASSES: Final = 16
MAX_MOUNTS: Final = 1_000
"""Mounts in one segment, also removed ones: batch tokens that they issued may outlive them."""

State = Literal["live", "destroying", "destroyed"]

OWNERSHIPS: Final = ("corporate", "personal")
KEY_KINDS: Final = ("tpm", "pkcs11", "file")
DEVICE_CLASSES: Final = frozenset(
    {*OWNERSHIPS, *KEY_KINDS, *(f"{owner}/{kind}" for owner in OWNERSHIPS for kind in KEY_KINDS)}
)

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)


class Placed(msgspec.Struct, frozen=True, array_like=True):
    """A mount in a segment: the uuid names its records, the accessor the tokens it issues."""

    uuid: MountUuid
    accessor: MountAccessor


class Segment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One segment. Times are POSIX nanoseconds.

    `id` is random and identifies the segment in rows that can be read while sealed. Tokens that its
    auth methods issued at or before `cut_ns` are refused. With `key_file` a key file opens it too.
    """

    name: str
    number: int
    id: SegmentId
    created_ns: int
    networks: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    mounts: tuple[Placed, ...] = ()
    state: State = "live"
    cut_ns: int = 0
    destroyed_ns: int = 0
    key_file: bool = False

    @property
    def space(self) -> bytes:
        """Return the first byte of the segment's row keys."""
        return bytes([self.number])


class Stored(msgspec.Struct, frozen=True):
    """The one record."""

    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Indexes over the segments: by name, by mount uuid, by mount accessor and by network."""

    by_name: Mapping[str, Segment]
    by_place: Mapping[str, Segment]
    by_accessor: Mapping[str, Segment]
    networks: tuple[tuple[str, tuple[Network, ...]], ...]
    located: dict[Address, frozenset[str]] = field(default_factory=dict)
    """A cache: the names of segments by caller address."""


EMPTY: Final = Table({}, {}, {}, ())


def table_of(stored: Stored) -> Table:
    """Return the indexes over the stored segments."""
    live = [each for each in stored.segments if each.state == "live"]
    return Table(
        by_name={each.name: each for each in stored.segments},
        by_place={placed.uuid: each for each in stored.segments for placed in each.mounts},
        by_accessor={placed.accessor: each for each in stored.segments for placed in each.mounts},
        networks=tuple((each.name, parse_cidrs(each.networks)) for each in live if each.networks),
    )


def check_name(name: str) -> None:
    """Raise InvalidRequest unless name is valid for a segment."""
    if not _NAME.fullmatch(name) or name == HOUSE:
        raise InvalidRequest(
            "a segment's name has 1 to 64 of a-z, 0-9, - and _, begins with a letter, and is not "
            f"{HOUSE!r}"
        )


def check_bounds(networks: tuple[str, ...], devices: tuple[str, ...]) -> None:
    """Raise InvalidRequest unless networks are address ranges and devices are known classes."""
    if len(networks) > MAX_NETWORKS or len(devices) > MAX_CLASSES:
        raise InvalidRequest(
            f"a segment has at most {MAX_NETWORKS} networks and {MAX_CLASSES} device classes"
        )
    parse_cidrs(networks)
    unknown = sorted(set(devices) - DEVICE_CLASSES)
    if unknown:
        raise InvalidRequest(
            f"device classes are {', '.join(sorted(DEVICE_CLASSES))}; not {unknown[0][:64]!r}"
        )
