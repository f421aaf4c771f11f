"""Routes: the literal table from operations and patterns to handlers that a plug-in declares.

The kernel routes, authenticates, decides and journals. A handler only does its own work,
synchronously, against its own mount's storage, with time and randomness as values. It ends in one
of three ways: a `Response`, an error of core.errors, or a `Suspend` when something slow or outside
must happen first.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response
from ironkeep.store.barrier import Store

CAPTURED: Final = re.compile(r"\{(\w+)(\.\.\.)?\}")
"""A captured name in a pattern."""


Handler = Callable[..., Response | Suspend]
"""(call) or, when the route has an input class, (call, input)."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation on one pattern of a mount.

    `pattern` is relative to the mount: literal segments, `{name}` for one segment, `{name...}` for
    the rest (may be empty, may hold slashes). A LIST arrives with its path ending in "/" or empty,
    and a list pattern is written that way. `input` is a frozen dataclass from which fields are
    parsed with Vault's weak typing (plugin.fields); None hands over no input: read `call.raw`.
    `exists` turns update into create when it answers False. `audited` names the input fields fit to
    record. `secret` says that the answer holds a secret that is kept here: its class and the
    caller's budget are asked first, and no other route of an engine may release one.
    `secret_as` is the pattern of the route whose secret this gives too: rules hold for both.

    `folds` names the captured name whose capitals say nothing, `folder` the one in which slashes at
    the ends do not. That holds for every route of the table with the same beginning, and a handler
    sees the one form alone: see core/text/spelling.py. A captured name that is an int in `input`
    has one form too. `same_as` is the pattern of another route of the table, with the same names,
    that does the same: what is denied there, or refused for its fields, is so here. `makes` says
    that what the path names may be made by this: see core/text/naming.py. `ends` says that it ends
    or destroys what the path names, as every DELETE does: an empty name is refused.
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


class Plugins(dict[str, Plugin]):
    """All plug-ins of a server, by their types."""
