"""One call of a handler: the request, its transactions, the time, and the handler's services."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ironkeep.core.ids import RequestId
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Entropy
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.request import Request
from ironkeep.plugin.response import Response
from ironkeep.plugin.services import Services, T
from ironkeep.plugin.token import Session
from ironkeep.store.barrier import Store
from ironkeep.store.state import Tx


class Call(msgspec.Struct):
    """Everything that a handler may use: its own mount's records, and services by their type.

    `tx` holds this request's writes and is dropped when the handler fails; `account` is the outer
    transaction, for writes that must outlive a refusal (use counts, lockouts). `path` is relative
    to the mount; `params` are the names that the route's pattern captured.
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
    services: Services
    records: Store | None = None

    @property
    def op(self) -> Operation:
        """The requested operation."""
        return self.request.op

    @property
    def store(self) -> Store:
        """This mount's records, in this request's transaction; raise Sealed without keys."""
        if self.records is None:
            self.records = self.services.mount_store(self.tx, self.mount)
        return self.records

    @property
    def lasting(self) -> Store:
        """This mount's records in the outer transaction, whose writes outlive a refusal."""
        return self.services.mount_store(self.account, self.mount)

    @property
    def raw(self) -> dict[str, Any]:
        """The request's data as received, before parsing into fields."""
        return self.request.data

    def store_of(self, mount: Mount) -> Store:
        """Return another mount's records; raise Sealed without the vault's or segment's keys."""
        return self.services.mount_store(self.tx, mount)

    def use(self, kind: type[T]) -> T:
        """Return the server's service of a type."""
        return self.services.use(kind)

    def may_sudo(self) -> bool:
        """Return whether policy grants the caller sudo on the request's path."""
        session = self.actor()
        return session.root or session.acl.decide(self.request.path, self.op, self.raw).sudo

    def actor(self) -> Session:
        """Return the caller's session; only for routes that need a token."""
        if self.session is None:
            raise RuntimeError("this route has no session")
        return self.session


@dataclass(frozen=True, slots=True)
class Suspend:
    """A handler's way to wait for slow work (argon2) or an effect (a connector's call).

    `work` runs on a worker thread and touches no state of the kernel. `resume` runs in a
    transaction of its own with the work's result, or with the exception that it raised. With
    `durable`, the work starts only when this request's writes and entry are durable, so that the
    intent precedes its effect; a crash in between leaves the intent for the tick to reconcile.
    `hashing` marks work that takes argon2's memory: only as much of it runs at once as fits into
    the machine's memory.
    """

    work: Callable[[], Any]
    resume: Callable[["Call", Any], "Response | Suspend"]
    durable: bool = False
    hashing: bool = False
