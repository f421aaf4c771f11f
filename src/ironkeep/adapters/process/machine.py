"""The machine's limits on this process: open files, memory, address space.

They are read once, at the start. The server adapts to them, reports where they are low, and refuses
to start below its minimum. A limit that is reached later costs a connection or a login a 503.

Sources: setrlimit(2); cgroups(7), memory.max of version 2 and memory.limit_in_bytes of version 1,
where each parent's limit holds too; proc(5), status and meminfo; mallopt(3).
"""

import ctypes
import os
import resource
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ironkeep.core.errors import Unavailable

SPARE_FILES: Final = 256
"""Descriptors for everything besides client connections: database, journal, connectors."""
MIN_FILES: Final = 64
"""The database, the journal and a handful of connections need at least this many descriptors."""
WORKING_BYTES: Final = 64 << 20
"""Memory for requests, in addition to the process's at its start and to that of password checks."""
CACHE_PART: Final = 4
"""The row cache may take one part in this many of the memory that is left then."""
MAX_HASHERS: Final = 8
"""Concurrent password checks; each uses several cores and 64 MiB."""

_ARENA_MAX: Final = -8
"""M_ARENA_MAX of mallopt(3): each arena reserves 64 MiB of address space for its threads."""
_UNLIMITED: Final = 1 << 60
"""Version 1 of cgroups shows a value above this when there is no limit."""
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """One limit on memory in bytes, and the bytes left under it."""

    limit: int
    left: int
    name: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """The sizes that the server uses, and notes on those that a limit reduced."""

    connections: int
    hashers: int
    cache_bytes: int | None
    notes: tuple[str, ...]


def fit(connections: int, hash_bytes: int, stack_bytes: int) -> Fitted:
    """Return the sizes that fit; hash_bytes and stack_bytes are those of one password check.

    Raise Unavailable if the limits are too low for the server.
    """
    most, notes = fit_files(connections)
    hashers = min(MAX_HASHERS, max(1, _cores() // 2))
    cache = None
    for room in rooms():
        if "address" in room.name:
            _save_address_space()
        need = hash_bytes + (stack_bytes if "address" in room.name else 0)
        fitting = (room.left - WORKING_BYTES) // need
        if fitting < 1:
            raise Unavailable(
                f"{room.name} is {room.limit // _MIB} MiB, of which {max(0, room.left) // _MIB} "
                "are left: to check one password, the server needs "
                f"{(WORKING_BYTES + need) // _MIB} MiB more than at its start. Raise the limit "
                "(docs/operation.md)"
            )
        if fitting < hashers:
            hashers = fitting
            notes.append(
                f"{room.name} is {room.limit // _MIB} MiB: only {hashers} passwords are checked at "
                "a time"
            )
        left = (room.left - WORKING_BYTES - hashers * need) // CACHE_PART
        cache = left if cache is None else min(cache, left)
    return Fitted(most, hashers, cache, tuple(notes))


def fit_files(connections: int) -> tuple[int, list[str]]:
    """Raise the limit on open files as needed; return how many connections fit, and notes.

    Raise Unavailable below MIN_FILES.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections, []
    if soft < MIN_FILES:
        raise Unavailable(
            f"this process may open {soft} files, but needs at least {MIN_FILES}: raise the limit "
            "(ulimit -n, LimitNOFILE)"
        )
    most = min(connections, soft - min(SPARE_FILES, soft // 2))
    if most == connections:
        return most, []
    note = f"this process may open {soft} files: more than {most} connections get 503"
    return most, [f"{note} (ulimit -n, LimitNOFILE)"]


def rooms() -> Iterator[Room]:
    """Yield each limit on memory that holds for this process."""
    if sys.platform != "linux":
        return
    used = _fields(Path("/proc/self/status"))
    resident = used.get("VmRSS", 0)
    limit = cgroup_limit(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    if limit is not None:
        yield Room(limit, limit - resident, "the memory limit of the control group")
    total = _fields(Path("/proc/meminfo")).get("MemTotal")
    if total:
        yield Room(total, total - resident, "this machine's memory")
    for number, name, known in (
        (resource.RLIMIT_AS, "the limit on address space (ulimit -v)", "VmSize"),
        (resource.RLIMIT_DATA, "the limit on data address space (ulimit -d)", "VmData"),
    ):
        soft, _ = resource.getrlimit(number)
        if soft != resource.RLIM_INFINITY:
            yield Room(soft, soft - used.get(known, 0), name)


def threads(count: int) -> ThreadPoolExecutor:
    """Return a pool whose threads are already started: the machine might refuse them later."""
    pool = ThreadPoolExecutor(count)
    together = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(together.wait)
    together.wait()
    return pool


def free(path: Path) -> int | None:
    """Return the free bytes for this user on the disk of path; None if that is unknown."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def cgroup_limit(membership: Path, root: Path) -> int | None:
    """Return the lowest memory limit of the control groups of a process; None without a limit.

    `membership` is /proc/PID/cgroup. The path in it may not exist inside a container; the files at
    the root are then the container's own.
    """
    found: list[int] = []
    with suppress(OSError, ValueError):
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                found += _limits(root, path, "memory.max")
            elif "memory" in controllers.split(","):
                found += _limits(root / "memory", path, "memory.limit_in_bytes")
    return min(found, default=None)


def _limits(root: Path, path: str, name: str) -> Iterator[int]:
    """Yield the limits in the files called name, from the group at path up to root."""
    group = root / path.lstrip("/")
    for folder in (group, *group.parents):
        if folder != root and root not in folder.parents:
            return
        with suppress(OSError, ValueError):
            limit = int((folder / name).read_text())
            if limit < _UNLIMITED:
                yield limit


def _fields(path: Path) -> dict[str, int]:
    """Return the lines "Name: 123 kB" of a file of proc(5), in bytes."""
    found = {}
    with suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, rest = line.partition(":")
            words = rest.split()
            if len(words) == 2 and words[0].isdigit() and words[1] == "kB":  # noqa: PLR2004
                found[name] = int(words[0]) << 10
    return found


def _save_address_space() -> None:
    """Keep malloc from reserving 64 MiB of address space for every few threads."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def _cores() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
