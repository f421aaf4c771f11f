"""What an engine or an auth method is: a literal table of routes over handlers.

The kernel routes, authenticates, decides and journals; a handler only does its own work,
synchronously, against its own mount's storage, with time and randomness as values. It may end in
one of three ways: a `Response`, an error of core.errors, or a `Suspend` when something slow or
outside must happen first.

What is made for every request is a msgspec Struct: it takes a third of the time of a dataclass.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

import msgspec

from ironkeep.core.event import Released, Value
from ironkeep.core.ids import ROOT_NAMESPACE, MountAccessor, MountUuid, NamespaceId, RequestId
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.kernel.barrier import Store
from ironkeep.kernel.names import Place
from ironkeep.kernel.peer import Peer
from ironkeep.kernel.state import Tx
from ironkeep.kernel.token import Session, TokenSpec

CAPTURED: Final = re.compile(r"\{(\w+)(\.\.\.)?\}")
"""A captured name in a pattern."""


class SecretJson(Secret):
    """A secret that is itself a JSON document, placed into the answer as it is."""

    __slots__ = ()


class Unkept(Secret):
    """What is for the caller's eyes alone, and yet releases nothing that is kept here.

    The caller's own token, sent back, or random bytes made for it.
    """

    __slots__ = ()


class Request(msgspec.Struct):
    """One API request as it came in; `path` is what follows /v1/, decoded.

    `grant` is the accessor of the approval that opened it: the pipeline alone sets it.
    """

    op: Operation
    path: str
    data: dict[str, Any] = {}
    token: Secret | None = None
    remote: str = ""
    wrap_ttl_seconds: int | None = None
    namespace: str = ""
    parent: str = ""
    peer: Peer | None = None
    grant: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted engine or auth method. `path` ends in a slash; auth mounts start with `auth/`."""

    path: str
    type: str
    uuid: MountUuid
    accessor: MountAccessor
    namespace: NamespaceId = ROOT_NAMESPACE
    description: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    local: bool = False
    seal_wrap: bool = False
    place: Place = field(init=False, compare=False, repr=False)
    """Where its records are."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", Place(self.namespace, self.uuid))


class Call(msgspec.Struct):
    """All that a handler may touch.

    `tx` holds this request's writes and is dropped when the handler fails; `account` is the outer
    transaction, for what must outlive a refusal (use counts, lockouts). `path` is relative to the
    mount, `params` holds what the route's pattern captured. `raw` is the request's data before
    fields.
    """

    request: Request
    request_id: RequestId
    path: str
    params: Mapping[str, str]
    mount: Mount
    tx: Tx
    account: Tx
    now_ns: int
    entropy: Entropy
    session: Session | None
    house: Any
    records: Store | None = None

    @property
    def op(self) -> Operation:
        """The operation asked for."""
        return self.request.op

    @property
    def store(self) -> Store:
        """This mount's records, in this request's transaction; raises Sealed without keys."""
        if self.records is None:
            self.records = self.house.mount_store(self.tx, self.mount)
        return self.records

    @property
    def raw(self) -> dict[str, Any]:
        """The request's data as it came."""
        return self.request.data

    def actor(self) -> Session:
        """Return who calls; the route must be one that needs a token."""
        if self.session is None:
            raise RuntimeError("this route has no session")
        return self.session


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


@dataclass(frozen=True, slots=True)
class Suspend:
    """A handler's way to wait for slow work (argon2) or an effect (a connector's call).

    `work` runs on a worker thread and touches nothing of the kernel. `resume` runs in a transaction
    of its own with work's result, or with the exception that it raised. With `durable`, work starts
    only when this request's writes and entry are durable: that is how an intent precedes its
    effect. A crash in between leaves the intent, for the tick to reconcile. `hashing` is work that
    takes argon2's memory: no more of it runs at once than the machine has room for.
    """

    work: Callable[[], Any]
    resume: Callable[["Call", Any], "Response | Suspend"]
    durable: bool = False
    hashing: bool = False


Handler = Callable[..., Response | Suspend]
"""(call) or, when the route has an input class, (call, input)."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation on one pattern of a mount.

    `pattern` is relative to the mount: literal segments, `{name}` for one segment, `{name...}` for
    the rest (may be empty, may hold slashes). A LIST arrives with its path ending in "/" or empty,
    and a list pattern is written that way. `input` is a frozen dataclass from which fields are
    parsed with Vault's weak typing (kernel.fields); None hands over no input: read `call.raw`.
    `exists` turns update into create when it answers False. `audited` names the input fields fit to
    record. `secret` says that the answer holds a secret that is kept here: its class and the
    caller's budget are asked first, and no other route of an engine may release one.
    `secret_as` is the pattern of the route whose secret this gives too: rules hold for both.

    `folds` names the captured name whose capitals say nothing, `folder` the one in which slashes at
    the ends do not. That holds for every route of the table with the same beginning, and a handler
    sees the one form alone: see core/spelling.py. A captured name that is an int in `input` has one
    form too. `same_as` is the pattern of another route of the table, with the same names, that does
    the same: what is denied there, or refused for its fields, is so here. `makes` says that what
    the path names may be made by this: see core/naming.py. `ends` says that it ends or destroys
    what the path names, as every DELETE does: an empty name is refused.
    """

    op: Operation
    pattern: str
    handler: Handler
    input: type | None = None
    exists: Callable[[Call], bool] | None = None
    audited: tuple[str, ...] = ()
    releases: bool = False
    secret: bool = False
    secret_as: str = ""
    sudo: bool = False
    login: bool = False
    open: bool = False
    any_token: bool = False
    sealed_ok: bool = False
    quorum: bool = False
    flat: bool = False
    help: str = ""
    folds: str = ""
    folder: str = ""
    same_as: str = ""
    makes: bool = False
    ends: bool = False


@runtime_checkable
class Upgrader(Protocol):
    """A plugin whose mounts change their option `version` while they hold something."""

    def upgrade(self, store: Store, before: Mount, after: Mount, now_ns: int) -> None:
        """Rewrite what a mount holds for its other version; raise InvalidRequest."""
        ...


def filled(pattern: str, params: Mapping[str, str]) -> str:
    """Return the path that a pattern captured params of."""
    return CAPTURED.sub(lambda found: params[found[1]], pattern)


class Plugin(Protocol):
    """A secrets engine or an auth method."""

    @property
    def type(self) -> str:
        """The name under which it is mounted."""
        ...

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes of this mount; the same object for the same kind of mount."""
        ...
