"""The sample incident in a busy log that has an index, and its pack of version 2.

Machines read the same secret all the time. So the log has several runs; all but the last are
proven by index leaves, and the pack leaves most of their entries out.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec

from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.packing.pack import ShownLog
from ironkeep.incident.evidence import excerpt as excerpts, gathering
from ironkeep.incident.evidence.packer import make_pack
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.journal.entries import Reader
from ironkeep.journal.index.build import at_once
from ironkeep.journal.questions import Context, Job
from ironkeep.testing.memory_log import LogDisk
from ironkeep.tlog.note import KeyType
from tests.support.incident.sample_case import (
    BREACH_AT,
    CASE,
    END_AT,
    Line,
    SampleCase,
    at,
    read_of,
    request,
    sample_case,
)
from tests.support.incident.sample_pack import sample_policy
from tests.support.log.sample_index import advance, index_of
from tests.support.log.sample_journal import READING_SECRET
from tests.support.log.sample_leaves import SampleLeaves, place_of
from tests.support.log.sample_log import SampleLog, sample_cosigner, sample_key

MACHINES: Final = 7
WITNESS: Final = "witness.example"


def busy(count: int, first: int = 10, last: int = 95) -> Sequence[Line]:
    """Return reads by machines, spread over a span of seconds."""
    return [
        request(
            first + number * (last - first) // count, f"busy {number}", f"robot{number % MACHINES}",
            released=read_of(1, path=f"other/{number % 11}"),
        )
        for number in range(count)
    ]  # fmt: skip


class IndexedCase:
    """A case in a log with an index; node 0 stands for a release whose clock could run back."""

    def __init__(
        self,
        case: SampleCase | None = None,
        reads: int = 9_000,
        *,
        is_indexed: bool = True,
        node: int = 0,
    ) -> None:
        made = (case or sample_case()).with_lines(*busy(reads)).entries(place_of)
        self.entries: Final = [msgspec.structs.replace(each, node=node) for each in made]
        self.leaves: Final = SampleLeaves("log.example/audit")
        self.leaves.add(self.entries)
        self.index: Final = index_of(self.leaves, LogDisk())
        if is_indexed:
            advance(self.index, self.leaves)
        self.key: Final = sample_key(f"{self.leaves.origin}/cases")

    def append(self, *entries: Entry) -> None:
        """Append entries behind the index leaves."""
        self.leaves.add(entries)

    @cached_property
    def log(self) -> SampleLog:
        """The log as it is now, with its tree."""
        log = SampleLog(self.leaves.origin)
        log.append(self.leaves.stored)
        return log

    @property
    def trust(self) -> TrustedKeys:
        """The keys that a careful reader pins."""
        packs = (self.key.verifier_key(KeyType.ED25519),)
        return TrustedKeys(packs, sample_policy(self.leaves.origin, [WITNESS]))

    @property
    def positions(self) -> dict[int, Entry]:
        """The entries by their place in the log."""
        return dict(self.leaves.entries)

    def whole(self, end: int = END_AT) -> ev.Evidence:
        """Return the evidence with the whole log as its window."""
        facts = ev.LogFacts(self.leaves.origin, self.leaves.size, 0, 0, (WITNESS,), at(END_AT))
        return ev.Evidence(CASE, at(end), (facts,), tuple(self.leaves.entries))

    def ask(self, job: Job, **about: Any) -> Any:
        """Return the answer of a question about the case."""
        context = Context(
            self.leaves, Reader(self.leaves, READING_SECRET), lambda: self.index,
            lambda: self.log.read, lambda _origin: None,
        )  # fmt: skip
        return at_once(job(context, about or self.about()))

    def about(self, end: int = END_AT) -> Mapping[str, Any]:
        """Return the case, as the journal is asked about it."""
        scope = tuple(
            index
            for index, entry in self.leaves.entries
            if isinstance(ev.record_of(entry), ev.Scope)
        )
        about = gathering.About(CASE, at(end), (at(BREACH_AT),), scope, size=self.leaves.size)
        return msgspec.structs.asdict(about)

    def shown(self) -> ShownLog:
        """Return the log as a pack shows it."""
        note = self.log.signed(cosigners=[sample_cosigner(WITNESS)])
        return msgspec.structs.replace(
            msgspec.msgpack.decode(self.ask(excerpts.excerpt), type=ShownLog),
            policy=sample_policy(self.leaves.origin, [WITNESS]).text.decode(),
            checkpoint=note.serialise().decode(),
        )

    def pack(self, change: Callable[[ShownLog], ShownLog] | None = None) -> bytes:
        """Return the signed pack, with its log changed as the server makes it."""
        shown = self.shown()
        return make_pack(CASE, at(END_AT), change(shown) if change else shown, self.key)
