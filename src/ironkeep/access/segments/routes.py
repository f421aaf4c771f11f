"""The segment engine: make, read, unseal, seal, cut off and destroy segments.

    segment/segments/            all of them            segment/segments/<name>/unseal|seal
    segment/segments/<name>      make, change, read     segment/segments/<name>/cut|destroy
    segment/segments/<name>/rebuild                     see rebuild.py
    segment/flows/…, segment/reach                      see flow_routes.py

The shares in the answer to a creation exist nowhere else: neither a root token nor the vault's own
key can recover them.
"""

from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.access.second_person import change_guard, waits
from ironkeep.access.segments import flow_routes as segment_flows, rebuild as segment_rebuild
from ironkeep.access.segments.rebuild import mounts_of
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.identity.lending.sweeping import LeaseSweeps
from ironkeep.plugin.call import Call
from ironkeep.plugin.cidr import covered
from ironkeep.plugin.fields import CidrList, CommaList
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.response import Response, Unkept
from ironkeep.plugin.route import Route
from ironkeep.seal.segment_record import Segment
from ironkeep.seal.segments import Segments
from ironkeep.store.reserved import MOUNTS


class SegmentEngine:
    """The engine of segments, the flow matrix between them, and reachability."""

    type: Final = "segment"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes of segments, rebuilding and flows."""
        return ALL_ROUTES


@dataclass(frozen=True)
class SegmentSettings:
    """A segment's networks and device classes, and how it is unsealed; omitted settings stay."""

    name: str
    networks: CidrList | None = None
    devices: CommaList | None = None
    secret_shares: int = 5
    secret_threshold: int = 3
    key_file: bool = False


@dataclass(frozen=True)
class Name:
    """Names a segment."""

    name: str


@dataclass(frozen=True)
class Share:
    """One share of a segment's key, or a reset of the attempt."""

    name: str
    key: Secret = Secret(b"")
    reset: bool = False
    nonce: str = field(default="", metadata={"help": "of the attempt that a reset ends"})


@dataclass(frozen=True)
class Confirmed:
    """An action that cannot be undone: `confirm` repeats the segment's name."""

    name: str
    confirm: str = ""


def exists(call: Call) -> bool:
    """Return whether the segment in the path exists or ever existed."""
    return call.params["name"] in call.use(Segments).table(call.tx).by_name


def shape(call: Call, segment: Segment) -> dict[str, Any]:
    """Return a segment as the API shows it, without key and shares."""
    status = call.use(Segments).keys.status(call.tx, segment)
    state = segment.state
    if state == "live":
        state = "open" if call.use(Segments).keys.is_open(segment) else "sealed"  # type: ignore[assignment]
    keys = call.use(Segments).keys
    waiting = segment.state == "live" and not keys.is_open(segment)
    return {
        "name": segment.name,
        "number": segment.number,
        "state": state,
        "sealed": not keys.is_open(segment),
        "t": status.t,
        "n": status.n,
        "progress": status.progress,
        "key_file": segment.key_file,
        "networks": list(segment.networks),
        "devices": list(segment.devices),
        "mounts": [mount.path for mount in mounts_of(call, segment)],
        "created": rfc3339(segment.created_ns),
        "cut": rfc3339(segment.cut_ns) if segment.cut_ns else "",
        "destroyed": rfc3339(segment.destroyed_ns) if segment.destroyed_ns else "",
        "hint": keys.why_closed(segment) if waiting else "",
    }


def list_segments(call: Call) -> Response:
    """Return all segments by name, including destroyed ones, with their states."""
    table = call.use(Segments).table(call.tx).by_name
    about = {name: shape(call, table[name]) for name in sorted(table)}
    return Response(data={"keys": sorted(table), "key_info": about})


def read(call: Call, given: Name) -> Response:
    """Return one segment, which may be a destroyed one."""
    segment = call.use(Segments).table(call.tx).by_name.get(given.name)
    return Response(data=shape(call, segment or call.use(Segments).find(call.tx, given.name)))


def write(call: Call, given: SegmentSettings) -> Response:
    """Make a segment and return its shares, or change an existing one.

    A change that lets in more callers than before needs another person's approval.
    """
    if exists(call):
        now = call.use(Segments).find(call.tx, given.name)
        networks = now.networks if given.networks is None else given.networks
        devices = now.devices if given.devices is None else given.devices
        wider = not covered(networks, now.networks) or not _are_among(devices, now.devices)
        text = f"the networks or devices that may ask segment {given.name} were changed"
        answer = change_guard(call, "segment", text, weaker=wider)
        if not waits(answer):
            call.use(Segments).configure(call.tx, given.name, networks, devices, call.now_ns)
        return answer
    segment, made = call.use(Segments).create(
        call.tx, given.name, given.networks or (), given.devices or (),
        (given.secret_shares, given.secret_threshold), call.now_ns, with_key_file=given.key_file,
    )  # fmt: skip
    shares = [share.reveal() for share in made.keys]
    return Response(
        data={
            "name": segment.name,
            "number": segment.number,
            "keys": [Unkept(share.hex().encode()) for share in shares],
            "keys_base64": [Unkept(b64encode(share)) for share in shares],
            "key_file": Unkept(made.key_file.reveal()) if made.key_file is not None else "",
        },
        audited={"shares": given.secret_shares, "threshold": given.secret_threshold},
        warnings=["these shares are not stored: give each to its holder, then unseal with them"],
    )


def _are_among(classes: Collection[str], before: Collection[str]) -> bool:
    """Return whether `classes` allow no more devices than `before`; empty allows any device."""
    if not classes or not before:
        return not before
    # `corporate/tpm` is narrower than `corporate`, and than `tpm`.
    return all(set(before).intersection((each, *each.split("/"))) for each in classes)


def unseal(call: Call, given: Share) -> Response:
    """Take one share of a segment's key; the last one needed opens the segment."""
    key = given.key.reveal().decode("utf-8", "replace")
    now = call.use(Segments).unseal(call.tx, given.name, key, reset=given.reset, nonce=given.nonce)
    status = shape(call, call.use(Segments).find(call.tx, given.name))
    audited = {"progress": status["progress"], "sealed": status["sealed"]}
    return Response(data={**status, "nonce": now.nonce}, audited=audited)


def seal(call: Call, given: Name) -> Response:
    """Seal a segment: drop its keys at once."""
    call.use(Segments).seal(call.tx, given.name)
    return Response()


def cut(call: Call, given: Name) -> Response:
    """Seal a segment, and revoke everything that its auth methods issued."""
    segment = call.use(Segments).cut(call.tx, given.name, call.now_ns)
    paths = [mount.path for mount in mounts_of(call, segment)]
    for path in paths:
        call.use(LeaseSweeps).later(call.tx, path, call.now_ns)
    return Response(data={"cut": rfc3339(call.now_ns), "mounts": paths}, audited={"mounts": paths})


def destroy(call: Call, given: Confirmed) -> Response:
    """Destroy a segment's keys, its mounts and all they issued; its data is lost for ever."""
    call.use(Segments).find(call.tx, given.name)
    if given.confirm != given.name:
        raise InvalidRequest(
            f"this cannot be undone: repeat the segment's name, confirm={given.name}"
        )
    segment = call.use(Segments).destroy(call.tx, given.name, call.now_ns)
    mounts = mounts_of(call, segment)
    for mount in mounts:
        call.use(LeaseSweeps).later(call.tx, mount.path, call.now_ns)
        call.use(Mounts).remove(
            call.tx, call.services.store(call.tx, MOUNTS), mount.path, call.now_ns
        )
    paths = [mount.path for mount in mounts]
    data = {
        "destroyed": rfc3339(call.now_ns),
        "mounts": paths,
        "remains": "earlier copies of the database open with the shares: destroy those too",
    }
    return Response(data=data, audited={"mounts": paths})


_NAMED: Final = "segments/{name}"

ROUTES: Final = (
    Route(Operation.LIST, "segments/", list_segments, help="All segments."),
    Route(Operation.READ, _NAMED, read, Name, help="A segment and the progress of its unsealing."),
    Route(
        Operation.UPDATE, _NAMED, write, SegmentSettings, exists=exists, sudo=True, quorum=True,
        makes=True,
        audited=("name", "networks", "devices"), help="Make a segment, or change one.",
    ),
    Route(
        Operation.UPDATE, f"{_NAMED}/unseal", unseal, Share, audited=("name",),
        help="Give one share of a segment's key.",
    ),
    Route(
        Operation.UPDATE, f"{_NAMED}/seal", seal, Name, sudo=True, audited=("name",),
        help="Drop the keys of a segment.",
    ),
    Route(
        Operation.UPDATE, f"{_NAMED}/cut", cut, Name, sudo=True, audited=("name",),
        help="Seal a segment and revoke what was issued through it.",
    ),
    Route(
        Operation.UPDATE, f"{_NAMED}/destroy", destroy, Confirmed, sudo=True, quorum=True,
        audited=("name",), help="Destroy the keys of a segment, and so its data.",
    ),
)  # fmt: skip

ALL_ROUTES: Final = (*ROUTES, *segment_rebuild.ROUTES, *segment_flows.ROUTES)
