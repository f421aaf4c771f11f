"""The log's witnesses: their remembered checkpoints at start-up, their cosignatures afterwards.

Each attempt runs on its own thread, so a witness that is unreachable or slow delays only its own
next attempt. Only the calling thread writes the journal.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import httpx

from ironkeep.adapters.witness.peer import WitnessPeer
from ironkeep.config.settings import Witness
from ironkeep.core.errors import IntegrityError, InvalidRequest, UpstreamFailed
from ironkeep.core.units import SECOND_NS
from ironkeep.journal.journal import Journal
from ironkeep.journal.log import SignedHead
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.cosignature import cosigned_at
from ironkeep.tlog.note import Signature

Say = Callable[[str], None]
_T = TypeVar("_T")

START_SECONDS: Final = 5.0
"""Time for all witnesses together to answer at start-up."""

QUORUM_SECONDS: Final = 2.0
"""Time that a call waits for a quorum; the next call collects later answers."""

GRACE_SECONDS: Final = 0.2
"""Time for the other witnesses after a quorum, so that the checkpoint carries them too."""

MAX_PAUSE_SECONDS: Final = 60.0
"""Longest pause between two attempts at a witness that fails."""

LATE_SECONDS: Final = 30.0
"""An attempt that takes longer is reported."""


@dataclass(slots=True)
class _Attempt:
    """A head that is being submitted to a witness."""

    head: SignedHead
    future: Future[Signature | None]
    started: float
    late: bool = False


class _Record:
    """The state of one witness: its cosigned size, its running attempt and its failures.

    `signed_ns` is the latest time of its signatures.
    """

    def __init__(self, peer: WitnessPeer) -> None:
        self.peer: Final = peer
        self.cosigned = 0
        self.signed_ns = 0
        self.attempt: _Attempt | None = None
        self.failures = 0
        self.retry_at = 0.0

    def take_time(self, signature: Signature) -> None:
        """Remember the time of a verified cosignature."""
        self.signed_ns = max(self.signed_ns, cosigned_at(signature) * SECOND_NS)


class Witnesses:
    """The configured witnesses; `quorum` of them make a checkpoint count."""

    def __init__(self, witnesses: Sequence[Witness], quorum: int) -> None:
        peers = [WitnessPeer(witness) for witness in witnesses]
        keys = {peer.verifier.key.public for peer in peers}
        servers = {httpx.URL(one.address).copy_with(path="/") for one in witnesses}
        if min(len(keys), len(servers)) < len(peers):
            raise InvalidRequest(
                "two witnesses have the same server or key: they would count twice"
            )
        if not 0 <= quorum <= len(peers):
            raise InvalidRequest("quorum is larger than the number of witnesses")
        self._records: Final = [_Record(peer) for peer in peers]
        self._quorum: Final = quorum

    def heads(self, origin: str, say: Say) -> list[Checkpoint]:
        """Return the newest checkpoints of origin that the witnesses cosigned; report silent ones.

        The log must extend each of them; otherwise it was rolled back, replaced or forked.
        """
        return [head.checkpoint for head in self.memory([origin], say)]

    def memory(self, origins: Sequence[str], say: Say) -> list[SignedHead]:
        """Return the newest heads of these logs that the witnesses cosigned; report silent ones.

        The log to be cosigned comes last, because the next proof starts from its size.
        """
        asked = [
            (record.peer.name, _start(partial(_remembered, record.peer, origins)))
            for record in self._records
        ]
        wait([future for _, future in asked], START_SECONDS)
        heads: list[SignedHead] = []
        silent = 0
        for name, future in asked:
            try:
                found = future.result(timeout=0)
                heads += found
                for head in found:
                    self.remember(head)
            except (UpstreamFailed, TimeoutError) as error:
                silent += 1
                say(f"witness {name}: {str(error) or 'no answer'}; starting without its memory")
        if silent > len(asked) - self._quorum:
            say("fewer witnesses than a quorum answered: a rollback would not be detected now")
        return heads

    def remember(self, head: SignedHead | None) -> None:
        """Take the times of the witnesses' signatures under a head, after verifying them."""
        if head is None:
            return
        for record in self._records:
            verifier = record.peer.verifier
            for one in head.note.signatures:
                if (one.name, one.key_id) == (verifier.key.name, verifier.key.key_id):
                    with suppress(IntegrityError):
                        verifier.verify(head.note.text, one.data)
                        record.take_time(one)

    @property
    def time_ns(self) -> int:
        """The latest time that a quorum of the witnesses has signed or passed; 0 without one."""
        if self._quorum == 0:
            return 0
        times = sorted((record.signed_ns for record in self._records), reverse=True)
        return times[self._quorum - 1]

    def cosign(
        self,
        journal: Journal,
        note: bytes | None,  # noqa: ARG002 - the note just signed is the published one
        say: Say,
    ) -> int:
        """Submit the newest checkpoint to the witnesses; return the size cosigned by a quorum.

        With a quorum of 0 that is the published size. Call from one thread, about once a second.
        Raises IntegrityError when a witness proves a fork.
        """
        head = journal.log.published
        if head is None:
            return 0
        self._collect(journal, say)
        began = time.monotonic()
        for record in self._records:
            _begin(record, journal, head, began)
        while True:
            self._collect(journal, say)
            running = [one.attempt.future for one in self._records if one.attempt is not None]
            size = self._quorum_size(head)
            patience = GRACE_SECONDS if size >= head.checkpoint.size else QUORUM_SECONDS
            left = began + patience - time.monotonic()
            if not running or left <= 0:
                return size
            wait(running, left, FIRST_COMPLETED)

    def close(self) -> None:
        """Close the connections; waiting threads end by themselves."""
        for record in self._records:
            record.peer.close()

    def _quorum_size(self, head: SignedHead) -> int:
        """Return the largest size that at least a quorum has cosigned."""
        if self._quorum == 0:
            return head.checkpoint.size
        sizes = sorted((record.cosigned for record in self._records), reverse=True)
        return sizes[self._quorum - 1]

    def _collect(self, journal: Journal, say: Say) -> None:
        """Write the cosignatures of finished attempts to the journal; report late attempts."""
        now = time.monotonic()
        for record in self._records:
            attempt = record.attempt
            if attempt is None:
                continue
            if attempt.future.done():
                record.attempt = None
                _settle(record, attempt, journal, say)
            elif not attempt.late and now - attempt.started > LATE_SECONDS:
                attempt.late = True
                say(f"witness {record.peer.name}: no answer for {LATE_SECONDS:.0f} s")


def _remembered(peer: WitnessPeer, origins: Sequence[str]) -> list[SignedHead]:
    """Return the newest head that one witness has of each of these logs, if any."""
    return [head for head in map(peer.latest, origins) if head is not None]


def _begin(record: _Record, journal: Journal, head: SignedHead, now: float) -> None:
    """Start an attempt, unless one is running, paused after a failure, or not needed."""
    due = record.cosigned < head.checkpoint.size and now >= record.retry_at
    if record.attempt is None and due:
        future = _start(partial(record.peer.cosign, journal.log, head))
        record.attempt = _Attempt(head, future, now)


def _settle(record: _Record, attempt: _Attempt, journal: Journal, say: Say) -> None:
    """Process the outcome of an attempt; raise IntegrityError for a proven fork."""
    try:
        signature = attempt.future.result()
    except UpstreamFailed as error:
        _pause(record, error, say)
        return
    except IntegrityError as error:
        say(str(error))
        raise
    if signature is not None:
        journal.add_cosignatures(attempt.head.checkpoint, [signature])
        record.take_time(signature)
        record.cosigned = max(record.cosigned, attempt.head.checkpoint.size)
    if record.failures:
        say(f"witness {record.peer.name}: answers again")
    record.failures = 0


def _pause(record: _Record, error: UpstreamFailed, say: Say) -> None:
    """Pause before the next attempt at a failing witness, twice as long each time."""
    record.failures += 1
    pause = min(2.0 ** min(record.failures, 10), MAX_PAUSE_SECONDS)
    record.retry_at = time.monotonic() + pause
    say(f"witness {record.peer.name}: {error}; next attempt in {pause:.0f} s")


def _start(function: Callable[[], _T]) -> Future[_T]:
    """Run function on a daemon thread, which does not keep the process alive."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again by Future.result
            future.set_exception(error)

    threading.Thread(target=run, name="witness", daemon=True).start()
    return future
