"""The contract of connectors to other systems, and its values.

A connector is stateless: each call takes its target. Calls block, so run them off the event loop;
every call has a time limit. A rotation must distinguish three failures: Rejected (the system
refused, nothing changed), Unreachable (nothing was sent that could change anything) and Ambiguous
(the change may or may not have happened; a probe finds out).

A probe presents a credential and has three answers. UNKNOWN never counts as dead. A login that
succeeds is ALIVE even if the system then refuses the action: a probe tests authentication, not
authorisation.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from ironkeep.core.credential.inventory import Inventory, InventoryItem
from ironkeep.core.errors import UpstreamFailed
from ironkeep.core.secret import Secret


class Probe(StrEnum):
    """The result of presenting a credential to a system."""

    ALIVE = "alive"
    """The system accepted the credential, even if it then refused an action."""
    DEAD = "dead"
    """The system refused the credential itself, regardless of the state of the account."""
    UNKNOWN = "unknown"
    """Any other result, such as no answer, no room or a refused address. Never treated as DEAD."""


class ProbeResult(msgspec.Struct, frozen=True):
    """The outcome of one probe, suitable as evidence.

    `reason` is one sentence without secrets; `code` is the system's own code (an SQLSTATE), or
    empty; `endpoint` is the host:port that was probed. `blocked` means ALIVE, although the login
    then failed for another reason. `full` means that the system had no connection left,
    `unreached` that nothing listens there.
    """

    state: Probe
    reason: str
    endpoint: str
    code: str
    took_ms: int
    blocked: bool = False
    full: bool = False
    unreached: bool = False

    @property
    def host(self) -> str:
        """Return host:port of the endpoint, without the address of one of several."""
        return self.endpoint.partition(" (")[0]


def endpoint_of(host: str, port: int) -> str:
    """Return host:port, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Logins(msgspec.Struct, frozen=True):
    """Logins of any account that had begun at one moment, and how they stood some seconds later.

    A server may check a password against the verifier that it read when the login began, so a
    login can finish after its password was replaced. `under_way` is how many were neither finished
    nor broken off; -1 if the system cannot list them. `longest_seconds` is the time that a login
    may take there; -1 if that is not known. `pooled` means that a pooler answers at this address,
    whose clients the system itself does not see. `followers` are the
    replicas that follow this host now, `follows` is whether it is one itself: each of them accepts
    logins of its own.
    """

    under_way: int
    longest_seconds: int
    pooled: bool = False
    followers: int = 0
    follows: bool = False


class Tls(StrEnum):
    """The protection of connections to a target."""

    VERIFY_FULL = "verify-full"
    """TLS; the certificate must chain to a trusted CA and name the host."""
    DISABLE = "disable"
    """No TLS: for loopback, or a network that is protected by other means."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """The address of a system, and the account with which Ironkeep administers it.

    `ca_file` is a PEM file of the CAs to trust instead of the operating system's; only with TLS.
    `digest_key` is the key with which an inventory digests secrets, so that their changes show;
    without it, the inventory omits them. `pooler` means that a pooler listens there. `address` is
    the one to connect to, of a host name that has several. With `bind`, a probe is ALIVE only when
    the proof of the password covers the server's certificate, so that no host in between passed the
    login on. `earlier_passwords` are those that the system may still ask for, because it is a
    replica that follows later; they are tried in this order once it refuses `admin_password`.
    """

    host: str
    port: int
    database: str
    admin_username: str
    admin_password: Secret
    tls: Tls = Tls.VERIFY_FULL
    ca_file: str = ""
    digest_key: Secret | None = None
    pooler: bool = False
    address: str = ""
    bind: bool = False
    earlier_passwords: tuple[Secret, ...] = ()

    @property
    def endpoint(self) -> str:
        """Return host:port, with the address in brackets if there is one."""
        endpoint = endpoint_of(self.host, self.port)
        return f"{endpoint} ({self.address})" if self.address else endpoint


class ConnectorError(UpstreamFailed):
    """Base of the errors of connectors; `upstream_code` is the system's own code, or empty.

    `full` means that the system had no connection left, `final` that a retry would fail too.
    """

    def __init__(
        self, message: str, upstream_code: str = "", *, full: bool = False, final: bool = False
    ) -> None:
        super().__init__(message)
        self.upstream_code = upstream_code
        self.full = full
        self.final = final


class Rejected(ConnectorError):
    """The system refused the request; nothing changed."""


class Unreachable(ConnectorError):
    """The system could not be reached or logged in to; nothing was sent that could change it."""


class Ambiguous(ConnectorError):
    """The request may or may not have taken effect; probe before doing anything else."""


class Connector(Protocol):
    """One kind of external system. Every method raises only ConnectorError or InvalidRequest."""

    @property
    def refusals_per_minute(self) -> int:
        """Return the refused logins a minute that an account there tolerates without a lock-out."""
        ...

    def set_password(
        self, target: Target, username: str, new: Secret, current: Secret | None
    ) -> None:
        """Set the password of username to new, logged in with current or, if None, as admin.

        Setting the same password again succeeds, so the call may be repeated after Ambiguous.
        """
        ...

    def probe(self, target: Target, username: str, password: Secret) -> ProbeResult:
        """Present password for username, and on success perform one harmless action.

        Never raises because of the system's behaviour. A DEAD answer is a failed login there: stay
        below `refusals_per_minute`, or the account may be locked for its owner too.
        """
        ...

    def lock(self, target: Target, username: str) -> None:
        """Forbid new logins of username; open sessions continue."""
        ...

    def unlock(self, target: Target, username: str) -> None:
        """Allow logins of username again."""
        ...

    def kill_sessions(self, target: Target, username: str) -> int:
        """End every session of username and return their number; raise Ambiguous if some survive.

        The caller must first prevent new logins, by a lock or a new password.
        """
        ...

    def sessions(self, target: Target, username: str) -> tuple[InventoryItem, ...]:
        """Return the open sessions of username, and objects of theirs that outlive sessions."""
        ...

    def addresses(self, target: Target) -> tuple[Target, ...]:
        """Return target once for each address of its host, or as it is if there is only one."""
        ...

    def cautions(self, target: Target) -> tuple[str, ...]:
        """Return warnings to the person who configures a system, one sentence each."""
        ...

    def logins(self, target: Target) -> Logins:
        """Wait some seconds for the logins that are under way now; return how they stand then.

        The system may end those that take longer. Sessions counted afterwards include the others.
        """
        ...

    def inventory(self, target: Target) -> Inventory:
        """Return everything that can log in, act or regain access, except sessions."""
        ...
