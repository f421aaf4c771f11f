"""One call of a handler: the request, its transaction, the time, and what the handler may use."""

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
    """All that a handler may touch: its own mount's records, and services by their type.

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
    services: Services
    records: Store | None = None

    @property
    def op(self) -> Operation:
        """The operation asked for."""
        return self.request.op

    @property
    def store(self) -> Store:
        """This mount's records, in this request's transaction; raises Sealed without keys."""
        if self.records is None:
            self.records = self.services.mount_store(self.tx, self.mount)
        return self.records

    @property
    def lasting(self) -> Store:
        """This mount's records in the outer transaction: what is written outlives a refusal."""
        return self.services.mount_store(self.account, self.mount)

    @property
    def raw(self) -> dict[str, Any]:
        """The request's data as it came."""
        return self.request.data

    def store_of(self, mount: Mount) -> Store:
        """Return another mount's records; raise Sealed without keys, its segment's among them."""
        return self.services.mount_store(self.tx, mount)

    def use(self, kind: type[T]) -> T:
        """Return the server's service of a kind."""
        return self.services.use(kind)

    def actor(self) -> Session:
        """Return who calls; the route must be one that needs a token."""
        if self.session is None:
            raise RuntimeError("this route has no session")
        return self.session


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
