"""A handler's response, and the secret values that it may contain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ironkeep.core.errors import NotFound
from ironkeep.core.event import Released, Value
from ironkeep.core.secret import Secret
from ironkeep.plugin.token import TokenSpec


class SecretJson(Secret):
    """A secret that is itself a JSON document, placed into the response as it is."""

    __slots__ = ()


class Unkept(Secret):
    """A value that is confidential to the caller, but is not a secret stored in the vault.

    For example the caller's own token, sent back, or random bytes made for the caller.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """The lease fields of an envelope; KV v1 hints a TTL by a duration with an empty id."""

    lease_id: str = ""
    renewable: bool = False
    duration_seconds: int = 0


class Response(msgspec.Struct):
    """A handler's response.

    `data` goes into Vault's envelope and may contain `Secret` values, which only the pipeline
    reveals, and only when the route releases secrets and `released`, `issued` or `auth` names them;
    a `Raw` is JSON that contains none. `body` is bare JSON instead of an envelope. Without either
    the status is 204. `issue` asks the pipeline to issue a token as this response's auth; `issued`
    is the accessor of a token that the response contains elsewhere. `wrapped_accessor` is the
    accessor of a credential other than a token, for the wrap info of a wrapped response. `absent`
    gives status 404 with the envelope, `accepted` 202. `audited` are further facts for the entry,
    beside the route's audited fields.
    `accounted` leaves out the entry: the response continues a reading that an entry began, and is
    counted there (plugin/effects/readings.py). Only the system engine may say so.
    """

    data: Mapping[str, Any] | SecretJson | msgspec.Raw | None = None
    body: Any = None
    raw: tuple[str, bytes] | None = None
    issue: TokenSpec | None = None
    auth: Mapping[str, Any] | None = None
    wrap_info: Mapping[str, Any] | None = None
    lease: LeaseInfo | None = None
    warnings: list[str] = []
    released: Sequence[Released] = ()
    issued: str = ""
    audited: dict[str, Value] = {}
    wrapped_accessor: str = ""
    absent: bool = False
    accepted: bool = False
    accounted: bool = False


def listing(keys: Sequence[str], info: Mapping[str, Any] | None = None) -> Response:
    """Return the answer to a LIST; raise NotFound when it is empty, as Vault answers 404."""
    if not keys:
        raise NotFound("")
    return Response(data={"keys": keys} if info is None else {"keys": keys, "key_info": info})
