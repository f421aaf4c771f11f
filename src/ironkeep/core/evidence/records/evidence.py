"""The whole input of a verdict: entries of the journal, and verified facts about their log."""

import msgspec

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.core.evidence.records.record import Count, Instant


class LogFacts(msgspec.Struct, frozen=True):
    """Verified facts about a log that entries come from.

    All entries of the leaves [start, size) that matter to the verdict are known, under the
    checkpoint; `withheld` of them are not shown. `late` leaves are proven only by an index that was
    made long after them, `unproven` terms not at all: only a pack of an earlier release
    lacks any. `cosigners` are the witnesses of the checkpoint. They prove that it
    existed at cosigned_ns, which is 0 without a quorum.
    """

    origin: str
    size: Count
    start: Count
    withheld: Count
    cosigners: tuple[str, ...]
    cosigned_ns: Instant
    late: Count = 0
    unproven: Count = 0


class Evidence(msgspec.Struct, frozen=True):
    """The whole input of a verdict: the logs of the vault, and entries by their index, in order.

    A vault has one log today. Several nodes will have one each; an entry's `node` and `at` then
    order the entries of different logs.
    """

    case: str
    as_of_ns: Instant
    logs: tuple[LogFacts, ...]
    entries: tuple[tuple[int, Entry], ...]

    @property
    def log(self) -> LogFacts:
        """The one log; raises IntegrityError unless there is just one."""
        if len(self.logs) != 1:
            raise IntegrityError(f"evidence from {len(self.logs)} logs: this program reads one")
        return self.logs[0]
