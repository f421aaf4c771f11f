"""Subjects of a containment that stand for many sessions: roles, segments and windows of time.

role:auth/approle/backup      a role of an auth method: the mount's path, and the role's name
segment:NAME                  a segment
window:FROM/UNTIL             every session that acted in [FROM, UNTIL]: RFC 3339 or ago
"""

from dataclasses import dataclass
from typing import Final, Self

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence.node import NodeId, NodeKind, node
from ironkeep.core.ids import TokenHash
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.text.spelling import folded
from ironkeep.incident.case.workspace import Workspace, instant
from ironkeep.incident.survey.holdings import IN_A_TURN
from ironkeep.kernel.house import House
from ironkeep.plugin.effects.effects import Steps, Turn, pause
from ironkeep.plugin.mount import Mount

GROUPS: Final = (NodeKind.ROLE, NodeKind.SEGMENT, NodeKind.WINDOW)

_ISSUERS: Final = frozenset({"approle", "jwt", "oidc", "cert", "token"})
"""Auth methods with roles. A user of another method is a person, and is contained as one."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role of an auth method's mount."""

    mount: Mount
    name: str

    @classmethod
    def find(cls, workspace: Workspace, text: str) -> Self:
        """Return the role of mount path and name; raise InvalidRequest."""
        mount = workspace.names.table.find(text)
        if mount is None or not mount.path.startswith("auth/"):
            raise InvalidRequest("name a role by its mount's path: role:auth/approle/NAME")
        if mount.type not in _ISSUERS:
            raise InvalidRequest(f"{mount.path} has people, not roles: contain person:NAME")
        name = text.removeprefix(mount.path)
        if not name:
            raise InvalidRequest("name a role after its mount's path: role:auth/approle/NAME")
        # The names of token roles are told apart by case, all others are not.
        return cls(mount, name if mount.type == "token" else folded(name))


@dataclass(frozen=True, slots=True)
class Window:
    """A closed span of time, in POSIX nanoseconds."""

    from_ns: int
    until_ns: int

    @classmethod
    def parse(cls, text: str, now_ns: int) -> Self:
        """Parse FROM/UNTIL; raise InvalidRequest."""
        begin, slash, end = text.partition("/")
        if not slash:
            raise InvalidRequest(
                "write a window as window:FROM/UNTIL, each RFC 3339 or a duration ago"
            )
        window = cls(instant(begin, now_ns), instant(end, now_ns))
        if window.from_ns > window.until_ns:
            raise InvalidRequest("the window ends before it begins")
        return window


def group_of(workspace: Workspace, text: str) -> NodeId | None:
    """Return the node of a role, segment or window; None for another text."""
    kind, colon, name = text.strip().partition(":")
    if not colon or kind not in map(str, GROUPS):
        return None
    match NodeKind(kind):
        case NodeKind.ROLE:
            role = Role.find(workspace, name)
            return node(NodeKind.ROLE, role.mount.path + role.name)
        case NodeKind.SEGMENT:
            segment = workspace.house.segments.find(workspace.call.tx, name)
            return node(NodeKind.SEGMENT, segment.name)
        case _:
            window = Window.parse(name, workspace.call.now_ns)
            # A record of "10m/5m" would mean another span whenever it is read.
            return node(NodeKind.WINDOW, f"{rfc3339(window.from_ns)}/{rfc3339(window.until_ns)}")


def role_tokens(house: House, role: Role, turn: Turn) -> Steps[list[TokenHash]]:
    """Return the stored tokens that a role issued; looks at every token, in turns."""
    store, found = house.tokens.store, list[TokenHash]()
    for number, hash_ in enumerate(store.all(turn.tx), start=1):
        record = store.load(turn.tx, hash_)
        if record is not None and record.mount == role.mount.accessor:
            found += [hash_] if record.role == role.name else []
        if number % IN_A_TURN == 0:
            yield from pause()
    return found
