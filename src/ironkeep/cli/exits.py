"""The exit codes of the command: the only such table.

| code | meaning |
|------|---------|
| 0    | success; for `status`: unsealed |
| 1    | wrong usage, or a problem on this machine |
| 2    | the server is unreachable, refused, or has no such value; for `status`: sealed |
| 3    | stored bytes, a log, a proof or a pack do not verify |
| 4    | they verify, but are older than a state already seen |
| 5    | a directory, an address or a disk cannot be used now |
| 6    | `segment reach`: a principal reaches the segment, or that cannot be determined |
| 130  | interrupted from the keyboard |

The first three are Vault's.
"""

from collections.abc import Mapping
from typing import Final

from ironkeep.cli import failures
from ironkeep.core import errors

OK: Final = 0
LOCAL: Final = 1
SERVER: Final = 2
INTEGRITY: Final = 3
ROLLED_BACK: Final = 4
UNAVAILABLE: Final = 5
REACHES: Final = 6
INTERRUPTED: Final = 130

EXITS: Final[Mapping[type[Exception], int]] = {
    errors.InvalidRequest: LOCAL,
    errors.Conflict: LOCAL,
    errors.InvalidCredentials: LOCAL,
    errors.TooLarge: LOCAL,
    errors.UnsupportedMedia: LOCAL,
    errors.PermissionDenied: LOCAL,
    errors.DeviceRefused: LOCAL,
    errors.StepUpNeeded: LOCAL,
    errors.OverBudget: LOCAL,
    errors.NotFound: LOCAL,
    errors.UnsupportedOperation: LOCAL,
    errors.TooManyRequests: UNAVAILABLE,
    errors.Uninitialised: SERVER,
    errors.Sealed: SERVER,
    errors.Unavailable: UNAVAILABLE,
    errors.UpstreamFailed: SERVER,
    errors.IntegrityError: INTEGRITY,
    errors.RolledBack: ROLLED_BACK,
    failures.Unreachable: SERVER,
    failures.Refused: SERVER,
    failures.NoValue: SERVER,
}


def exit_code(error: type[Exception]) -> int:
    """Return the code of an error class; a class without its own line inherits its parent's."""
    for cls in error.__mro__:
        if cls in EXITS:
            return EXITS[cls]
    return LOCAL
