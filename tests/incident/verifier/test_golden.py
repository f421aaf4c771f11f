"""Packs of earlier releases verify for good: golden/ has one of each version made no more."""

from pathlib import Path
from typing import Final

import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.claim import ClaimId
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.incident.verifier.verifier import Level, verify_pack

GOLDEN: Final = Path(__file__).with_name("golden")
RAW: Final = (GOLDEN / "version-1.pack").read_bytes()
TRUST: Final = TrustedKeys.parse((GOLDEN / "version-1.trust").read_bytes())


def test_a_pack_of_version_1_is_proven_as_ever() -> None:
    report = verify_pack(RAW, TRUST)
    assert (report.level, report.proven) == (Level.VERIFIED, True)
    assert (report.earlier, report.withheld, report.indexed) == (4, 0, 0)


def test_a_changed_pack_of_version_1_is_refused() -> None:
    for position in range(0, len(RAW), 211):
        changed = bytearray(RAW)
        changed[position] ^= 1
        with pytest.raises(IntegrityError):
            verify_pack(bytes(changed), TRUST)


def test_a_pack_of_version_1_keeps_the_rules_of_its_time_for_the_clock() -> None:
    """The clock of this log was put back by 10 seconds over a restart, within the window.

    Release 00613dc made the pack. It tolerated 300 seconds and took every time as stated.
    """
    trust = TrustedKeys.parse((GOLDEN / "version-1-step.trust").read_bytes())
    report = verify_pack((GOLDEN / "version-1-step.pack").read_bytes(), trust)
    assert (report.level, report.proven) == (Level.VERIFIED, False)
    (logs,) = [claim for claim in report.verdict.claims if claim.id is ClaimId.LOGS]
    assert [item.subject for item in logs.items] == ["log:witnesses"]
