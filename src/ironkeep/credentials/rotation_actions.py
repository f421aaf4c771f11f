"""The actions that a rotation asks for, and the observations that answer them.

    action         answered by
    Prepare        Prepared
    Present        Presented
    Set            Applied, Refused or Unsure
    KillSessions   Killed or NotKilled
    Wait           the passing of time
    Done, Lost     nothing

`next_action` (credentials/rotation.py) returns an action, its caller performs it, and `observe`
takes the observation. Both sides are values without secret material: they name versions by number.
"""

import msgspec

from ironkeep.core.credential.connector import Probe


class Prepare(msgspec.Struct, frozen=True):
    """Make new material for this version and store it in the same commit as the next record."""

    version: int


class Present(msgspec.Struct, frozen=True):
    """Probe the target with this version."""

    version: int


class Set(msgspec.Struct, frozen=True):
    """Set version as the target's password, logged in with version `using`, or as admin if None."""

    version: int
    using: int | None


class KillSessions(msgspec.Struct, frozen=True):
    """End every session that an older version opened."""


class Wait(msgspec.Struct, frozen=True):
    """Continue at until_ns; `alert` means that a person must be told."""

    until_ns: int
    reason: str
    alert: bool


class Done(msgspec.Struct, frozen=True):
    """Nothing to do: the current version works, and older ones are refused."""


class Lost(msgspec.Struct, frozen=True):
    """No version in the record works; only a person may continue, with `reset_lost`."""

    reason: str


Action = Prepare | Present | Set | KillSessions | Wait | Done | Lost


class Prepared(msgspec.Struct, frozen=True):
    """The material of version is stored."""

    version: int


class Presented(msgspec.Struct, frozen=True):
    """The result of probing with version at all hosts.

    `first` is the result at the first host, where passwords are set; None if it is the same. `full`
    means that the target had no connection left, `refused` that some host counted a failed login.
    """

    version: int
    state: Probe
    reason: str = ""
    full: bool = False
    first: Probe | None = None
    refused: bool = False


class Applied(msgspec.Struct, frozen=True):
    """The target confirmed that it accepted version."""

    version: int


class Refused(msgspec.Struct, frozen=True):
    """The target refused version (connector.Rejected); `final` means that it always will."""

    version: int
    reason: str
    final: bool = False


class Unsure(msgspec.Struct, frozen=True):
    """Setting version failed, with or without effect (connector: Ambiguous, Unreachable)."""

    version: int
    reason: str
    full: bool = False


class Killed(msgspec.Struct, frozen=True):
    """All sessions of older versions are ended."""


class NotKilled(msgspec.Struct, frozen=True):
    """Some sessions may still be open."""

    reason: str


Observation = Prepared | Presented | Applied | Refused | Unsure | Killed | NotKilled
