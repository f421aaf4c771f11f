"""Routes: the literal table from operations and patterns to handlers that a plugin declares.

The kernel routes, authenticates, decides and journals. A handler only does its own work,
synchronously, against its own mount's storage, with time and randomness passed in as values. It
ends in one of three ways: it returns a `Response`, raises an error of core.errors, or returns a
`Suspend` when slow work or a call to another system must happen first.
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
    the rest (may be empty, may contain slashes). The path of a LIST ends in "/" or is empty, and so
    does a list pattern. `input` is a frozen dataclass whose fields are parsed with Vault's weak
    typing (plugin/fields.py); with None the handler gets no input and reads `call.raw`. An update
    becomes a create when `exists` returns False. `audited` names the input fields to journal.

    Access: `login` and `open` routes need no token; `any_token` needs a valid token but no policy,
    `sudo` the sudo capability. `sealed_ok` routes also work while sealed.

    Secrets: `releases` lets the response reveal `Secret` values. `secret` marks a response with a
    secret stored in the vault: the secret's class and the caller's budget are checked first, and no
    other route of an engine may release one. `secret_as` is the pattern of another route to the
    same secret: rules on that route apply here too.

    Names: `folds` is the captured name that is case-insensitive, `folder` the one whose empty
    segments have no meaning. Both apply to every route of the table with the same prefix, and
    handlers only see the canonical form (core/text/spelling.py). A captured name that is an int in
    `input` is canonical too. `same_as` is the pattern of an equivalent route of the table with the
    same captured names: whatever policy denies or refuses there is refused here. `makes` marks a
    route that may create the name in the path (core/text/naming.py). `ends` marks a route that ends
    or destroys it, as every DELETE does: an empty name is refused.

    Response: `flat` repeats the data beside the envelope, as some of Vault's sys/ does. `quorum`
    makes the response wait for the witnesses' quorum where that is configured.
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
    """A plugin whose mounts can change their `version` option while they have records."""

    def upgrade(self, store: Store, before: Mount, after: Mount, now_ns: int) -> None:
        """Rewrite a mount's records for the new version; raise InvalidRequest if impossible."""
        ...


def filled(pattern: str, params: Mapping[str, str]) -> str:
    """Return pattern with its captured names replaced by params."""
    return CAPTURED.sub(lambda found: params[found[1]], pattern)


class Plugin(Protocol):
    """A secrets engine or an auth method."""

    @property
    def type(self) -> str:
        """The type name used to mount it."""
        ...

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes of mount, as the same object for all mounts of the same kind."""
        ...


class Plugins(dict[str, Plugin]):
    """All plugins of a server, by their types."""
