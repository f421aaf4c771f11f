"""Ends many leases: those below a prefix, and those of a token that ended.

    sys/leases : prefix / prefix     -> time: leases issued until then are to be revoked
                 force / prefix      -> the same, without revoking the credentials
                 ended / token hash  -> the leases of a token that ended are to be revoked

A sweep goes through the leases in steps of `STEP`, in due turns or in the turns of a request. It is
over when it went through all of them and found nothing to do: a step whose writes were lost is thus
repeated. The position is in memory only; after a restart a sweep begins anew.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ironkeep.core.ids import TokenHash
from ironkeep.identity.leases import Leases
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.pauses import Pauses
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import LEASES, StoreOf, escape_part, unescape_part
from ironkeep.store.state import Tx

STEP: Final = 4
"""Leases ended in one step; the lease of a token takes its whole row set along, some 0.3 ms."""
SKIPPED: Final = 200
"""Leases passed over in one step because they have ended already, or are newer."""
FOLDERS: Final = ("prefix", "force", "ended")
GRACE_NS: Final = 60_000_000_000
"""Time for a request to end a sweep itself, before the due turns take it over."""


@dataclass(slots=True)
class _Sweep:
    """One sweep: its row, its position, and the leases that this round and all have ended."""

    path: str
    until_ns: int
    ids: Iterator[str]
    ended: int = 0
    total: int = 0


class LeaseSweeps:
    """Sweeps through leases, a step at a time."""

    def __init__(self, stores: StoreOf, begin: Callable[[], Tx], leases: Leases) -> None:
        self._stores: Final = stores
        self._begin: Final = begin
        self._leases: Final = leases
        self._sweeps: Final[dict[str, _Sweep]] = {}

    def forget(self) -> None:
        """Drop the positions, because the vault is being sealed."""
        self._sweeps.clear()

    def due(self, tx: Tx, record: DueRecord, now_ns: int) -> bool:
        """Do one step of a due record of this place; return whether more is left."""
        folder, _, name = record.path.partition("/")
        if folder not in FOLDERS:
            self._leases.revoke(tx, name, now_ns)  # it has no credential: its row is all of it
            return False
        sweep = self._sweeps.get(record.path)
        if sweep is None:
            until_ns = int(record.body) if record.body else now_ns
            sweep = self._sweeps[record.path] = self._start(record.path, until_ns)
        if self._step(tx, sweep, now_ns):
            return True
        del self._sweeps[record.path]
        self._stores(tx, LEASES).delete(record.path)
        return False

    def later(self, tx: Tx, prefix: str, now_ns: int) -> None:
        """End the leases below a prefix; past the first step, leave them to the due turns."""
        sweep = self._start(_path(prefix, force=False), now_ns)
        if self._step(tx, sweep, now_ns):
            self._stores(tx, LEASES).put(sweep.path, b"%d" % now_ns, now_ns)

    def in_turns(self, call: Call, prefix: str, *, force: bool = False) -> Pauses[int]:
        """End the leases below a prefix in the turns of a request; return how many there were.

        Leases that are issued meanwhile stay. Unless one step is enough, the row of the sweep comes
        first: due turns end it if a crash or an ended token ends the request.
        """
        sweep = self._start(_path(prefix, force=force), call.now_ns)
        more = self._step(call.tx, sweep, call.now_ns)
        if more:
            until, due_ns = b"%d" % call.now_ns, call.now_ns + GRACE_NS
            self._stores(call.tx, LEASES).put(sweep.path, until, due_ns)
        while more:
            call = yield
            more = self._step(call.account, sweep, call.now_ns)
            if not more:
                self._stores(call.account, LEASES).delete(sweep.path)
        return sweep.total

    def _step(self, tx: Tx, sweep: _Sweep, now_ns: int) -> bool:
        """End up to `STEP` leases; return False when the sweep is over."""
        force, ended = sweep.path.startswith("force/"), 0
        for _ in range(SKIPPED):
            lease_id = next(sweep.ids, None)
            if lease_id is None:
                if not sweep.ended:
                    return False
                sweep.ids, sweep.ended = self._ids(sweep.path), 0
            elif self._leases.end(tx, lease_id, sweep.until_ns, now_ns, force=force):
                ended += 1
                sweep.ended += 1
                sweep.total += 1
                if ended == STEP:
                    break
        return True

    def _start(self, path: str, until_ns: int) -> _Sweep:
        return _Sweep(path, until_ns, self._ids(path))

    def _ids(self, path: str) -> Iterator[str]:
        """Yield the ids in the order of their rows; the view is of its own, for many turns."""
        folder, _, name = path.partition("/")
        if folder == "ended":
            return self._leases.of_token(self._begin(), TokenHash(name))
        return self._leases.below(self._begin(), unescape_part(name))


def _path(prefix: str, *, force: bool) -> str:
    folder = "force" if force else "prefix"
    return f"{folder}/{escape_part(prefix.removesuffix('/'))}"
