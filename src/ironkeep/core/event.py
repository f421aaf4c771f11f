"""The audit entry, in its only format.

The struct is an allow-list: only its fields are recorded, and no code copies request or response
bodies. Neither a secret's value nor an HMAC of it appears: the version identifies the secret.
core/evidence/leaf.py encrypts entries into journal leaves.
"""

from typing import Final, Literal

import msgspec

Kind = Literal["request", "start", "commit", "key", "effect", "refused", "tick", "notice"]
"""request: one API request. start: a server began. commit: a store commit. effect: an outside
call's outcome. refused: counted refusals of unauthenticated clients. tick: work driven by time.
notice: any other event of the server itself (a seal, a checkpoint failure, a clock step)."""

Value = str | int | bool | list[str]

VERSION: Final = 1

NODE: Final = 1
"""The number of this node: one node serves a vault today."""


CLOCK_STEP: Final = "clock-step"
"""The operation of a notice: the machine's clock moved, and the vault's time did not follow it."""
CLOCK_SET: Final = "clock-set"
"""The operation of a notice: the vault's time was set forward to the machine's clock."""
CLOCK_BACK: Final = "clock-back"
"""The operation of a notice: the machine's clock agrees with the vault's time again."""

MADE_BY: Final = "made_by"
"""The field of `audited` with the makers of what a login relies on (identity/people.py)."""
FACTOR_OF: Final = "factor_of"
"""The field of `audited` with the entity whose factor a request set, invited to set, or removed."""
SET_AGAIN: Final = "password_again"
"""The field of `audited` that is true if a request set a password that the name had before."""
HANDED_OUT: Final = "handed_out"
"""The field of `audited` that is true if an answer that needs no session gave out a token."""
WROTE: Final = "wrote"
"""The field of `audited` with the secret that a request stored, `<record path>@<version>`."""
PRESENTED: Final = "presented"
"""The field of `audited` with the accessor of another token that a request presents."""


class Released(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One secret version that left the vault: its mount, record path, version and field names."""

    mount: str
    path: str
    version: int = 0
    fields: tuple[str, ...] = ()


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One event: the action, its actor, the deciding rule and the outcome.

    `time_ns` is POSIX, UTC. `path` is the full API path. `mount` is the mount's uuid, which a
    remount does not change. `outcome` is "ok" or an error code of core.errors. `rule` names the
    policy rule that decided. `audited` has the fields that the route declares as safe to record.
    `at` is the number of the last commit that the event saw, and `node` the node that logged it:
    they order entries of several logs. Entries of earlier releases have neither.

    Entries are in no cycle, so the garbage collector leaves them out: evidence has tens of
    thousands.
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
    at: int = 0
    node: int = 0


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """Return the entry as JSON bytes."""
    return _ENCODER.encode(entry)


def decode(raw: bytes) -> Entry:
    """Return the entry in raw; raise msgspec.ValidationError when it is not one."""
    return _DECODER.decode(raw)
