"""What every connector to an outside system promises, and the values it speaks in.

A connector holds no state of its own: each call takes the target it works on. Calls block; run
them off the event loop. Every call is bounded in time. A failure is one of three, because a
rotation must know which: Rejected (the system said no, nothing changed), Unreachable (nothing was
sent that could change anything), Ambiguous (the change may or may not have happened: probe to
learn which).

A probe presents a credential and has three answers. UNKNOWN never counts as dead, and a refusal
of an action after a good login is ALIVE: authentication is asked, not authorisation.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from ironkeep.core.credential.inventory import Inventory, InventoryItem
from ironkeep.core.errors import UpstreamFailed
from ironkeep.core.secret import Secret


class Probe(StrEnum):
    """What presenting a credential to a system showed."""

    ALIVE = "alive"
    """The system accepted it, whatever it then refused."""
    DEAD = "dead"
    """The system itself refused it, and would refuse it whatever becomes of the account."""
    UNKNOWN = "unknown"
    """Anything else: no answer, no room, a refusal of our address. Never taken for DEAD."""


class ProbeResult(msgspec.Struct, frozen=True):
    """The outcome of one probe, fit to be kept as evidence.

    `reason` is one sentence without secrets; `code` is the system's own (an SQLSTATE), or empty;
    `endpoint` is the host:port that answered or did not. `blocked`: ALIVE, but the login then
    failed for another reason. `full`: the system had no connection left for it.
    """

    state: Probe
    reason: str
    endpoint: str
    code: str
    took_ms: int
    blocked: bool = False
    full: bool = False


class Tls(StrEnum):
    """How the way to a target is protected."""

    VERIFY_FULL = "verify-full"
    """TLS; the certificate must chain to a trusted CA and name the host."""
    DISABLE = "disable"
    """No TLS: for loopback, or a network that protects itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where a system is and the account by which Ironkeep administers it.

    `ca_file` is a PEM file of the CAs to trust instead of the operating system's; only with TLS.
    `digest_key` is what an inventory digests secrets with, so that a change of one shows; without
    it they are left out.
    """

    host: str
    port: int
    database: str
    admin_username: str
    admin_password: Secret
    tls: Tls = Tls.VERIFY_FULL
    ca_file: str = ""
    digest_key: Secret | None = None

    @property
    def endpoint(self) -> str:
        """Return host:port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ConnectorError(UpstreamFailed):
    """Base of what a connector raises; `upstream_code` is the system's own code, or empty.

    `full`: the system had no connection left. `final`: it would refuse the same again.
    """

    def __init__(
        self, message: str, upstream_code: str = "", *, full: bool = False, final: bool = False
    ) -> None:
        super().__init__(message)
        self.upstream_code = upstream_code
        self.full = full
        self.final = final


class Rejected(ConnectorError):
    """The system answered no; nothing changed."""


class Unreachable(ConnectorError):
    """The system could not be reached or logged in to; nothing was sent that could change it."""


class Ambiguous(ConnectorError):
    """The request may or may not have taken effect; probe before doing anything else."""


class Connector(Protocol):
    """One kind of outside system. Every method raises only ConnectorError or InvalidRequest."""

    @property
    def refusals_per_minute(self) -> int:
        """Return how many refused logins a minute one account there bears without being locked."""
        ...

    def set_password(
        self, target: Target, username: str, new: Secret, current: Secret | None
    ) -> None:
        """Make new the password of username, logged in as username with current, or else as admin.

        Setting the password that is already set succeeds: the call may be repeated after Ambiguous.
        """
        ...

    def probe(self, target: Target, username: str, password: Secret) -> ProbeResult:
        """Present password for username, and on success perform one harmless action.

        Never raises for what the system does. A DEAD answer is a failed login there: keep below
        `refusals_per_minute`, or the account may be locked for its owner too.
        """
        ...

    def lock(self, target: Target, username: str) -> None:
        """Forbid new logins of username; open sessions go on."""
        ...

    def unlock(self, target: Target, username: str) -> None:
        """Allow logins of username again."""
        ...

    def kill_sessions(self, target: Target, username: str) -> int:
        """End every session of username and return how many; raise Ambiguous when some survive.

        The caller first closes the door (lock, or a new password), or they come back.
        """
        ...

    def sessions(self, target: Target, username: str) -> tuple[InventoryItem, ...]:
        """Return what of username is open now: sessions, and whatever outlives them."""
        ...

    def inventory(self, target: Target) -> Inventory:
        """Return everything that can log in, act or come back; sessions are not part of it."""
        ...
