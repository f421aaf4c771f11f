"""Verify an evidence pack without a server or a network, and without trusting its conclusions.

With pinned keys the result is VERIFIED: a pinned key signed the pack, and its verdict follows from
a log that the pinned witnesses cosigned. Without pinned keys it is SELF-CONSISTENT and proves
nothing about the origin: a forger who generates every key anew can produce such a pack.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import msgspec

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.exposure import Exposure
from ironkeep.core.evidence.headline import headline, is_past, later_than
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.dsse import Envelope
from ironkeep.core.evidence.packing.pack import (
    AnyPack,
    LogEvidence,
    Pack,
    ShownLog,
    WindowPack,
    read_statement,
    stated_in,
)
from ironkeep.core.evidence.verdict import Outcome, Verdict, decide_on
from ironkeep.incident.verifier import disclosed as shown, indexed, older
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.tlog.note import KeyType, VerifierKey
from ironkeep.tlog.policy import Policy


class Level(StrEnum):
    """The strength of a verification: against pinned keys, or against the pack's own."""

    VERIFIED = "VERIFIED"
    SELF_CONSISTENT = "SELF-CONSISTENT"


class Report(msgspec.Struct, frozen=True):
    """The result of a verification; verdict and exposure are recomputed, not copied.

    `stated` is the outcome that the pack itself states, which in a pack of an earlier version
    follows from the rules of its time. `disclosed`, `withheld` and `earlier` count entries; `later`
    counts the entries after the time of the verdict, `indexed` the leaves of the window that the
    log's index vouches for. `past` means that the log goes on after the time of the verdict, and
    `headline` says so. `cosigners` are the witnesses by their names in the policy; `signer` is
    the name of the key that signed the pack.
    """

    level: Level
    version: int
    stated: str
    signer: str
    origin: str
    size: int
    cosigners: tuple[str, ...]
    disclosed: int
    withheld: int
    earlier: int
    later: int
    indexed: int
    past: bool
    headline: str
    verdict: Verdict
    exposure: Exposure

    @property
    def proven(self) -> bool:
        """Return whether the eviction is PROVEN under pinned keys: no exceptions, and not past."""
        verified = self.level is Level.VERIFIED and not self.past
        return verified and self.verdict.outcome is Outcome.PROVEN


def verify_pack(raw: bytes, trust: TrustedKeys | None) -> Report:
    """Verify the bytes of a pack; raise an IntegrityError that names the failed step.

    (1) The envelope is well formed, canonically encoded and within limits. (2) A pinned pack key
    signed it; without pinned keys, the key that the envelope names. (3) It contains one statement
    of our type and version. (4) The log's head is signed by a pinned log key and cosigned by a
    quorum of pinned witnesses. (5) Each disclosed entry matches the commitment in its leaf. (6) The
    window is complete: each leaf of it is shown, or the log's index proves that it does not matter.
    (7) Each shown entry is included in the log at its index. (8) Exposure and verdict, recomputed
    from these entries, equal those in the pack. (9) The subject is the entry that opened the case.

    Step (7) comes before step (6), which needs the entries in their places. The conclusions of a
    pack of an earlier version are not compared: `stated` quotes what it says.
    """
    with step("(1) envelope"):
        envelope = dsse.decode(raw)
    with step("(2) pack signature"):
        signer = signer_of(envelope, trust)
    with step("(3) statement"):
        pack, subject = read_statement(envelope)
        stated = stated_in(pack)
    log = pack.log if isinstance(pack, WindowPack) else pack.logs[0]
    with step("(4) checkpoint"):
        policy = trust.policy if trust else Policy.parse(log.policy.encode())
        head = shown.ShownHead(log.checkpoint, policy)
        _check_quorum(policy, log.policy)
    file = _read(pack, log, head)
    evidence = file.evidence
    with step("(8) verdict"):
        verdict, exposure = _recompute(file, pack)
    with step("(9) subject"):
        _check_subject(verdict, log, subject)
    earlier = sum(index < log.start for index, _ in evidence.entries)
    later = later_than(evidence)
    past = is_past(later, pack.as_of_ns, head.cosigned_ns)
    return Report(
        level=Level.VERIFIED if trust else Level.SELF_CONSISTENT,
        version=pack.version,
        stated=stated,
        signer=signer,
        origin=head.checkpoint.origin,
        size=head.checkpoint.size,
        cosigners=head.cosigners,
        disclosed=len(evidence.entries) - earlier,
        withheld=evidence.log.withheld,
        earlier=earlier,
        later=later,
        indexed=head.checkpoint.size - log.start - _whole(log),
        past=past,
        headline=headline(verdict.outcome, verdict.tally, pack.as_of_ns, later, past=past),
        verdict=verdict,
        exposure=exposure,
    )


def _check_quorum(pinned: Policy, own: str) -> None:
    """Raise IntegrityError if pinned keys ask for no witness of a log that has some.

    The log would count as not witnessed, and the pack's verdict would not be the recomputed one.
    """
    if pinned.quorum is None and Policy.parse(own.encode()).quorum is not None:
        raise IntegrityError(
            "the trust file asks for no witness (quorum none), and this log has witnesses: pin "
            "them, and a quorum of them"
        )


def _read(pack: AnyPack, log: LogEvidence | ShownLog, head: shown.ShownHead) -> CaseFile:
    """Return the case file of a pack: each entry checked, in its place, and none missing."""
    if isinstance(log, LogEvidence):
        with step("(5) entries"):
            leaves = older.window_leaves(log)
        with step("(6) completeness"):
            evidence = older.window_evidence(pack.case, pack.as_of_ns, log, head, leaves)
        with step("(8) verdict"):
            return CaseFile(evidence)
    with step("(5) entries"):
        leaves = indexed.leaves_of(log)
    with step("(7) places"):
        indexed.check_places(log, head.checkpoint, leaves)
    with step("(6) completeness"):
        read = indexed.file_of if isinstance(pack, Pack) else older.indexed_file
        return read(pack.case, pack.as_of_ns, log, head, leaves)


def _whole(log: LogEvidence | ShownLog) -> int:
    """Return the number of leaves of the window that are shown, one after another."""
    if isinstance(log, LogEvidence):
        return len(log.leaves)
    return sum(len(each.leaves) for each in log.whole)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Prefix errors with the step of the verification that failed."""
    try:
        yield
    except (IntegrityError, InvalidRequest) as error:
        raise IntegrityError(f"step {name}: {error}") from None


def signer_of(envelope: Envelope, trust: TrustedKeys | None) -> str:
    """Check the signature and return the signer's name; with pinned keys, one of those."""
    if trust:
        keys = trust.packs
    else:
        keys = tuple(VerifierKey.parse(each.keyid) for each in envelope.signatures)
    if any(key.kind is not KeyType.ED25519 for key in keys):
        raise IntegrityError("a pack key must be of type Ed25519 (01)")
    signed = dsse.verify(envelope, {key.format(): key.public for key in keys})
    return VerifierKey.parse(signed[0]).name


def _check_subject(verdict: Verdict, log: LogEvidence | ShownLog, subject: str) -> None:
    if verdict.opening < 0 or shown.opening_digest(log, verdict.opening) != subject:
        raise IntegrityError("the log contains no such case, or another case under that number")


def _recompute(file: CaseFile, pack: AnyPack) -> tuple[Verdict, Exposure]:
    """Compute verdict and exposure from the evidence; raise when a present pack's differ."""
    verdict, exposure = decide_on(file), file.exposure
    if not isinstance(pack, Pack):
        return verdict, exposure
    if verdict != pack.verdict:
        raise IntegrityError(
            f"the evidence gives {verdict.outcome}, not the verdict written in the pack "
            f"({pack.verdict.outcome})"
        )
    if exposure != pack.exposure:
        raise IntegrityError("the evidence gives an exposure other than the one in the pack")
    return verdict, exposure
