"""Verify an evidence pack: no server, no network, no belief in what it concludes.

With pinned keys the answer is VERIFIED: the pack is of whom it says, and its verdict follows from a
log that the witnesses vouch for. Without them it is SELF-CONSISTENT and nothing more: whoever makes
all keys anew can make such a pack.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import msgspec

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.evidence import dsse
from ironkeep.core.evidence.dsse import Envelope
from ironkeep.core.evidence.exposure import Exposure
from ironkeep.core.evidence.pack import LogEvidence, Pack, read_statement
from ironkeep.core.evidence.records import Evidence
from ironkeep.core.evidence.verdict import Outcome, Verdict, decide
from ironkeep.incident.verifier import disclosed as shown
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.tlog.note import KeyType, VerifierKey
from ironkeep.tlog.policy import Policy


class Level(StrEnum):
    """How far a pack was checked."""

    VERIFIED = "VERIFIED"
    SELF_CONSISTENT = "SELF-CONSISTENT"


class Report(msgspec.Struct, frozen=True):
    """What verification found; verdict and exposure are recomputed, not copied.

    `disclosed`, `withheld` and `earlier` count entries; `later` are those after the verdict's time.
    `cosigners` are the witnesses, by the policy's names; `signer` is the name of the pack's key.
    """

    level: Level
    signer: str
    origin: str
    size: int
    cosigners: tuple[str, ...]
    disclosed: int
    withheld: int
    earlier: int
    later: int
    verdict: Verdict
    exposure: Exposure

    @property
    def proven(self) -> bool:
        """Return whether an eviction is proved, to somebody who pinned the keys."""
        return self.level is Level.VERIFIED and self.verdict.outcome is Outcome.PROVEN


def verify_pack(raw: bytes, trust: TrustedKeys | None) -> Report:
    """Verify the bytes of a pack; raise IntegrityError that names the step which failed.

    (1) The envelope is well formed, in its one spelling, within limits. (2) A pinned pack key
    signed it; without pinned keys, the key that it names. (3) It holds one statement of our type
    and version. (4) The log's head is signed by a pinned log key and cosigned by a quorum of pinned
    witnesses. (5) Each entry shown is what its leaf commits to. (6) The leaves are all of the log
    from the window's start to the head: none was left out. (7) Each earlier entry is in the log, at
    its place. (8) Exposure and verdict, computed from these entries, are those of the pack. (9) The
    subject is the entry that opened the case.
    """
    with _step("(1) envelope"):
        envelope = dsse.decode(raw)
    with _step("(2) pack signature"):
        signer = _signer(envelope, trust)
    with _step("(3) statement"):
        pack, subject = read_statement(envelope)
    log = pack.log
    with _step("(4) checkpoint"):
        policy = trust.policy if trust else Policy.parse(log.policy.encode())
        head = shown.ShownHead(log.checkpoint, policy)
    with _step("(5) entries"):
        window = list(shown.window_entries(log))
    with _step("(6) completeness"):
        shown.check_window(log, head.checkpoint, [digest for _, _, digest in window])
    with _step("(7) earlier entries"):
        earlier = list(shown.earlier_entries(log, head.checkpoint))
    entries = (*earlier, *shown.seen(window))
    evidence = shown.assemble(pack.case, pack.as_of_ns, log, head, entries)
    with _step("(8) verdict"):
        verdict, exposure = _recompute(evidence, pack)
    with _step("(9) subject"):
        _check_subject(verdict, log, subject)
    return Report(
        level=Level.VERIFIED if trust else Level.SELF_CONSISTENT,
        signer=signer,
        origin=head.checkpoint.origin,
        size=head.checkpoint.size,
        cosigners=head.cosigners,
        disclosed=len(entries) - len(earlier),
        withheld=evidence.log.withheld,
        earlier=len(earlier),
        later=sum(1 for _, entry in entries if entry.time_ns > pack.as_of_ns),
        verdict=verdict,
        exposure=exposure,
    )


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Say in which step verification failed."""
    try:
        yield
    except (IntegrityError, InvalidRequest) as error:
        raise IntegrityError(f"step {name}: {error}") from None


def _signer(envelope: Envelope, trust: TrustedKeys | None) -> str:
    """Return the name of the key that signed, one of those pinned if any are."""
    if trust:
        keys = trust.packs
    else:
        keys = tuple(VerifierKey.parse(each.keyid) for each in envelope.signatures)
    if any(key.kind is not KeyType.ED25519 for key in keys):
        raise IntegrityError("a pack key is of type Ed25519 (01)")
    signed = dsse.verify(envelope, {key.format(): key.public for key in keys})
    return VerifierKey.parse(signed[0]).name


def _check_subject(verdict: Verdict, log: LogEvidence, subject: str) -> None:
    if verdict.opening < 0 or shown.opening_digest(log, verdict.opening) != subject:
        raise IntegrityError("the log holds another case, or none, under that name")


def _recompute(evidence: Evidence, pack: Pack) -> tuple[Verdict, Exposure]:
    """Return verdict and exposure as they follow from the evidence; they must be the pack's."""
    verdict, exposure = decide(evidence)
    if verdict != pack.verdict:
        raise IntegrityError(
            f"the evidence gives {verdict.outcome}, and not the verdict written in the pack "
            f"({pack.verdict.outcome})"
        )
    if exposure != pack.exposure:
        raise IntegrityError("the evidence gives another exposure than that written in the pack")
    return verdict, exposure
