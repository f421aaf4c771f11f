"""Plans: a cache from an operation and a path to its mount, route and input.

Routing walks the mount table and some patterns. Its result is the same for the same operation and
path as long as the mount table is unchanged. A plan stores the table's number to notice a change: a
reference to the table itself would keep every older table in memory. An input that comes from the
path alone is cached too.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from itertools import islice
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
"""Cached plans, about 600 bytes each; the oldest are dropped when the cache is full."""
DROPPED: Final = 256
"""Plans dropped at once: half of them would hold up the loop."""
MAX_KNOWN_PATH: Final = 256
"""Characters of a path whose plan is cached: any caller can choose paths, and a plan contains its
path some four times."""


@dataclass(slots=True)
class Plan:
    """The plan to serve one operation on one path, in the path's canonical spelling.

    `path` is the whole path, `relative` the part below the mount. `below` lists the segments of
    `relative` that have other spellings, and `spelling` those of `path`; None when there are none.
    `secret` is the name by which rules about secrets refer to the path. `same` is another
    path to the same thing, or "". `readers` read the request's fields as the handler does. `fault`
    is why the name in the path may not be created, or None. `ends_nothing` marks a plan that would
    end or destroy something while its path names nothing. `logs_in` marks a part of a login.
    `given` caches the input of a request without data.
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
        # Requests to an auth method without a token are part of a login: to use a ticket, to touch.
        self.logs_in = self.route.login or (self.route.open and self.path.startswith(_AUTH))
        ends = self.route.ends or self.route.op is Operation.DELETE
        self.ends_nothing = ends and not all(name.replace("/", "").strip() for name in names)

    def input(self, data: Mapping[str, Any]) -> Any:
        """Return the route's input, parsed from path parameters and data; raise InvalidRequest."""
        assert self.route.input is not None
        if data:
            return fields.parse(self.route.input, {**data, **self.params})
        if self.given is None:
            self.given = fields.parse(self.route.input, self.params)
        return self.given


class SecretPaths(Protocol):
    """Finds the secret that a path names."""

    def secret_at(self, tx: Tx, path: str) -> tuple[Mount, str]:
        """Return the mount of a secret, and its name in rules about secrets; raise NotFound."""
        ...


class Plans:
    """The cache of plans."""

    def __init__(self) -> None:
        self._known: Final[dict[tuple[Operation, str], Plan]] = {}

    def get(self, op: Operation, path: str, table: int) -> Plan | None:
        """Return the plan for op on path, if it was made from the same mount table."""
        plan = self._known.get((op, path))
        return plan if plan is not None and plan.table == table else None

    def put(self, op: Operation, path: str, plan: Plan) -> None:
        """Cache a plan, unless its path is longer than `MAX_KNOWN_PATH`."""
        if len(path) > MAX_KNOWN_PATH:
            return
        if len(self._known) >= MAX_PLANS:
            for old in list(islice(self._known, DROPPED)):
                del self._known[old]
        self._known[op, path] = plan
