"""The HTTP status of each error class: the only such table.

Source: the status map of the Vault HTTP API.
"""

from collections.abc import Mapping
from typing import Final

from ironkeep.core import errors

STATUS: Final[Mapping[type[Exception], int]] = {
    errors.InvalidRequest: 400,
    errors.Conflict: 400,
    errors.InvalidCredentials: 400,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.PermissionDenied: 403,
    errors.DeviceRefused: 403,
    errors.StepUpNeeded: 403,
    errors.OverBudget: 403,
    errors.NotFound: 404,
    errors.UnsupportedOperation: 405,
    errors.TooManyRequests: 429,
    errors.Uninitialised: 503,
    errors.Sealed: 503,
    errors.Unavailable: 503,
    errors.UpstreamFailed: 502,
    errors.IntegrityError: 500,
    errors.RolledBack: 500,
}

DEFECT: Final = 500
"""The status of every other exception, which is a defect of the server."""


def status_of(error: type[Exception]) -> int:
    """Return the status of an error class; a class without its own line inherits its parent's."""
    for cls in error.__mro__:
        if cls in STATUS:
            return STATUS[cls]
    return DEFECT
