"""What a handler answers, and the secret values that an answer may contain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ironkeep.core.event import Released, Value
from ironkeep.core.secret import Secret
from ironkeep.plugin.token import TokenSpec


class SecretJson(Secret):
    """A secret that is itself a JSON document, placed into the answer as it is."""

    __slots__ = ()


class Unkept(Secret):
    """What is for the caller's eyes alone, and yet releases nothing that is kept here.

    The caller's own token, sent back, or random bytes made for it.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """The lease fields of an envelope; id "" with a duration is how KV v1 hints a time to live."""

    lease_id: str = ""
    renewable: bool = False
    duration_seconds: int = 0


class Response(msgspec.Struct):
    """What a handler answers.

    `data` goes into Vault's envelope and may hold `Secret` values, which only the pipeline reveals
    and only when the route releases secrets and `released`, `issued` or `auth` says which. `body`
    is bare JSON instead of an envelope. Neither means 204. `issue` asks the pipeline to issue a
    token as this response's auth; `issued` is the accessor of a token that the answer holds
    otherwise. `wrapped_accessor` is that of a credential in the answer which is no token: a
    wrapping names it. `absent` answers 404 with the envelope. `accepted` answers 202. `audited` are
    further facts for the entry, beside the route's audited fields.
    """

    data: Mapping[str, Any] | SecretJson | None = None
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
