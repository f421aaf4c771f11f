"""The folder with the blocks of a log's index.

    0/<first leaf, 20 digits>    blocks of level 0, until 64 of them are merged
    1/<first leaf, 20 digits>    blocks of level 1

A block is written once, whole: a crash leaves it there or not. Whatever is missing or damaged is
built again from the log, and gives the same root.
"""

from collections import OrderedDict
from functools import partial
from typing import Final

from ironkeep.core.logport import LogFiles
from ironkeep.core.ports import Entropy
from ironkeep.index.leaf import LEVELS, IndexLeaf, Run
from ironkeep.index.positions import RUN
from ironkeep.index.records import Record
from ironkeep.journal.index.block import SALT_SIZE, Block, DamagedBlock, encode_block
from ironkeep.journal.index.build import Keys, Steps, at_once, records_of

CACHED_BYTES: Final = 16 << 20
"""Bytes of open blocks' directories kept in memory: those of some 100 million entries."""

_DIGITS: Final = 20
_LARGE: Final = LEVELS[1]


class Blocks:
    """The blocks of one log: which runs have one, and their content."""

    def __init__(self, files: LogFiles, keys: Keys, entropy: Entropy) -> None:
        self._files: Final = files
        self._keys: Final = keys
        self._entropy: Final = entropy
        self._open: Final[OrderedDict[Run, Block]] = OrderedDict()
        self._open_bytes = 0
        self._there: Final = {
            Run(level, first) for level in range(len(LEVELS)) for first in _firsts(files, level)
        }

    def __contains__(self, run: object) -> bool:
        """Return whether a run has a block."""
        return run in self._there

    @property
    def covered(self) -> int:
        """The leaf up to which blocks cover the log without a gap."""
        runs = self.runs()
        return runs[-1].end if runs else 0

    def runs(self) -> list[Run]:
        """Return the fewest runs that cover the log from its first leaf, without a gap."""
        found: list[Run] = []
        at = 0
        while True:
            run = next((run for run in _beginning(at) if run in self._there), None)
            if run is None:
                return found
            found.append(run)
            at = run.end

    def write(self, run: Run, records: list[Record]) -> Steps[IndexLeaf]:
        """Write the block of a run; return its index leaf."""
        check = self._keys.digests(run).key.check
        salt = self._entropy.token(SALT_SIZE)
        data, leaf = yield from encode_block(run, records, check, self._keys.private(run), salt)
        self._files.replace(_name(run), data)
        self._drop(run)
        self._there.add(run)
        return leaf

    def remove(self, run: Run) -> None:
        """Remove the block of a run, if it has one."""
        if run in self._there:
            self._files.remove(_name(run))
            self._drop(run)
            self._there.discard(run)

    def merged(self) -> list[Run]:
        """Return the large runs that have a block, and so have some of their parts."""
        parts = {run.first - run.first % _LARGE for run in self._there if run.level == 0}
        return [run for first in sorted(parts) if (run := Run(1, first)) in self._there]

    def get(self, run: Run) -> Block:
        """Return the block of a run; raise DamagedBlock if it cannot be opened."""
        found = self._open.get(run)
        if found is not None:
            self._open.move_to_end(run)
            return found
        try:
            found = Block(run, self._keys.private(run), partial(self._files.read, _name(run)))
        except FileNotFoundError:
            raise DamagedBlock(f"{run}: the block is missing") from None
        if found.leaf.key_check != self._keys.digests(run).key.check:
            raise DamagedBlock(f"{run}: the block was made with another term key")
        self._open[run] = found
        self._open_bytes += found.size
        while self._open_bytes > CACHED_BYTES and len(self._open) > 1:
            self._open_bytes -= self._open.popitem(last=False)[1].size
        return found

    def records(self, run: Run) -> list[Record]:
        """Return the records of a run: those in its block, or else computed from the log."""
        if run in self._there:
            try:
                return list(self.get(run).records())
            except DamagedBlock:
                pass
        return at_once(records_of(self._keys, run))

    def _drop(self, run: Run) -> None:
        old = self._open.pop(run, None)
        if old is not None:
            self._open_bytes -= old.size


def parts_of(run: Run) -> list[Run]:
    """Return the level-0 runs of a run of level 1."""
    return [Run(0, first) for first in range(run.first, run.end, RUN)]


def _beginning(first: int) -> list[Run]:
    """Return the runs that may begin with leaf first, the largest first."""
    small = Run(0, first)
    return [small] if first % _LARGE else [Run(1, first), small]


def _name(run: Run) -> str:
    return f"{run.level}/{run.first:0{_DIGITS}d}"


def _firsts(files: LogFiles, level: int) -> list[int]:
    """Return the first leaves of the blocks of a level. Other files are ignored."""
    names = [name for name in files.names(str(level)) if name.isascii() and name.isdigit()]
    return [int(name) for name in names if len(name) == _DIGITS and not int(name) % LEVELS[level]]
