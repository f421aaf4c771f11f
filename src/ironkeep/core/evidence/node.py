"""Names of the things that exposure speaks of: one string each, its kind in front of a colon.

    person:8f0c…   session:kV3x…   secret:<mount uuid>/<path>@<version>   document:…   system:…

A string, so that it can stand in an audit entry and in a proof as it is. A family of secret
versions is written with `@*`.
"""

from enum import StrEnum
from typing import Final, NewType

from ironkeep.core.errors import InvalidRequest

NodeId = NewType("NodeId", str)

MAX_NODE: Final = 4_400
"""Characters of a node's name: a path of the longest kind, a mount and a version fit."""

_ANY_VERSION: Final = "*"


class NodeKind(StrEnum):
    """What kind of thing a node is."""

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
    """A share of a key: some number of them make the key."""
    DOCUMENT = "document"
    """A file, a text, a repository: something that was carried out and may hold secrets."""
    SYSTEM = "system"
    """Something that credentials log in to, and that verifies them."""
    STORE = "store"
    """Data at rest: it verifies nothing, but it can be copied."""
    PIPELINE = "pipeline"
    BACKUP = "backup"
    ALL_OF = "all-of"
    """Stands for several inputs at once; never a row of an answer."""


PRINCIPALS: Final = frozenset({NodeKind.PERSON, NodeKind.SESSION, NodeKind.DEVICE})
"""What can act, and therefore has to be contained."""

CREDENTIALS: Final = frozenset({NodeKind.SECRET, NodeKind.PART})
"""What has to be revoked and proved dead once it is exposed."""


def node(kind: NodeKind, name: str) -> NodeId:
    """Return the node of that kind and name; raise InvalidRequest for a name nobody could read."""
    text = f"{kind}:{name}"
    if not name or len(text) > MAX_NODE or not text.isprintable():
        raise InvalidRequest(f"a {kind} needs a printable name of at most {MAX_NODE} characters")
    return NodeId(text)


def parse_node(text: str) -> NodeId:
    """Return text as a node; raise InvalidRequest when it is none."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in _KINDS:
        raise InvalidRequest(f"not a node: {text[:80]!r}; write kind:name")
    return node(_KINDS[kind], name)


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
    """Return what stands for every version of a secret, where a link holds for them all."""
    return node(NodeKind.SECRET, f"{mount}/{path}@{_ANY_VERSION}")


def family_of(of: NodeId) -> NodeId | None:
    """Return the family that a secret version belongs to; None for what is no version."""
    base, at, version = of.rpartition("@")
    if not of.startswith("secret:") or not at or not (version.isascii() and version.isdigit()):
        return None
    return NodeId(f"{base}@{_ANY_VERSION}")


def is_family(of: NodeId) -> bool:
    """Return whether a node stands for every version of a secret."""
    return of.startswith("secret:") and of.endswith(f"@{_ANY_VERSION}")


_KINDS: Final = {str(kind): kind for kind in NodeKind}
