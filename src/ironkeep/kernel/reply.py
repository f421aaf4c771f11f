"""Encodes responses in Vault's envelope; the only place where secrets are revealed.

Source: the Vault HTTP API's response envelope (sdk/logical/translate_response). All keys are
present even when null, because clients rely on it.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ironkeep.core.secret import Secret
from ironkeep.core.text.number_hook import encoded
from ironkeep.core.text.numbers import Spelt
from ironkeep.plugin.response import LeaseInfo, Response, SecretJson, Unkept

NO_LEASE: Final = LeaseInfo()


class _Revealer:
    """An encoder that counts the secrets it reveals."""

    def __init__(self) -> None:
        self.revealed = 0
        self.encoder: Final = msgspec.json.Encoder(enc_hook=self._hook, decimal_format="number")

    def _hook(self, value: object) -> object:
        if isinstance(value, Unkept):
            return value.reveal().decode("utf-8", "surrogatepass")
        if isinstance(value, SecretJson):
            self.revealed += 1
            return msgspec.Raw(value.reveal())
        if isinstance(value, Secret):
            self.revealed += 1
            return value.reveal().decode("utf-8", "surrogatepass")
        if isinstance(value, Spelt):
            return encoded(value)
        if isinstance(value, Mapping):
            return dict(value)
        raise TypeError(f"a response cannot contain a {type(value).__name__}")


_REVEALER: Final = _Revealer()


def encode(document: Any, *, releases: bool) -> bytes:
    """Return document as JSON.

    Raise RuntimeError when it contains a secret and releases is False: the response is lost then,
    and not the secret.
    """
    _REVEALER.revealed = 0
    raw = _REVEALER.encoder.encode(document)
    if _REVEALER.revealed and not releases:
        raise RuntimeError("the response has a secret that its route or its entry does not declare")
    return raw


class Envelope(msgspec.Struct):
    """Vault's response envelope, with its keys in Vault's order; secrets are not yet revealed."""

    request_id: str = ""
    lease_id: str = ""
    renewable: bool = False
    lease_duration: int = 0
    data: Any = None
    wrap_info: Mapping[str, Any] | None = None
    warnings: list[str] | None = None
    auth: Mapping[str, Any] | None = None
    mount_type: str = ""


def envelope(response: Response, request_id: str, mount_type: str) -> Envelope:
    """Return the envelope around response."""
    lease = response.lease or NO_LEASE
    return Envelope(
        request_id,
        lease.lease_id,
        lease.renewable,
        lease.duration_seconds,
        response.data,
        None,
        response.warnings or None,
        response.auth,
        mount_type,
    )


def flattened(envelope: Envelope) -> dict[str, Any]:
    """Return an envelope with its data repeated at the top level, as some of Vault's sys/ does."""
    beside = envelope.data if isinstance(envelope.data, Mapping) else {}
    return {**beside, **msgspec.structs.asdict(envelope)}


def wrapped(wrap_info: Mapping[str, Any], warnings: list[str] | None) -> Envelope:
    """Return the envelope of a wrapped response: only wrap_info is filled."""
    return Envelope(wrap_info=wrap_info, warnings=warnings)
