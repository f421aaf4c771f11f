"""The one canonical audit entry.

A typed allow-list: what may be recorded is a field here, and nothing walks a request or response
body. A secret's value never appears, nor an HMAC of it: the version identifies it. Sealing an entry
into the bytes of a journal leaf is core/evidence/leaf.py's job.
"""

from typing import Final, Literal

import msgspec

Kind = Literal["request", "start", "commit", "key", "effect", "refused", "tick", "notice"]
"""request: one API request. start: a server began. commit: a store commit. effect: an outside
call's outcome. refused: counted refusals of strangers. tick: work driven by time. notice: anything
else that the server says of itself (a seal, a checkpoint failure, a clock step)."""

Value = str | int | bool | list[str]

VERSION: Final = 1


class Released(msgspec.Struct, frozen=True, omit_defaults=True):
    """One secret version that left the vault: its mount, record path, version and field names."""

    mount: str
    path: str
    version: int = 0
    fields: tuple[str, ...] = ()


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened, who did it, what decided, how it ended.

    `time_ns` is POSIX, UTC. `path` is the full API path. `mount` is the mount's uuid: a remount
    does not change what an entry speaks of. `outcome` is "ok" or an error code of core.errors.
    `rule` names the policy rule that decided. `audited` holds the fields that the route declares as
    fit to record.
    """

    kind: Kind
    time_ns: int
    v: int = VERSION
    request: str = ""
    parent: str = ""
    namespace: str = "root"
    op: str = ""
    path: str = ""
    mount: str = ""
    entity: str = ""
    name: str = ""
    accessor: str = ""
    device: str = ""
    remote: str = ""
    rule: str = ""
    outcome: str = "ok"
    reason: str = ""
    released: tuple[Released, ...] = ()
    wrapped: bool = False
    issued: str = ""
    audited: dict[str, Value] = {}


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """Return the entry as JSON bytes."""
    return _ENCODER.encode(entry)


def decode(raw: bytes) -> Entry:
    """Return the entry in raw; raise msgspec.ValidationError when it is not one."""
    return _DECODER.decode(raw)
