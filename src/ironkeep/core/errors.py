"""The errors that Ironkeep raises on purpose.

    IronkeepError
    ├── InvalidRequest          the caller sent something malformed, or not allowed in this state
    │   ├── Conflict            check-and-set failed, or the name is taken
    │   ├── InvalidCredentials  a login failed; never says if the name or the secret was wrong
    │   ├── TooLarge            past a named limit on size
    │   └── UnsupportedMedia    a PATCH that is not application/merge-patch+json
    ├── PermissionDenied        unknown token, or no policy grants the operation
    │   ├── DeviceRefused       the token, or its device, may not be used from there
    │   ├── StepUpNeeded        a touch of the caller's authenticator is needed first
    │   └── OverBudget          the caller read as many secrets as it may for now
    ├── NotFound                nothing is at that path, and the caller may know it
    ├── UnsupportedOperation    the path exists, but this operation on it does not
    ├── TooManyRequests         a limit on rate or count; says when to retry
    ├── Uninitialised           the vault holds no keys yet
    ├── Sealed                  the barrier has no key
    ├── Unavailable             the journal or the disk cannot take the request now
    ├── UpstreamFailed          a connector's system refused, did not answer, or is unknown
    └── IntegrityError          stored bytes or a proof do not verify; never retried
        └── RolledBack          the state is older than one already seen

Errors carry a stable `code` (audited, machine-read) and no HTTP status or exit code: api/errors.py
and cli/exits.py own those tables, and a test keeps both total. Messages say what to do next and
never contain a secret value.
"""

from typing import ClassVar


class IronkeepError(Exception):
    """Base class; raised only through a subclass."""

    code: ClassVar[str] = "error"


class InvalidRequest(IronkeepError):
    """The caller sent something malformed, or not allowed in this state."""

    code = "invalid_request"


class Conflict(InvalidRequest):
    """Check-and-set failed, or the name is taken."""

    code = "conflict"


class InvalidCredentials(InvalidRequest):
    """A login failed; the message never says if the name or the secret was wrong."""

    code = "invalid_credentials"


class TooLarge(InvalidRequest):
    """The input is past a named limit on size, depth or count."""

    code = "too_large"


class UnsupportedMedia(InvalidRequest):
    """The body is of a content type that this operation does not take."""

    code = "unsupported_media"


class PermissionDenied(IronkeepError):
    """Unknown token, or no policy grants the operation."""

    code = "permission_denied"


class DeviceRefused(PermissionDenied):
    """The token, or its device, may not be used from where the request came."""

    code = "device_refused"


class StepUpNeeded(PermissionDenied):
    """A touch of the caller's authenticator is needed first; `link` is the page for it."""

    code = "step_up_needed"

    def __init__(self, message: str, link: str = "") -> None:
        super().__init__(message)
        self.link = link


class OverBudget(PermissionDenied):
    """The caller has read as many different secrets as it may for now."""

    code = "over_budget"


class NotFound(IronkeepError):
    """Nothing is at that path, and the caller may know it."""

    code = "not_found"


class UnsupportedOperation(IronkeepError):
    """The path exists, but this operation on it does not.

    `open` means that unauthenticated clients may know the path.
    """

    code = "unsupported_operation"

    open = False


class TooManyRequests(IronkeepError):
    """A limit on rate or count was reached."""

    code = "too_many_requests"


class Uninitialised(IronkeepError):
    """The vault has not been initialised."""

    code = "uninitialised"


class Sealed(IronkeepError):
    """The barrier has no key."""

    code = "sealed"


class Unavailable(IronkeepError):
    """The journal or the disk cannot take the request now; it was not answered."""

    code = "unavailable"


class UpstreamFailed(IronkeepError):
    """A connector's system refused, did not answer, or its answer is unknown."""

    code = "upstream_failed"


class IntegrityError(IronkeepError):
    """Stored bytes or a proof do not verify."""

    code = "integrity"


class RolledBack(IntegrityError):
    """The state is older than one that has already been seen."""

    code = "rolled_back"
