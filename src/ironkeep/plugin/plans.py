"""From an operation and a path to what answers it, remembered: the mount, the route, the input.

Routing walks the mount table and some patterns; the answer is the same for the same operation and
path as long as the mount table is the same, which a number says: a plan that held the table itself
would keep every older one in memory. An input that comes from the path alone is remembered too.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from ironkeep.core.operation import Operation
from ironkeep.core.policy.parameters import NO_READERS, Readers
from ironkeep.core.text.naming import fault_of
from ironkeep.core.text.spelling import Spelling, tidied
from ironkeep.plugin import fields
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route, filled
from ironkeep.store.state import Tx

_AUTH: Final = "auth/"
MAX_PLANS: Final = 65_536
"""Plans remembered, about 600 bytes each; the older half goes when full."""
MAX_KNOWN_PATH: Final = 256
"""Characters of a path whose plan is remembered: strangers choose paths, each held some four times.
"""


@dataclass(slots=True)
class Plan:
    """What answers one operation on one path, which stands here in its one form.

    `path` is whole, `relative` is what is below the mount. `below` says which segments of that have
    other spellings, and `spelling` which of the whole; None that there are none. `secret` is how
    rules about secrets call what the path names. `same` is another path to the same thing, "" when
    there is none. `readers` is how the handler reads the request's fields. `fault` is why what the
    path names may not be made, `ends_nothing` that this would end or destroy something, and nothing
    is named. `logs_in` says that it is a part of a login. `given` is the input when there is no
    data.
    """

    table: int
    mount: Mount
    path: str
    relative: str
    route: Route
    params: Mapping[str, str]
    below: Spelling | None = None
    spelling: Spelling | None = field(init=False)
    secret: str = field(init=False)
    same: str = field(init=False)
    readers: Readers = field(init=False)
    fault: str | None = field(init=False)
    ends_nothing: bool = field(init=False)
    logs_in: bool = field(init=False)
    given: Any = None

    def __post_init__(self) -> None:
        self.spelling = None if self.below is None else self.below.below(self.mount.path)
        as_ = self.route.secret_as
        name = filled(as_, self.params) if as_ else self.params.get("path", self.relative)
        self.secret = tidied(name)
        same = self.route.same_as
        self.same = self.mount.path + filled(same, self.params) if same else ""
        given = self.route.input
        self.readers = NO_READERS if given is None else fields.readers_of(cast("Hashable", given))
        names = self.params.values()
        faults = (fault_of(name) for name in names) if self.route.makes else ()
        self.fault = next((fault for fault in faults if fault), None)
        # What an auth method takes without a token is a part of some login: a ticket, a touch.
        self.logs_in = self.route.login or (self.route.open and self.path.startswith(_AUTH))
        ends = self.route.ends or self.route.op is Operation.DELETE
        self.ends_nothing = ends and not all(name.replace("/", "").strip() for name in names)

    def input(self, data: Mapping[str, Any]) -> Any:
        """Return the route's input made of the path's parameters and data; raise InvalidRequest."""
        assert self.route.input is not None
        if data:
            return fields.parse(self.route.input, {**data, **self.params})
        if self.given is None:
            self.given = fields.parse(self.route.input, self.params)
        return self.given


class SecretPaths(Protocol):
    """Finds the secret that a path names."""

    def secret_at(self, tx: Tx, path: str) -> tuple[Mount, str]:
        """Return the mount of a secret, and how rules about secrets call it; raise NotFound."""
        ...


class Plans:
    """The remembered plans."""

    def __init__(self) -> None:
        self._known: Final[dict[tuple[Operation, str], Plan]] = {}

    def get(self, op: Operation, path: str, table: int) -> Plan | None:
        """Return the plan for op on path, if it was made of the same mount table."""
        plan = self._known.get((op, path))
        return plan if plan is not None and plan.table == table else None

    def put(self, op: Operation, path: str, plan: Plan) -> None:
        """Remember a plan, unless its path is uncommonly long."""
        if len(path) > MAX_KNOWN_PATH:
            return
        if len(self._known) >= MAX_PLANS:
            for old in list(self._known)[: MAX_PLANS // 2]:
                del self._known[old]
        self._known[op, path] = plan
