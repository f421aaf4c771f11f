"""A segment as the house keeps it, and the table of all of them.

    sys/segments : table -> every segment that ever was, in one record

One record, so that a change is one row and every derived form is validated by that row's identity.
A name is given once: what is destroyed stays in the table, so that its name cannot be taken by
something else that old options, rules and records would then speak of.
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
"""Ever made: a segment's number is the first byte of its rows' keys, and is given once."""
MAX_NETWORKS: Final = 64
MAX_CLASSES: Final = 16
MAX_MOUNTS: Final = 1_000
"""Ever in one segment, those that are gone included: batch tokens that they issued may live on."""

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

    `id` is random and names the segment wherever it can be read while sealed. Tokens that its auth
    methods issued at or before `cut_ns` are refused. With `key_file` a file opens it too.
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
        """Return the first byte of the keys of its rows."""
        return bytes([self.number])


class Stored(msgspec.Struct, frozen=True):
    """The one record."""

    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """The segments, by what they are looked up by."""

    by_name: Mapping[str, Segment]
    by_place: Mapping[str, Segment]
    by_accessor: Mapping[str, Segment]
    networks: tuple[tuple[str, tuple[Network, ...]], ...]
    located: dict[Address, frozenset[str]] = field(default_factory=dict)
    """Segments by address, remembered."""


EMPTY: Final = Table({}, {}, {}, ())


def table_of(stored: Stored) -> Table:
    """Return the look-ups over what is stored."""
    live = [each for each in stored.segments if each.state == "live"]
    return Table(
        by_name={each.name: each for each in stored.segments},
        by_place={placed.uuid: each for each in stored.segments for placed in each.mounts},
        by_accessor={placed.accessor: each for each in stored.segments for placed in each.mounts},
        networks=tuple((each.name, parse_cidrs(each.networks)) for each in live if each.networks),
    )


def check_name(name: str) -> None:
    """Raise InvalidRequest unless name may be a segment's."""
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
