"""A response as bytes: Vault's envelope, and the one place where a secret is revealed.

Source: the Vault HTTP API's response envelope (sdk/logical/translate_response). All keys are
present even when null; clients rely on it.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ironkeep.core.secret import Secret
from ironkeep.kernel.plugin import LeaseInfo, Response, SecretJson

NO_LEASE: Final = LeaseInfo()


class _Revealer:
    """An encoder that counts the secrets it reveals."""

    def __init__(self) -> None:
        self.revealed = 0
        self.encoder: Final = msgspec.json.Encoder(enc_hook=self._hook)

    def _hook(self, value: object) -> object:
        if isinstance(value, SecretJson):
            self.revealed += 1
            return msgspec.Raw(value.reveal())
        if isinstance(value, Secret):
            self.revealed += 1
            return value.reveal().decode("utf-8", "surrogatepass")
        if isinstance(value, Mapping):
            return dict(value)
        raise TypeError(f"{type(value).__name__} does not go into an answer")


_REVEALER: Final = _Revealer()


def encode(document: Any, *, releases: bool) -> bytes:
    """Return document as JSON.

    Raise RuntimeError when it holds a secret and the route does not declare that it releases one:
    the answer is lost then, not the secret.
    """
    _REVEALER.revealed = 0
    raw = _REVEALER.encoder.encode(document)
    if _REVEALER.revealed and not releases:
        raise RuntimeError("a route that releases no secrets answered with one")
    return raw


def envelope(response: Response, request_id: str, mount_type: str) -> dict[str, Any]:
    """Return the envelope around response, secrets still inside as `Secret`."""
    lease = response.lease or NO_LEASE
    return {
        "request_id": request_id,
        "lease_id": lease.lease_id,
        "renewable": lease.renewable,
        "lease_duration": lease.duration_seconds,
        "data": response.data,
        "wrap_info": None,
        "warnings": response.warnings or None,
        "auth": response.auth,
        "mount_type": mount_type,
    }


def wrapped(wrap_info: Mapping[str, Any], warnings: list[str] | None) -> dict[str, Any]:
    """Return the envelope of a wrapped response: only wrap_info is filled."""
    return {
        "request_id": "",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": None,
        "wrap_info": wrap_info,
        "warnings": warnings,
        "auth": None,
        "mount_type": "",
    }
