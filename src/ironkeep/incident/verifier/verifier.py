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
    """The strength of a verification: against pinned keys, or against the pack's own."""

    VERIFIED = "VERIFIED"
    SELF_CONSISTENT = "SELF-CONSISTENT"


class Report(msgspec.Struct, frozen=True):
    """The result of a verification; verdict and exposure are recomputed, not copied.

    `disclosed`, `withheld` and `earlier` count entries; `later` counts the entries after the time
    of the verdict. `cosigners` are the witnesses by their names in the policy; `signer` is the name
    of the key that signed the pack.
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
        """Return whether the eviction is PROVEN and was verified against pinned keys."""
        return self.level is Level.VERIFIED and self.verdict.outcome is Outcome.PROVEN


def verify_pack(raw: bytes, trust: TrustedKeys | None) -> Report:
    """Verify the bytes of a pack; raise an IntegrityError that names the failed step.

    (1) The envelope is well formed, canonically encoded and within limits. (2) A pinned pack key
    signed it; without pinned keys, the key that the envelope names. (3) It contains one statement
    of our type and version. (4) The log's head is signed by a pinned log key and cosigned by a
    quorum of pinned witnesses. (5) Each disclosed entry matches the commitment in its leaf. (6) The
    leaves are the complete log from the window's start to the head; none is left out. (7) Each
    earlier entry is included in the log at its index. (8) Exposure and verdict, recomputed from
    these entries, equal those in the pack. (9) The subject is the entry that opened the case.
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
    """Prefix errors with the step of the verification that failed."""
    try:
        yield
    except (IntegrityError, InvalidRequest) as error:
        raise IntegrityError(f"step {name}: {error}") from None


def _signer(envelope: Envelope, trust: TrustedKeys | None) -> str:
    """Check the signature and return the signer's name; with pinned keys, one of those."""
    if trust:
        keys = trust.packs
    else:
        keys = tuple(VerifierKey.parse(each.keyid) for each in envelope.signatures)
    if any(key.kind is not KeyType.ED25519 for key in keys):
        raise IntegrityError("a pack key must be of type Ed25519 (01)")
    signed = dsse.verify(envelope, {key.format(): key.public for key in keys})
    return VerifierKey.parse(signed[0]).name


def _check_subject(verdict: Verdict, log: LogEvidence, subject: str) -> None:
    if verdict.opening < 0 or shown.opening_digest(log, verdict.opening) != subject:
        raise IntegrityError("the log contains no such case, or another case under that number")


def _recompute(evidence: Evidence, pack: Pack) -> tuple[Verdict, Exposure]:
    """Compute verdict and exposure from the evidence; raise when the pack's differ."""
    verdict, exposure = decide(evidence)
    if verdict != pack.verdict:
        raise IntegrityError(
            f"the evidence gives {verdict.outcome}, not the verdict written in the pack "
            f"({pack.verdict.outcome})"
        )
    if exposure != pack.exposure:
        raise IntegrityError("the evidence gives an exposure other than the one in the pack")
    return verdict, exposure
