"""Nodes of the exposure graph: each is one string, its kind and its name joined by a colon.

    person:8f0c…   session:kV3x…   secret:<mount uuid>/<path>@<version>   document:…   system:…

Nodes are strings so that audit entries and packs can carry them unchanged. `@*` in place of a
version names the family of all versions of a secret.
"""

from enum import StrEnum
from typing import Final, NewType

from ironkeep.core.errors import InvalidRequest

NodeId = NewType("NodeId", str)

MAX_NODE: Final = 4_400
"""Characters of a node: enough for the longest path with its mount and version."""

_ANY_VERSION: Final = "*"
_FAMILY: Final = f"@{_ANY_VERSION}"


class NodeKind(StrEnum):
    """The kinds of nodes."""

    PERSON = "person"
    """An entity: a human or a machine that logs in."""
    DEVICE = "device"
    SESSION = "session"
    """A token, by its accessor."""
    GROUP = "group"
    ROLE = "role"
    SECRET = "secret"  # noqa: S105 - a kind, not a value
    """One version of one secret."""
    PART = "part"
    """A share of a key: enough shares together give the key."""
    DOCUMENT = "document"
    """A file, a text or a repository that was exfiltrated and may contain secrets."""
    SYSTEM = "system"
    """A system that verifies credentials and lets their holders log in."""
    STORE = "store"
    """Data at rest: it verifies nothing, but it can be copied."""
    PIPELINE = "pipeline"
    BACKUP = "backup"
    SEGMENT = "segment"
    WINDOW = "window"
    """Everything that was active in a span of time; like a segment, only ever contained."""
    ALL_OF = "all-of"
    """Stands for several inputs that are needed together; never a row of an exposure."""


PRINCIPALS: Final = frozenset({NodeKind.PERSON, NodeKind.SESSION, NodeKind.DEVICE})
"""The kinds that can act, and therefore must be contained."""

CREDENTIALS: Final = frozenset({NodeKind.SECRET, NodeKind.PART})
"""The kinds that must be revoked and proved dead once exposed."""


def node(kind: NodeKind, name: str) -> NodeId:
    """Return the node of that kind and name; raise InvalidRequest for an unprintable name."""
    return _checked(kind, name, f"{kind}:{name}")


def _checked(kind: str, name: str, text: str) -> NodeId:
    if not name or len(text) > MAX_NODE or not text.isprintable():
        raise InvalidRequest(f"a {kind} needs a printable name of at most {MAX_NODE} characters")
    return NodeId(text)


def parse_node(text: str) -> NodeId:
    """Return text as a node; raise InvalidRequest if it is not one."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in _KINDS:
        raise InvalidRequest(f"not a node: {text[:80]!r}; write kind:name")
    return _checked(kind, name, text)


def kind_of(of: NodeId) -> NodeKind:
    """Return a node's kind."""
    return _KINDS[of.partition(":")[0]]


def name_of(of: NodeId) -> str:
    """Return a node's name without its kind."""
    return of.partition(":")[2]


def secret_version(mount: str, path: str, version: int) -> NodeId:
    """Return the node of one version of the secret at path of a mount (its uuid)."""
    return node(NodeKind.SECRET, f"{mount}/{path}@{version}")


def secret_family(mount: str, path: str) -> NodeId:
    """Return the node for all versions of a secret, for links that apply to each of them."""
    return node(NodeKind.SECRET, f"{mount}/{path}@{_ANY_VERSION}")


def family_of(of: NodeId) -> NodeId | None:
    """Return the family of a secret version; None if the node is not a secret version."""
    base, at, version = of.rpartition("@")
    if not of.startswith("secret:") or not at or not (version.isascii() and version.isdigit()):
        return None
    return NodeId(f"{base}@{_ANY_VERSION}")


def is_family(of: NodeId) -> bool:
    """Return whether a node stands for all versions of a secret."""
    return of.endswith(_FAMILY) and of.startswith("secret:")


def version_of(secret: NodeId) -> int:
    """Return the number in the node of a secret version; 0 for another node, or a family."""
    return int(secret.rpartition("@")[2]) if family_of(secret) else 0


def place_of(secret: NodeId) -> tuple[str, str]:
    """Return the mount (its uuid) and the path of a secret version or family."""
    mount, _, path = name_of(secret).rpartition("@")[0].partition("/")
    return mount, path


_KINDS: Final = {str(kind): kind for kind in NodeKind}
