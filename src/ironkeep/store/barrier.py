"""The barrier: records under blind names, encrypted and bound to their row key.

    row value = envelope( u16 length ‖ name ‖ body )       core/envelope.py
    AAD       = "ironkeep/row/v1" ‖ u8 length ‖ segment ‖ row key ‖ due

`name` is the last segment of the path. In a row with a due time it is namespace ‖ 0 ‖ mount ‖ 0 ‖
path: the expiry tick finds such rows by their time alone and must learn which records they are.

A row that was changed, moved, or given another due time does not open (IntegrityError). An *older*
row restored at its own key does open; the set-hash (store/sethash.py) detects that, and removed
rows. A reader of the database sees sizes, due times and the shape of the tree.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge
from ironkeep.core.ids import MountUuid, NamespaceId
from ironkeep.core.ports import Entropy, Row
from ironkeep.store.ciphers import Ciphers
from ironkeep.store.keyring import Keyring, SegmentId
from ironkeep.store.names import (
    BARRIER_SPACE,
    KIND_AT,
    RECORD,
    Folder,
    Names,
    Place,
    PlaceNames,
)
from ironkeep.store.rows import RowView

MAX_BODY_BYTES: Final = 2**20
"""Bytes of one record, as in Vault's integrated storage; callers split larger values."""

MAX_LISTED: Final = 100_000
"""Names that one request may list: decrypting them takes some 0.8 s in all."""

MAX_DUE_NS: Final = 2**63 - 1
"""The largest due time of a 64-bit column, in the year 2262."""

_PURPOSE: Final = b"ironkeep/row/v1"
_NO_DUE: Final = bytes(9)
_DUE: Final = struct.Struct(">Bq")
_NUL: Final = "\0"


@dataclass(frozen=True, slots=True)
class DueRecord:
    """A record whose due time has passed."""

    place: Place
    path: str
    due_ns: int
    body: bytes = field(repr=False)


class Barrier:
    """The open keys of one segment, which name, encrypt and decrypt its rows.

    Sealing means dropping this object.
    """

    __slots__ = ("_aad", "_ciphers", "_decrypt", "_names", "segment")

    def __init__(self, keyring: Keyring, entropy: Entropy, space: bytes = BARRIER_SPACE) -> None:
        self.segment: Final[SegmentId] = keyring.segment
        self._ciphers: Final = Ciphers(keyring, entropy)
        self._decrypt: Final = self._ciphers.decrypt
        self._names: Final = Names(keyring.segment, keyring.name_key, space)
        self._aad: Final = _PURPOSE + bytes([len(keyring.segment)]) + keyring.segment.encode()

    @property
    def ciphers(self) -> Ciphers:
        """Return the ciphers, for data under the same keys that is not a row."""
        return self._ciphers

    def key_of(self, place: Place, path: str) -> bytes:
        """Return the row key of the record at path in place; errors as PlaceNames.key_of."""
        return self._names.of(place).key_of(path)

    def names_of(self, place: Place) -> PlaceNames:
        """Return the blind names of place."""
        return self._names.of(place)

    def encrypt_row(self, key: bytes, name: str, body: bytes, due_ns: int | None = None) -> Row:
        """Return the row with name and body, which opens only at key.

        Raise TooLarge past MAX_BODY_BYTES, InvalidRequest on a due time outside 64 bits.
        """
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"a record holds at most {MAX_BODY_BYTES} bytes")
        if due_ns is not None and not 0 <= due_ns <= MAX_DUE_NS:
            raise InvalidRequest("the time of expiry is out of range")
        encoded = name.encode()
        plain = b"%b%b%b" % (len(encoded).to_bytes(2, "big"), encoded, body)
        return Row(self._ciphers.encrypt(plain, self._aad_of(key, due_ns)), due_ns)

    def open_row(self, key: bytes, row: Row) -> bytes:
        """Return the body of the row found at key.

        Raise IntegrityError if the row, its due time or its key differs from what was written.
        """
        plain = self._open(key, row)
        return plain[2 + (plain[0] << 8 | plain[1]) :]

    def open_name(self, key: bytes, row: Row) -> str:
        """Return the last segment of the path of the row found at key; errors as `open_row`."""
        plain = self._open(key, row)
        name = plain[2 : 2 + (plain[0] << 8 | plain[1])].decode()
        return name if row.due_ns is None else name.split(_NUL, 2)[2].rpartition("/")[2]

    def records_due(self, view: RowView, keys: Iterable[bytes], before_ns: int) -> list[DueRecord]:
        """Return the records at keys, as found by Storage.due, that are also due in the view.

        The storage may lag behind the view: records renewed or removed since are left out. Raise
        IntegrityError as `open_row`.
        """
        found = []
        for key in keys:
            row = view.get(key)
            if row is not None and row.due_ns is not None and row.due_ns < before_ns:
                found.append(self._open_due(key, row, row.due_ns))
        return found

    def _open_due(self, key: bytes, row: Row, due_ns: int) -> DueRecord:
        plain = self._open(key, row)
        end = 2 + (plain[0] << 8 | plain[1])
        namespace, mount, path = plain[2:end].decode().split(_NUL, 2)
        place = Place(NamespaceId(namespace), MountUuid(mount))
        return DueRecord(place, path, due_ns, plain[end:])

    def _open(self, key: bytes, row: Row) -> bytes:
        due_ns = row.due_ns
        try:
            aad = self._aad + key + _NO_DUE if due_ns is None else self._aad_of(key, due_ns)
            return self._decrypt(row.value, aad)
        except IntegrityError as error:
            raise IntegrityError(
                f"row {key.hex()} was changed or moved outside Ironkeep ({error}): "
                "seal, keep a copy of the data for evidence, and restore from a snapshot"
            ) from None

    def _aad_of(self, key: bytes, due_ns: int | None) -> bytes:
        return self._aad + key + (_NO_DUE if due_ns is None else _DUE.pack(1, due_ns))


class Store:
    """The records of one place, read and written through a view.

    A folder exists while it contains a record. Listings are in the order of code points.
    """

    __slots__ = ("_barrier", "_names", "_view")

    def __init__(self, barrier: Barrier, place: Place, view: RowView) -> None:
        self._barrier: Final = barrier
        self._names: Final = barrier.names_of(place)
        self._view: Final = view

    def key_of(self, path: str) -> bytes:
        """Return the row key of path; errors as PlaceNames.key_of, here and in all methods."""
        return self._names.key_of(path)

    def get(self, path: str) -> bytes | None:
        """Return the body of the record at path, or None; IntegrityError as Barrier.open_row."""
        key = self._names.key_of(path)
        row = self._view.get(key)
        return None if row is None else self._barrier.open_row(key, row)

    def row(self, path: str) -> Row | None:
        """Return the row at path as stored; cache values derived from it by the row's identity."""
        return self._view.get(self._names.key_of(path))

    def row_at(self, key: bytes) -> Row | None:
        """Return the row at a key that `key_of` gave."""
        return self._view.get(key)

    def open_row(self, key: bytes, row: Row) -> bytes:
        """Return the body of a row that `row` gave; errors as Barrier.open_row."""
        return self._barrier.open_row(key, row)

    def put(self, path: str, body: bytes, due_ns: int | None = None, *, fresh: bool = False) -> Row:
        """Write body at path; with due_ns, the expiry tick finds the record after that instant.

        Return the row. With `fresh` the caller knows that no record is stored at path, and storage
        is not asked for one.
        """
        key = self._names.key_of(path)
        if fresh:
            self._view.absent(key)
        name = path.rpartition("/")[2]
        if due_ns is not None:
            name = _NUL.join((*self._names.place, path))
        row = self._barrier.encrypt_row(key, name, body, due_ns)
        if self._view.get(key) is None:
            self._make_folders(path)
        self._view.put(key, row)
        return row

    def delete(self, path: str) -> None:
        """Remove the record at path, if there is one, and the folders that this leaves empty."""
        self.delete_all((path,))

    def delete_all(self, paths: Iterable[str], *, folders_stay: bool = False) -> None:
        """Remove many records as `delete` does, checking each of their folders only once.

        With `folders_stay` the caller knows of another record in each of their folders, and none is
        checked.
        """
        left: dict[bytes, tuple[int, Folder, bytes]] = {}
        for path in paths:
            key = self._names.key_of(path)
            if self._view.get(key) is not None:
                self._view.delete(key)
                above = b""
                for depth, folder in enumerate(() if folders_stay else self._names.folders(path)):
                    left[folder.row_key] = depth, folder, above
                    above = folder.row_key
        # Innermost first: a folder of empty folders counts as empty, one above a full one as full.
        full: set[bytes] = set()
        for _, folder, above in sorted(left.values(), key=_depth, reverse=True):
            if folder.row_key in full or not self._is_empty(folder.children):
                full.add(above)
            else:
                self._view.delete(folder.row_key)

    def clear(self, prefix: str, limit: int) -> int:
        """Remove at most limit rows inside the folder prefix; return how many were removed.

        Fewer than limit means that the folder is empty now. Rows are removed by key without
        decryption, so a step costs the same however many are left.
        """
        keys = list(islice(self._rows(self._names.children(prefix)), limit))
        for key in keys:
            self._view.delete(key)
        if prefix and len(keys) < limit:
            for folder in reversed(self._names.folders(f"{prefix.removesuffix('/')}/")):
                if not self._is_empty(folder.children):
                    break
                self._view.delete(folder.row_key)
        return len(keys)

    def _rows(self, children: bytes) -> Iterator[bytes]:
        """Yield the keys of all rows below, the content of a folder before the folder."""
        for key, _ in self._view.scan(children):
            if key[KIND_AT : KIND_AT + 1] != RECORD:
                yield from self._rows(key[:1] + key[KIND_AT + 1 :])
            yield key

    def _is_empty(self, children: bytes) -> bool:
        return next(iter(self._view.scan(children)), None) is None

    def names(self, prefix: str) -> list[str]:
        """Return the names that `list` returns; raise TooLarge past MAX_LISTED."""
        names = self.list(prefix, MAX_LISTED + 1)
        if len(names) > MAX_LISTED:
            raise TooLarge(f"the folder has more than {MAX_LISTED} names: divide it into folders")
        return names

    def names_inside(self, prefix: str) -> Iterator[str]:
        """Yield the names that `list` returns, in no order; work in turns can suspend it."""
        for key, row in self._view.scan(self._names.children(prefix)):
            name = self._barrier.open_name(key, row)
            yield name if key[KIND_AT : KIND_AT + 1] == RECORD else name + "/"

    def walk(self, prefix: str = "") -> Iterator[str]:
        """Yield the path of every record inside the folder prefix, at any depth, in no order.

        Rows are decrypted one by one. Collect the paths before changing the folder.
        """
        base = prefix.removesuffix("/") + "/" if prefix else ""
        for key, row in self._view.scan(self._names.children(prefix)):
            path = base + self._barrier.open_name(key, row)
            if key[KIND_AT : KIND_AT + 1] == RECORD:
                yield path
            else:
                yield from self.walk(path + "/")

    def _make_folders(self, path: str) -> None:
        # Innermost first: an existing folder has all its ancestors.
        innermost = self._names.parent(path)
        if innermost is None or self._view.get(innermost.row_key) is not None:
            return
        for folder in reversed(self._names.folders(path)):
            if folder is not innermost and self._view.get(folder.row_key) is not None:
                return
            self._view.put(
                folder.row_key, self._barrier.encrypt_row(folder.row_key, folder.name, b"")
            )

    # Keep this method last: in the class body below it, `list` no longer names the type.
    def list(self, prefix: str = "", limit: int | None = None) -> list[str]:
        """Return the names directly inside the folder prefix, sorted; folders end in "/".

        A missing folder has no names. "" is the place itself, "a" and "a/" are the same folder.
        With more than limit names, the result is an arbitrary selection of limit names.
        """
        names = []
        for key, row in islice(self._view.scan(self._names.children(prefix)), limit):
            name = self._barrier.open_name(key, row)
            names.append(name if key[KIND_AT : KIND_AT + 1] == RECORD else name + "/")
        return sorted(names)


def _depth(item: tuple[int, Folder, bytes]) -> int:
    return item[0]
