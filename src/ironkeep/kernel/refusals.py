"""Refusals of unauthenticated requests: journalled individually if few, counted if many.

Without a limit, anyone who reaches the port could fill the disk with entries; without entries an
attack would go unseen. So each second a bounded number is journalled individually, and the rest in
one entry with their number, the number of their addresses, and the busiest addresses.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from ironkeep.core.event import Entry
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.cidr import address_of

WHOLE_A_SECOND: Final = 50
"""Individual entries a second: at most 4 million a day, some 1.5 GB."""
NAMED: Final = 8
"""Addresses named in a counting entry, the busiest first."""
MAX_ADDRESSES: Final = 10_000
"""Addresses counted separately between two flushes; further ones are counted together."""


class Refusals:
    """Counts the refusals that are not journalled individually."""

    def __init__(self) -> None:
        self._second = 0
        self._whole = 0
        self._counted: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()

    def admit(self, entry: Entry) -> bool:
        """Return whether to journal entry individually; otherwise count it."""
        second = entry.time_ns // SECOND_NS
        if second != self._second:
            self._second, self._whole = second, 0
        if self._whole < WHOLE_A_SECOND:
            self._whole += 1
            return True
        remote = address_of(entry.remote)
        if remote in self._counted or len(self._counted) < MAX_ADDRESSES:
            self._counted[remote] += 1
        else:
            self._counted["others"] += 1
        self._codes[entry.outcome] += 1
        return False

    def flush(self, now_ns: int) -> Iterator[Entry]:
        """Yield the entry for the refusals counted since the last flush, if there are any."""
        if not self._counted:
            return
        counted, self._counted = self._counted, Counter()
        codes, self._codes = self._codes, Counter()
        yield Entry(
            kind="refused",
            time_ns=now_ns,
            outcome="refused",
            audited={
                "count": counted.total(),
                "addresses": len(counted),
                "busiest": [f"{remote} {count}" for remote, count in counted.most_common(NAMED)],
                "outcomes": [f"{code} {count}" for code, count in codes.most_common()],
            },
        )
