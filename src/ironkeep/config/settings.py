"""The settings of a server as values, checked and with their defaults."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

DEFAULT_TTL_SECONDS: Final = 768 * 3600


@dataclass(frozen=True, slots=True)
class Listener:
    """One TCP address, with TLS unless that is disabled."""

    host: str
    port: int
    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    require_client_cert: bool = False
    min_version: str = "tls12"

    @property
    def tls(self) -> bool:
        """True if the listener uses TLS."""
        return self.cert_file is not None


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness that cosigns our checkpoints; `vkey` is its signed-note verifier key."""

    name: str
    address: str
    vkey: str
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail server, and the recipients of alerts and of requests that wait for approval."""

    name: str
    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    starttls: bool = True
    username: str = ""
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that receives the same notices, as documents signed with a shared secret."""

    name: str
    url: str
    secret_file: Path
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration of a server. With a `path` of None nothing is stored on disk."""

    listeners: tuple[Listener, ...]
    path: Path | None = None
    audit_path: Path | None = None
    audit_mirror: Path | None = None
    audit_name: str = "node-1"
    cluster_name: str = "ironkeep"
    api_addr: str = ""
    default_lease_ttl_seconds: int = DEFAULT_TTL_SECONDS
    max_lease_ttl_seconds: int = DEFAULT_TTL_SECONDS
    witnesses: tuple[Witness, ...] = ()
    quorum: int = 0
    seal_key_file: Path | None = None
    segments: tuple[str, ...] | None = None
    """The segments whose keys this server may hold; None means all of them."""
    segment_key_files: tuple[tuple[str, Path], ...] = ()
    mails: tuple[Mail, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    log_file: Path | None = None
    """A file that receives operator messages, in addition to standard error."""
    development: bool = False
    """A server for trying things out, whose root token may be well known."""
    ignored: tuple[str, ...] = field(default=())
