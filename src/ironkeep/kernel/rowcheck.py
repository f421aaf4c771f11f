"""Names the rows that differ from the journal, after a check of the rows has failed.

The check shows which bucket is wrong, and not always which row. Each commit's entry contains a
short digest of every row that it changed, so replaying all commits gives the digest that each row
must have now. Reading the whole journal takes seconds per million entries, and is done only after a
failure.
"""

from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Row
from ironkeep.seal.reading_key import AuditReader
from ironkeep.seal.segment_record import FIRST_NUMBER
from ironkeep.store.barrier import Barrier
from ironkeep.store.ledger import DIGEST_BYTES, digest_of
from ironkeep.store.names import BARRIER_SPACE

MAX_NAMED: Final = 20
"""Rows named in one error; the rest are counted."""

_GONE: Final = bytes(DIGEST_BYTES)


def last_commit(reader: AuditReader, first: int, last: int | None = None) -> tuple[int, bytes]:
    """Return (number, mark) of the last commit journalled in [first, last); or (0, b"").

    A last of None is the durable end.
    """
    seq, mark = 0, b""
    for _, entry in reader.entries(first, last):
        if entry.kind == "commit":
            seq, mark = int(str(entry.audited["seq"])), bytes.fromhex(str(entry.audited["mark"]))
    return seq, mark


def name_rows(
    reader: AuditReader, rows: Iterable[tuple[bytes, Row]], barrier: Barrier | None
) -> list[str]:
    """Return a phrase for each row that differs from the journal, at most MAX_NAMED and a count."""
    expected, whole = _journalled(reader)
    named: list[str] = []
    for key, row in rows:
        digest = digest_of(key, row)
        name, content = digest[:DIGEST_BYTES], digest[DIGEST_BYTES:]
        known, seq, older = expected.pop(name, (_GONE, 0, frozenset()))
        if content == known or not (seq or whole):
            continue
        if content in older:
            what = f"was put back from an older copy (last written by commit {seq})"
        elif known == _GONE:
            what = "was added or put back after its removal" if seq else "was added"
        else:
            what = f"was changed (last written by commit {seq})"
        named.append(f"row {key.hex()}{_path_of(barrier, key, row)} {what}")
    for name, (known, seq, _) in expected.items():
        if known != _GONE:
            named.append(f"the row with digest {name.hex()}, written by commit {seq}, was removed")
    if len(named) > MAX_NAMED:
        named = [*named[:MAX_NAMED], f"and {len(named) - MAX_NAMED} more"]
    return named


def name_rows_of(
    reader: AuditReader, rows: Callable[[], Iterable[tuple[bytes, Row]]], barrier: Barrier
) -> list[str]:
    """Return what `name_rows` does, about rows that are read only now."""
    return name_rows(reader, rows(), barrier)


def _journalled(
    reader: AuditReader,
) -> tuple[dict[bytes, tuple[bytes, int, frozenset[bytes]]], bool]:
    """Return, by key digest, the row's expected digest, its last commit, and its older digests.

    The flag is True if these are all rows: a log that continues another may record only some.
    """
    expected: dict[bytes, tuple[bytes, int, frozenset[bytes]]] = {}
    whole = True
    size = 2 * DIGEST_BYTES
    for _, entry in reader.entries():
        if entry.kind != "commit":
            continue
        seq, packed = int(str(entry.audited["seq"])), b64decode(str(entry.audited["rows"]))
        whole = whole and bool(packed)
        for at in range(0, len(packed), size):
            name, content = packed[at : at + DIGEST_BYTES], packed[at + DIGEST_BYTES : at + size]
            before = expected.get(name)
            older = before[2] | {before[0]} if before else frozenset[bytes]()
            expected[name] = (content, seq, older)
    return expected, whole


def _path_of(barrier: Barrier | None, key: bytes, row: Row) -> str:
    """Return a row's name in quotes if it can be opened, or the number of its segment.

    Segments are sealed while rows are checked, so the names of their rows cannot be opened.
    """
    if key[0] >= FIRST_NUMBER:
        return f" (of the segment with number {key[0]})"
    if barrier is None or key[:1] != BARRIER_SPACE:
        return ""
    try:
        return f" ({barrier.open_name(key, row)!r})"
    except IntegrityError:
        return " (does not open)"
