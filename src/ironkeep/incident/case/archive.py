"""The server's own log as evidence: for verdicts made here, and in the form that a pack discloses.

An archive is created on the loop thread and read on a worker, because a window may contain many
entries. Leaves may be read on any thread (journal/wal.py), and each archive has its own reader.
"""

from functools import cached_property
from hashlib import sha256
from typing import Final

from ironkeep.core import event
from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.event import Entry
from ironkeep.core.evidence.leaf import is_entry
from ironkeep.core.evidence.pack import MAX_LEAVES, EarlierLeaf, LogEvidence, WindowLeaf
from ironkeep.core.evidence.records import Evidence, LogFacts
from ironkeep.incident.verifier.disclosed import ShownHead
from ironkeep.journal.log import SignedHead
from ironkeep.kernel.house import House
from ironkeep.seal.reading_key import audit_reader
from ironkeep.store.reserved import JOURNAL
from ironkeep.store.state import Tx
from ironkeep.tlog.policy import Policy

_NEAR: Final = 512
"""So many consecutive leaves contain at least one entry, except at the end of the log."""


def policy_of(house: House) -> Policy:
    """Return the server's own policy: its log, its witnesses and the quorum that must cosign."""
    lines = [f"log {house.journal.key.format()}"]
    names = []
    for number, (name, vkey) in enumerate(house.settings.witnesses, start=1):
        # Spaces separate the words of a policy, and `none` is a keyword in it.
        plain = name.isascii() and name.isalnum() and name != "none" and name not in names
        names.append(name if plain else f"witness-{number}")
        lines.append(f"witness {names[-1]} {vkey}")
    if house.settings.quorum:
        group = sha256("\n".join(names).encode()).hexdigest()[:8]
        lines.append(f"group quorum-{group} {house.settings.quorum} {' '.join(names)}")
        lines.append(f"quorum quorum-{group}")
    else:
        lines.append("quorum none")
    return Policy.parse("".join(f"{line}\n" for line in lines).encode())


class Archive:
    """The log from the earliest start of any case on, plus the records of scope before that."""

    def __init__(self, house: House, tx: Tx, earliest_ns: int) -> None:
        self._log: Final = house.journal.log
        self._reader: Final = audit_reader(self._log, house.store(tx, JOURNAL))
        self._policy: Final = policy_of(house)
        self._size: Final = self._log.size
        self._earliest_ns: Final = earliest_ns
        self._scope: Final = house.scope.indices(tx)

    @cached_property
    def start(self) -> int:
        """The first leaf of the window: its entry is not later than the earliest start; or 0."""
        low, high = 0, self._size
        while high - low > 1:
            middle = (low + high) // 2
            if self._time_at(middle) <= self._earliest_ns:
                low = middle
            else:
                high = middle
        return low

    @property
    def _earlier(self) -> list[int]:
        return [each for each in self._scope if each < self.start]

    def evidence(self, case: str, as_of_ns: int) -> Evidence:
        """Return everything durable as evidence on a case."""
        if self._size - self.start > MAX_LEAVES:
            raise IntegrityError(
                f"there are more than {MAX_LEAVES} entries since the earliest possible compromise: "
                "this release cannot evaluate so many"
            )
        earlier = [(index, self._entry(index)) for index in self._earlier]
        window = list(self._reader.entries(self.start, self._size))
        # Entries written before the first reading key existed may be unreadable for good.
        sealed = sum(map(is_entry, self._log.leaves(self.start, self._size))) - len(window)
        return Evidence(case, as_of_ns, self._facts(sealed), (*earlier, *window))

    def shown(self) -> LogEvidence:
        """Return the log in a pack's form, up to the newest head that a quorum has cosigned.

        Raises NotFound while there is no signed head that reaches the window.
        """
        head = self._head
        if head is None or head.checkpoint.size <= self.start:
            raise NotFound("no signed checkpoint covers the case yet: try again in a few seconds")
        size = head.checkpoint.size
        proof = self._log.range_proof(self.start, size, head.checkpoint)
        opened = {each.index: each for each in self._reader.disclosures(self.start, size)}
        leaves = []
        for index, leaf in enumerate(self._log.leaves(self.start, size), start=self.start):
            shown = opened.get(index)
            if shown is not None:
                leaves.append(WindowLeaf(leaf=leaf, salt=shown.salt, body=shown.body.decode()))
            else:
                leaves.append(WindowLeaf(leaf=leaf))
        return LogEvidence(
            policy=self._policy.text.decode(),
            checkpoint=head.note.serialise().decode(),
            start=self.start,
            left=proof.left,
            leaves=tuple(leaves),
            earlier=tuple(self._shown_earlier(index, head) for index in self._earlier),
        )

    def _facts(self, sealed: int) -> LogFacts:
        shown = self._satisfied(self._head)
        return LogFacts(
            origin=self._log.origin,
            size=self._size,
            start=self.start,
            withheld=sealed,
            cosigners=shown.cosigners if shown else (),
            cosigned_ns=shown.cosigned_ns if shown else 0,
        )

    @cached_property
    def _head(self) -> SignedHead | None:
        """The newest head that a quorum has cosigned; if there is none, the newest signed one."""
        good = (head for head in self._log.recent if self._satisfied(head))
        return next(good, self._log.published)

    @cached_property
    def witnessed(self) -> int:
        """The size of the newest head that a quorum has cosigned; 0 if there is none."""
        head = self._head
        shown = self._satisfied(head)
        return head.checkpoint.size if head is not None and shown and shown.cosigners else 0

    def _satisfied(self, head: SignedHead | None) -> ShownHead | None:
        """Check a head against our policy; return None while its quorum is missing."""
        if head is None:
            return None
        try:
            return ShownHead(head.note.serialise().decode(), self._policy)
        except IntegrityError:
            return None

    def _shown_earlier(self, index: int, head: SignedHead) -> EarlierLeaf:
        opened = self._reader.disclose(index)
        proof = self._log.inclusion_proof(index, head.checkpoint)
        body = opened.body.decode()
        return EarlierLeaf(index, self._log.leaf(index), opened.salt, body, tuple(proof))

    def _entry(self, index: int) -> Entry:
        return event.decode(self._reader.disclose(index).body)

    def _time_at(self, index: int) -> int:
        """Return the time of the first entry at or after index; 0 past the last one."""
        found = next(self._reader.entries(index, min(index + _NEAR, self._size)), None)
        return 0 if found is None else found[1].time_ns
