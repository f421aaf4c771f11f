"""Initialise and open the vault, with the checks that precede any request.

The accounts of the rows (store/standing/accounts.py) are compared with the journal: number and mark
of the last commit, and the frame in the outbox. No row is read for that. From then on each row is
compared with the accounts when it is read, before anything is served from it.
"""

from contextlib import suppress
from typing import Final

from ironkeep.core.errors import IntegrityError, Unavailable
from ironkeep.core.policy.builtin import DEFAULT_POLICY_NAME, DEFAULT_POLICY_TEXT
from ironkeep.identity.token_issuer import Issued
from ironkeep.kernel import rowcheck
from ironkeep.kernel.adoption import Opening, adopt_log, join_log
from ironkeep.kernel.house import House
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import new_mount
from ironkeep.plugin.token import TokenSpec
from ironkeep.seal.config import PLAIN_SPACE
from ironkeep.seal.reading_key import (
    AuditReader,
    audit_reader,
    new_reading_key,
    reading_keys,
    store_keys,
    stored_origin,
)
from ironkeep.seal.seal import Initialised
from ironkeep.seal.wraps import OpenSeal
from ironkeep.store.barrier import Barrier
from ironkeep.store.reserved import JOURNAL, MOUNTS
from ironkeep.store.standing.accounts import RowsDiffer, is_upgraded
from ironkeep.store.standing.sethash import RowTotals, SetHash, verify_last, verify_not_older
from ironkeep.store.state import Tx

_LAST_ENTRIES: Final = 512
"""Entries looked at for the time of the last one; all leaves between two entries fit in it."""

STANDARD_MOUNTS: Final = (
    ("sys/", "system", "system endpoints used for control, policy and debugging"),
    ("cubbyhole/", "cubbyhole", "per-token private secret storage"),
    ("incident/", "incident", "exposure, eviction and proof"),
    ("device/", "device", "devices enrolled for people"),
    ("approval/", "approval", "requests that wait for approval"),
    ("segment/", "segment", "segments with keys of their own, and the flows between them"),
    ("auth/token/", "token", "token based credentials"),
)
"""The mounts of a new vault; operators mount everything else."""


def initialise(
    house: House, tx: Tx, shares: int, threshold: int, *, with_key_file: bool
) -> tuple[Initialised, Issued]:
    """Make all keys and the first records; return the shares and the root token. Stay sealed.

    The shares exist only in this response. A crash before the commit leaves the vault
    uninitialised.
    """
    now = house.clock.now_ns()
    made = house.seal.initialise(tx, now, shares, threshold, with_key_file=with_key_file)
    try:
        for key in made.keys[:threshold]:
            house.seal.unseal(tx, key.reveal().hex())
        _take_keys(house)
        _first_records(house, tx, now)
        root = house.tokens.issue(
            tx, _mount_at(house, tx, "auth/token/"), ROOT_TOKEN, now, house.entropy
        )
    except BaseException:
        house.seal_up()
        house.resync()
        raise
    house.seal_up()
    return made, root


ROOT_TOKEN: Final = TokenSpec(
    policies=("root",), display_name="root", path="auth/token/root", no_default_policy=True
)


def _mount_at(house: House, tx: Tx, path: str) -> Mount:
    return house.mounts.table(house.store(tx, MOUNTS)).by_path[path]


def _first_records(house: House, tx: Tx, now_ns: int) -> None:
    for path, kind, description in STANDARD_MOUNTS:
        mount = new_mount(path, kind, house.entropy, description=description)
        house.mounts.add(tx, house.store(tx, MOUNTS), mount, now_ns)
    house.policies.put(tx, DEFAULT_POLICY_NAME, DEFAULT_POLICY_TEXT, now_ns)
    house.removed.begin(tx, 0)
    key = new_reading_key(house.entropy)
    first = house.journal.next_index
    earlier = house.reading_key.private
    before = (house.first_index, earlier) if earlier is not None else None
    store_keys(tx, house.store(tx, JOURNAL), house.journal.origin, before, first, key)
    house.journal.set_reading_key(key.public)


def _take_keys(house: House) -> RowTotals:
    """Make the barrier of the opened seal, and open the ledger of rows with its keys."""
    barrier = Barrier(house.seal.opened.keyring, house.entropy)
    totals = house.ledger.open(SetHash(barrier.ciphers.keyring.row_hash_key), barrier.ciphers)
    house.barrier = barrier
    return totals


def _take_old_keys(house: House, tx: Tx) -> RowTotals:
    """Take the keys of a store that an older release wrote: all its rows are read once.

    Raise IntegrityError with the names of the rows that are wrong.
    """
    house.say("an older release wrote this database: checking all rows once")
    try:
        totals = _take_keys(house)
    except RowsDiffer as error:
        house.barrier = Barrier(house.seal.opened.keyring, house.entropy)
        reader = audit_reader(house.journal.log, house.store(tx, JOURNAL))
        named = rowcheck.name_rows(reader, house.storage.everything(), house.barrier)
        raise IntegrityError(f"{error}. {'; '.join(named)}") from None
    house.say("all rows are as the last commit left them")
    return totals


def open_house(house: House, tx: Tx) -> None:
    """Do all turns of `opening` at once; errors as there."""
    steps = opening(house, tx)
    with suppress(StopIteration):
        next(steps)
        while True:
            steps.send(tx)


def opening(house: House, tx: Tx) -> Opening[None]:
    """Check the accounts and serve; raise IntegrityError or RolledBack and stay sealed.

    The seal must have been opened just before. The first opening in a new epoch reads all rows, in
    turns. Between two of them the vault has no keys to serve with: it is still sealed for all other
    requests.
    """
    opened = house.seal.opened
    steps = _opening(house, tx)
    try:
        next(steps)
        while True:
            barrier, house.barrier = house.barrier, None
            tx = yield
            _require_held(house, opened)
            house.barrier = barrier
            steps.send(tx)
    except StopIteration:
        return
    except BaseException:
        if _is_held(house, opened):
            house.seal_up()
        raise


def _is_held(house: House, opened: OpenSeal) -> bool:
    """Return whether the seal still has the keys of this opening, and not those of another."""
    return not house.seal.sealed and house.seal.opened is opened


def _require_held(house: House, opened: OpenSeal) -> None:
    if not _is_held(house, opened):
        raise Unavailable("the vault was sealed while it was being opened: unseal again")


def _opening(house: House, tx: Tx) -> Opening[None]:
    _require_quiet(house)
    old = is_upgraded(house.storage.head())
    totals = _take_old_keys(house, tx) if old else _take_keys(house)
    _check(house, tx, totals)
    tx = yield from adopt_log(house, tx, totals)
    join_log(house, tx)
    for certificate in house.features.devices.trusted(tx):
        house.features.devices.on_trusted(certificate)
    house.segments.on_house_open(tx)
    house.removed.begin(tx, house.clock.now_ns())


def _require_quiet(house: House) -> None:
    """Raise Unavailable while rows are being written, because they could not be checked."""
    if house.state.is_dirty():
        raise Unavailable("a change is being written to the disk: unseal again in a moment")


def _check(house: House, tx: Tx, totals: RowTotals) -> None:
    set_hash = SetHash(house.seal.opened.keyring.row_hash_key)
    # The seal was opened with rows that were read before there was anything to compare them with.
    for key, _ in tx.scan(PLAIN_SPACE):
        tx.get(key)
    reader = house.reading.open(house.journal.log, reading_keys(house.store(tx, JOURNAL)))
    _continue_time(house, reader)
    seq, mark = rowcheck.last_commit(reader, house.ledger.last_commit_first())
    if stored_origin(tx) == house.journal.origin:
        verify_last(totals, seq, mark, set_hash)
        house.ledger.require_own_frame()
    else:
        # A new epoch of the log, which knows no commit unless an older database was put back.
        verify_not_older(totals, seq, mark, set_hash)


def _continue_time(house: House, reader: AuditReader) -> None:
    """Go on after the last entries of a log whose frames do not tell their times."""
    if house.untimed:
        first = max(0, house.first_index - _LAST_ENTRIES)
        times = [entry.time_ns for _, entry in reader.entries(first, house.first_index)]
        house.clock.raise_to(max(times, default=0))
        house.look_at_clock()


def open_with_key_file(house: House, content: bytes) -> None:
    """Open with the content of the key file, if the vault is initialised and still sealed."""
    if not house.seal.initialized or not house.seal.sealed:
        return
    tx = house.state.begin()
    house.seal.unseal_with_file(tx, content)
    open_house(house, tx)
    tx.merge()
