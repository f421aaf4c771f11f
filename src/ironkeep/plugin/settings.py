"""The part of the server's configuration that handlers may use."""

from dataclasses import dataclass

from ironkeep.plugin.token import DEFAULT_TTL_SECONDS


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The operator's settings; `api_addr` is the address at which clients reach the server.

    The TTLs apply where neither a mount nor a role sets its own.
    """

    cluster_name: str = "ironkeep"
    api_addr: str = ""
    default_ttl_seconds: int = DEFAULT_TTL_SECONDS
    max_ttl_seconds: int = DEFAULT_TTL_SECONDS
    witnesses: tuple[tuple[str, str], ...] = ()
    """The name and verifier key of each witness of the journal."""
    quorum: int = 0
    """The number of cosignatures that a checkpoint needs."""
    segments: frozenset[str] | None = None
    """Names of the segments that this server may open; None means all of them."""
