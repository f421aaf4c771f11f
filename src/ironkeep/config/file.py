"""Reading a configuration file: Vault's own HCL or JSON keys, and a few of the server's own.

An unknown key is an error: a misspelt `tls_disable` or `witness` must not silently have no effect.
Vault's keys that have no meaning here are accepted by name (`disable_mlock`, `ui`, `log_level`, …),
so that an existing file works unchanged.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ironkeep.config import fields
from ironkeep.config.settings import Config, Listener, Mail, Webhook, Witness
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.policy import hcl

DEFAULT_ADDRESS: Final = "127.0.0.1:8200"
MAX_LISTENERS: Final = 8
MAX_WITNESSES: Final = 16
MAX_SEGMENTS: Final = 200

_WITHOUT_EFFECT: Final = frozenset(
    {"disable_mlock", "ui", "log_level", "log_format", "pid_file", "cluster_addr", "disable_cache",
     "disable_clustering", "disable_performance_standby"}
)  # fmt: skip
_TOP: Final = frozenset(
    {"listener", "storage", "backend", "audit", "witness", "quorum", "seal", "default_lease_ttl",
     "max_lease_ttl", "api_addr", "cluster_name", "segments", "segment",
     "mail", "webhook", "log_file"}
)  # fmt: skip
_LISTENER: Final = frozenset(
    {"address", "cluster_address", "tls_cert_file", "tls_key_file", "tls_disable",
     "tls_client_ca_file", "tls_min_version", "tls_require_and_verify_client_cert",
     "tls_disable_client_certs", "max_request_size"}
)  # fmt: skip
_LISTENER_WITHOUT_EFFECT: Final = frozenset(
    {"cluster_address", "tls_disable_client_certs", "max_request_size"}
)
_TLS_VERSIONS: Final = frozenset({"tls12", "tls13"})


def load(path: Path) -> Config:
    """Return the configuration in path; raise InvalidRequest with the cause and its place."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"cannot read {path}: {error}") from None
    return parse(text)


def parse(text: str) -> Config:
    """Return the configuration in text; raise InvalidRequest with the cause and its place."""
    body = hcl.parse(text)
    for item in body.items:
        if item.key not in _TOP | _WITHOUT_EFFECT:
            raise item.error(f"unknown key {item.key!r}")
    listeners = tuple(_listener(block) for block in body.blocks("listener", 1))
    if not 1 <= len(listeners) <= MAX_LISTENERS:
        raise InvalidRequest(f"give 1 to {MAX_LISTENERS} listener blocks")
    storage = _storage(body)
    audit = _audit(body)
    witnesses = tuple(_witness(block) for block in body.blocks("witness", 1))
    if len(witnesses) > MAX_WITNESSES:
        raise InvalidRequest(f"give at most {MAX_WITNESSES} witness blocks")
    default = fields.seconds(body, "default_lease_ttl")
    longest = fields.seconds(body, "max_lease_ttl")
    if default > longest:
        raise InvalidRequest("default_lease_ttl is larger than max_lease_ttl")
    return Config(
        listeners=listeners,
        path=storage,
        audit_path=Path(audit["path"]) if audit.get("path") else None,
        audit_mirror=Path(audit["mirror"]) if audit.get("mirror") else None,
        audit_name=audit.get("name") or "node-1",
        cluster_name=str(fields.scalar(body, "cluster_name", str) or "ironkeep"),
        api_addr=str(fields.scalar(body, "api_addr", str) or ""),
        default_lease_ttl_seconds=default,
        max_lease_ttl_seconds=longest,
        witnesses=witnesses,
        quorum=_quorum(body, len(witnesses)),
        seal_key_file=_seal(body),
        segments=_segments(body),
        segment_key_files=_segment_key_files(body),
        mails=tuple(_mail(block) for block in body.blocks("mail", 1)),
        webhooks=tuple(_webhook(block) for block in body.blocks("webhook", 1)),
        log_file=_log_file(body),
        ignored=_ignored(body),
    )


def _log_file(body: hcl.Body) -> Path | None:
    given = fields.scalar(body, "log_file", str)
    return Path(str(given)) if given else None


def _ignored(body: hcl.Body) -> tuple[str, ...]:
    """Return the given keys that have no effect here, each once."""
    found = [item.key for item in body.items if item.key in _WITHOUT_EFFECT]
    for block in body.blocks("listener", 1):
        given = block.body().plain()
        found += [f"listener {key}" for key in given if key in _LISTENER_WITHOUT_EFFECT]
    return tuple(dict.fromkeys(found))


def _quorum(body: hcl.Body, witnesses: int) -> int:
    """Return the number of witnesses that must have signed; the default is a majority."""
    given = fields.scalar(body, "quorum", int)
    if given is None:
        return witnesses // 2 + 1 if witnesses else 0
    quorum = int(str(given))
    if not 0 <= quorum <= witnesses:
        raise InvalidRequest("quorum is larger than the number of witness blocks, or negative")
    return quorum


def _listener(block: hcl.Item) -> Listener:
    if block.labels != ("tcp",):
        raise block.error('the only kind of listener is "tcp"')
    given = fields.known(block, _LISTENER)
    host, _, port = fields.text(block, given, "address", DEFAULT_ADDRESS).rpartition(":")
    if not fields.is_number(port) or int(port) >= 1 << 16:
        raise block.error("address is host:port")
    version = fields.text(block, given, "tls_min_version", "tls12")
    if version not in _TLS_VERSIONS:
        raise block.error("tls_min_version is tls12 or tls13")
    disabled = fields.flag(block, given.get("tls_disable", False))
    cert, key = (fields.text(block, given, name) for name in ("tls_cert_file", "tls_key_file"))
    if not disabled and not (cert and key):
        raise block.error("give tls_cert_file and tls_key_file, or tls_disable = true")
    ca = fields.text(block, given, "tls_client_ca_file")
    return Listener(
        host=host.strip("[]") or "127.0.0.1",
        port=int(port),
        cert_file=None if disabled else Path(cert),
        key_file=None if disabled else Path(key),
        client_ca_file=Path(ca) if ca else None,
        require_client_cert=fields.flag(
            block, given.get("tls_require_and_verify_client_cert", False)
        ),
        min_version=version,
    )


def _storage(body: hcl.Body) -> Path | None:
    blocks = [*body.blocks("storage", 1), *body.blocks("backend", 1)]
    if len(blocks) != 1:
        raise InvalidRequest('give one storage block: storage "sqlite" { path = "…" }')
    block = blocks[0]
    if block.labels == ("inmem",):
        fields.known(block, frozenset())
        return None
    if block.labels not in (("sqlite",), ("file",)):
        raise block.error('the kinds of storage are "sqlite" and "inmem"')
    given = fields.known(block, frozenset({"path"}))
    path = fields.text(block, given, "path")
    if not path:
        raise block.error("storage needs a path")
    return Path(path)


def _witness(block: hcl.Item) -> Witness:
    given = fields.known(block, frozenset({"address", "vkey", "ca_file"}))
    address, vkey = (fields.text(block, given, name) for name in ("address", "vkey"))
    if not (address and vkey):
        raise block.error("a witness needs address and vkey")
    ca = fields.text(block, given, "ca_file")
    return Witness(block.labels[0], address, vkey, Path(ca) if ca else None)


def _mail(block: hcl.Item) -> Mail:
    names = frozenset({"address", "from", "to", "tls_disable", "username", "password_file"})
    given = fields.known(block, names)
    host, _, port = fields.text(block, given, "address").rpartition(":")
    if not host or not fields.is_number(port) or int(port) >= 1 << 16:
        raise block.error("address of a mail server is host:port")
    sender, to = fields.text(block, given, "from"), given.get("to")
    if not isinstance(to, list | tuple) or not all(isinstance(each, str) for each in to):
        raise block.error('to is a list of addresses: to = ["security@example.com"]')
    addresses = (sender, *(str(each) for each in to))
    if len(addresses) < 2 or not all("@" in each and each.isprintable() for each in addresses):  # noqa: PLR2004 - from and one to
        raise block.error("mail needs the addresses from and to")
    username, password = (fields.text(block, given, name) for name in ("username", "password_file"))
    plain = fields.flag(block, given.get("tls_disable", False))
    if bool(username) != bool(password) or (plain and password):
        raise block.error("give username and password_file together, and never without TLS")
    return Mail(
        block.labels[0],
        host.strip("[]"),
        int(port),
        sender,
        addresses[1:],
        starttls=not plain,
        username=username,
        password_file=Path(password) if password else None,
    )


def _webhook(block: hcl.Item) -> Webhook:
    given = fields.known(block, frozenset({"url", "secret_file", "ca_file"}))
    url, secret, ca = (
        fields.text(block, given, name) for name in ("url", "secret_file", "ca_file")
    )
    local = url.startswith(("http://127.0.0.1:", "http://[::1]:"))
    if not (url.startswith("https://") or local) or not url.isprintable():
        raise block.error("url of a webhook is https://…, or http:// to this machine")
    if not secret:
        raise block.error("a webhook needs a secret_file")
    return Webhook(block.labels[0], url, Path(secret), Path(ca) if ca else None)


def _seal(body: hcl.Body) -> Path | None:
    blocks = list(body.blocks("seal", 1))
    if not blocks:
        return None
    if len(blocks) != 1 or blocks[0].labels not in (("file",), ("shamir",)):
        raise InvalidRequest('give at most one seal block, "shamir" or "file"')
    path = fields.text(blocks[0], fields.known(blocks[0], frozenset({"path"})), "path")
    if blocks[0].labels == ("shamir",):
        return None
    if not path:
        raise blocks[0].error("the file seal needs a path")
    return Path(path)


def _segments(body: hcl.Body) -> tuple[str, ...] | None:
    """Return the segments that this server may open; None if the key is absent."""
    item = body.get("segments")
    if item is None:
        return None
    names = item.value
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) for each in names):
        raise item.error('segments is a list of names: segments = ["prod"], or [] for none')
    if len(names) > MAX_SEGMENTS:
        raise item.error(f"segments names at most {MAX_SEGMENTS}")
    return tuple(dict.fromkeys(str(each) for each in names))


def _segment_key_files(body: hcl.Body) -> tuple[tuple[str, Path], ...]:
    """Return the key file of each segment that a block names; raise InvalidRequest."""
    served = _segments(body)
    found: dict[str, Path] = {}
    for block in body.blocks("segment", 1):
        name = block.labels[0]
        path = fields.text(block, fields.known(block, frozenset({"key_file"})), "key_file")
        if not path or name in found:
            raise block.error(f"give one segment block for {name!r}, with its key_file")
        if served is not None and name not in served:
            raise block.error(f"segments does not name {name!r}, so its key would not be used")
        found[name] = Path(path)
    return tuple(found.items())


def _audit(body: hcl.Body) -> Mapping[str, str]:
    item = body.get("audit")
    if item is None:
        return {}
    given = fields.known(item, frozenset({"path", "name", "mirror"}))
    return {name: fields.text(item, given, name) for name in given}
