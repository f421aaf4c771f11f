"""The mount table, which maps paths to engines and auth methods.

One record holds the whole table, so that a change is one row and every derived form is validated by
that row's identity. Every change of a mount is also recorded in store/history.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import msgspec

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.ids import MountAccessor, MountUuid, base62, uuid
from ironkeep.core.ports import Entropy, Row
from ironkeep.core.text.naming import fault_of
from ironkeep.plugin.mount import Mount
from ironkeep.store.barrier import Store
from ironkeep.store.history import History
from ironkeep.store.state import Tx

MAX_MOUNTS: Final = 10_000
"""The table is one record of some 300 bytes a mount; a larger one belongs in namespaces."""
MAX_PATH: Final = 256
MAX_DESCRIPTION: Final = 4_096

TABLE: Final = "table"
"""The one record, in the place of mounts."""
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(tuple[Mount, ...])
_ONE: Final = msgspec.json.Decoder(Mount)

SINGLETONS: Final = frozenset(
    {"sys", "cubbyhole", "identity", "token", "system", "incident", "audit", "device", "segment",
     "approval"}
)  # fmt: skip
"""Types that the server mounts once itself; the API neither makes, moves nor removes them."""


@dataclass(frozen=True, slots=True)
class Table:
    """The mounts by path; a few dictionary look-ups find the longest prefix."""

    by_path: Mapping[str, Mount]
    depth: int

    def find(self, path: str) -> Mount | None:
        """Return the mount with the longest path that path starts with."""
        parts = path.split("/", self.depth)
        for count in range(min(len(parts), self.depth), 0, -1):
            mount = self.by_path.get("/".join(parts[:count]) + "/")
            if mount is not None:
                return mount
        return None


EMPTY: Final = Table({}, 0)


class Stood(NamedTuple):
    """A mount as it was during [from_ns, until_ns); until_ns 0 means that it still is."""

    mount: Mount
    from_ns: int
    until_ns: int


class Mounts:
    """Reads and changes the mount table."""

    def __init__(self, history: History) -> None:
        self._history: Final = history
        self._derived: tuple[Row | None, Table] = (None, EMPTY)

    def table(self, store: Store) -> Table:
        """Return the table in force."""
        row = store.row(TABLE)
        if row is None:
            return EMPTY
        if self._derived[0] is not row:
            body = store.get(TABLE)
            mounts = _DECODER.decode(body or b"[]")
            by_path = {mount.path: mount for mount in mounts}
            depth = max((mount.path.count("/") for mount in mounts), default=0)
            self._derived = (row, Table(by_path, depth))
        return self._derived[1]

    def add(self, tx: Tx, store: Store, mount: Mount, now_ns: int) -> None:
        """Add a mount; raise InvalidRequest when its path is taken, nested or malformed."""
        table = self.table(store)
        check_path(mount.path)
        for path in table.by_path:
            if path.startswith(mount.path) or mount.path.startswith(path):
                raise InvalidRequest(f"path is already in use at {path}")
        if len(table.by_path) >= MAX_MOUNTS:
            raise InvalidRequest(f"there are {MAX_MOUNTS} mounts already")
        if len(mount.description) > MAX_DESCRIPTION:
            raise InvalidRequest(f"a description holds at most {MAX_DESCRIPTION} characters")
        self._save(store, {**table.by_path, mount.path: mount})
        self._record(tx, mount, now_ns)

    def change(self, tx: Tx, store: Store, mount: Mount, now_ns: int) -> None:
        """Replace the mount at mount.path by one with other tuning or another description."""
        self._save(store, {**self.table(store).by_path, mount.path: mount})
        self._record(tx, mount, now_ns)

    def move(self, tx: Tx, store: Store, source: str, target: str, now_ns: int) -> Mount:
        """Give the mount at source another path; it keeps its uuid, and so its records."""
        table = self.table(store)
        mount = table.by_path.get(source)
        if mount is None:
            raise InvalidRequest(f"no matching mount at {source!r}")
        rest = {path: item for path, item in table.by_path.items() if path != source}
        check_path(target)
        for path in rest:
            if path.startswith(target) or target.startswith(path):
                raise InvalidRequest(f"path is already in use at {path}")
        moved = replace(mount, path=target)
        self._save(store, {**rest, target: moved})
        self._record(tx, moved, now_ns)
        return moved

    def remove(self, tx: Tx, store: Store, path: str, now_ns: int) -> Mount:
        """Remove the mount at path from the table; the caller destroys its records."""
        table = self.table(store)
        mount = table.by_path.get(path)
        if mount is None:
            raise NotFound(f"no mount at {path}")
        self._save(store, {p: item for p, item in table.by_path.items() if p != path})
        self._history.record(tx, "mount", mount.uuid, b"", now_ns)
        return mount

    def stood(self, tx: Tx, uuid: str, since_ns: int) -> list[Stood]:
        """Return the paths and options that a mount had since since_ns, the oldest first.

        A mount that was removed has its past too. Changes of nothing else are left out.
        """
        found: list[Stood] = []
        for each in self._history.intervals(tx, "mount", uuid):
            until_ns = each.end_ns or 0
            if until_ns and until_ns <= since_ns:
                continue
            mount = _ONE.decode(each.value)
            last = found[-1] if found else None
            if last is not None and last.until_ns == each.start_ns and _is_same(last.mount, mount):
                found[-1] = Stood(mount, last.from_ns, until_ns)
            else:
                found.append(Stood(mount, each.start_ns, until_ns))
        return found

    def each_uuid(self, tx: Tx) -> Iterator[MountUuid]:
        """Yield the uuid of every mount that ever existed; work in turns can suspend it."""
        return map(MountUuid, self._history.each_name(tx, "mount"))

    def _save(self, store: Store, mounts: Mapping[str, Mount]) -> None:
        store.put(TABLE, _ENCODER.encode(tuple(mounts[path] for path in sorted(mounts))))

    def _record(self, tx: Tx, mount: Mount, now_ns: int) -> None:
        self._history.record(tx, "mount", mount.uuid, _ENCODER.encode(mount), now_ns)


def _is_same(one: Mount, other: Mount) -> bool:
    """Return whether requests find the same under two states of a mount."""
    return (one.path, one.options.get("version")) == (other.path, other.options.get("version"))


def new_mount(path: str, kind: str, entropy: Entropy, **rest: Any) -> Mount:
    """Return a mount with fresh ids; path must end in a slash."""
    return Mount(
        path=path,
        type=kind,
        uuid=MountUuid(uuid(entropy.token(16))),
        accessor=MountAccessor(f"{kind}_{base62(entropy.token(16), 8).lower()}"),
        **rest,
    )


def check_path(path: str) -> None:
    """Raise InvalidRequest unless path is valid for a mount: printable, and addressable again."""
    core = path.removesuffix("/")
    if not core or len(path) > MAX_PATH or not path.isprintable():
        raise InvalidRequest(f"a mount path has 1 to {MAX_PATH} printable characters")
    if any(part in {"", ".", ".."} or "*" in part or "+" in part for part in core.split("/")):
        raise InvalidRequest("a mount path has no empty, '.', '..', '*' or '+' segment")
    fault = fault_of(core)
    if fault is not None:
        raise InvalidRequest(f"this name cannot be made: {fault}")
    if core.endswith("/tune"):
        raise InvalidRequest("a mount path does not end in /tune: settings are read there")
