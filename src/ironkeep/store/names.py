"""Blind names: row keys that reveal no path without the name key.

    node of a place   = BLAKE2b-16(name key, segment ‖ namespace ‖ mount uuid)
    node of a child   = BLAKE2b-16(name key, parent node ‖ name)
    row key           = space ‖ parent node ‖ kind ‖ node     kind 0x00 folder, 0x01 record

The space is one byte: 0x01 for the default segment and another value for each further one, so that
the segment of a row can be read without any key (seal/segments.py).

Spec: keyed BLAKE2b, RFC 7693, used as a PRF. The children of one folder share a prefix, so they can
be listed. Therefore a reader of the database learns the shape of the tree, the number of children
of a node, the segment of a row, and the times at which a row changes. Equal names under different
parents have unrelated nodes.

A place is a namespace and a mount's UUID, not the mount's path, so a remount moves no row.
"""

import hashlib
from typing import Final, NamedTuple

from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.ids import MountUuid, NamespaceId
from ironkeep.core.secret import Secret
from ironkeep.store.keyring import SegmentId

BARRIER_SPACE: Final = b"\x01"
FOLDER: Final = b"\x00"
RECORD: Final = b"\x01"
NODE_BYTES: Final = 16
KIND_AT: Final = 1 + NODE_BYTES
"""The offset of the kind in a row key."""

MAX_PATH_BYTES: Final = 4096
"""Bytes of a path in UTF-8: longer than any accepted request line needs; bounds a row's name."""

MAX_DEPTH: Final = 128
"""Segments of a path: each missing folder costs a row, and a walk descends one by one."""

MEMO_CHARS: Final = 16 * 2**20
"""Capacity of the memo: characters of its paths, plus MEMO_ENTRY_CHARS for each entry."""

MEMO_ENTRY_CHARS: Final = 200
"""Approximate cost of an entry beside its path: its key, and its slot in the dictionary."""


class Place(NamedTuple):
    """The root of a tree of record paths: one mount in one namespace."""

    namespace: NamespaceId
    mount: MountUuid


class Folder(NamedTuple):
    """One ancestor of a record."""

    name: str
    row_key: bytes
    children: bytes
    """The prefix of the row keys of everything directly inside."""


class PlaceNames:
    """The blind keys of one place."""

    __slots__ = ("_folders", "_memo", "_names", "_root", "_space", "place")

    def __init__(self, names: "Names", place: Place, root: bytes) -> None:
        self.place: Final = place
        self._names: Final = names
        self._space: Final = names.space
        self._root: Final = root
        self._memo: Final[dict[str, bytes]] = {}
        self._folders: Final[dict[str, Folder]] = {}

    def key_of(self, path: str) -> bytes:
        """Return the row key of the record at path.

        Any text is a path, even with empty segments. Raise TooLarge past the limits on length and
        depth, InvalidRequest on text that UTF-8 cannot encode.
        """
        try:
            return self._memo[path]
        except KeyError:
            return self._learn(path)

    def folders(self, path: str) -> list[Folder]:
        """Return the folders that contain the record at path, the outermost first."""
        _check(path)
        found = []
        while (at := path.rfind("/")) >= 0:
            path = path[:at]
            found.append(self._folder(path))
        found.reverse()
        return found

    def parent(self, path: str) -> Folder | None:
        """Return the innermost folder that contains the record at path, None for the place."""
        _check(path)
        at = path.rfind("/")
        return None if at < 0 else self._folder(path[:at])

    def children(self, prefix: str) -> bytes:
        """Return the prefix of the row keys of everything directly inside the folder at prefix.

        "" is the place itself; "a/" and "a" are the same folder, "a//" is its child without a name.
        """
        if not prefix:
            return self._space + self._root
        path = prefix.removesuffix("/")
        _check(path)
        return self._folder(path).children

    def forget(self) -> None:
        """Empty the memo."""
        self._memo.clear()
        self._folders.clear()

    def _learn(self, path: str) -> bytes:
        _check(path)
        at = path.rfind("/")
        parent = self._root if at < 0 else self._folder(path[:at]).children[1:]
        key = self._space + parent + RECORD + self._names.child(parent, path[at + 1 :])
        self._names.charge(len(path))
        self._memo[path] = key
        return key

    def _folder(self, path: str) -> Folder:
        """Return the folder at path, whose length and depth were checked."""
        try:
            return self._folders[path]
        except KeyError:
            at = path.rfind("/")
            parent = self._root if at < 0 else self._folder(path[:at]).children[1:]
            name = path[at + 1 :]
            node = self._names.child(parent, name)
            found = Folder(name, self._space + parent + FOLDER + node, self._space + node)
            self._names.charge(len(path))
            self._folders[path] = found
            return found


class Names:
    """All blind names of one segment, with one bounded memo of the keys of records and folders.

    The memo has paths in clear, so it exists only as long as the keys are in memory. A full memo is
    emptied, which costs a few microseconds a path; an LRU order would cost time on every hit.
    """

    __slots__ = ("_charged", "_places", "_prf", "_segment", "space")

    def __init__(self, segment: SegmentId, name_key: Secret, space: bytes = BARRIER_SPACE) -> None:
        self.space: Final = space
        self._segment: Final = segment
        self._prf: Final = hashlib.blake2b(
            digest_size=NODE_BYTES, key=name_key.reveal(), person=b"ironkeep-name-v1"
        )
        self._places: Final[dict[Place, PlaceNames]] = {}
        self._charged = 0

    def of(self, place: Place) -> PlaceNames:
        """Return the names of place, the same object each time; there is one for each mount."""
        try:
            return self._places[place]
        except KeyError:
            names = self._places[place] = PlaceNames(self, place, self._root(place))
            return names

    def child(self, parent: bytes, name: str) -> bytes:
        """Return the node of name inside the node parent."""
        prf = self._prf.copy()
        prf.update(b"\x01" + parent + name.encode())
        return prf.digest()

    def charge(self, path_chars: int) -> None:
        """Count one more path in the memo; empty it first if it is full."""
        self._charged += path_chars + MEMO_ENTRY_CHARS
        if self._charged > MEMO_CHARS:
            for names in self._places.values():
                names.forget()
            self._charged = path_chars + MEMO_ENTRY_CHARS

    def _root(self, place: Place) -> bytes:
        prf = self._prf.copy()
        prf.update(b"\x00")
        for part in (self._segment, *place):
            encoded = part.encode()
            prf.update(len(encoded).to_bytes(2, "big") + encoded)
        return prf.digest()


def _check(path: str) -> None:
    """Raise TooLarge past the limits on length and depth, InvalidRequest if it is not Unicode."""
    try:
        size = len(path) if path.isascii() else len(path.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("the path is not valid Unicode text") from None
    if size > MAX_PATH_BYTES:
        raise TooLarge(f"the path is longer than {MAX_PATH_BYTES} bytes")
    if path.count("/") >= MAX_DEPTH:
        raise TooLarge(f"the path has more than {MAX_DEPTH} segments")
