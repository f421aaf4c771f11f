"""The incident room's questions to the journal, by their names."""

from collections.abc import Mapping
from typing import Final

from ironkeep.incident.evidence.excerpt import excerpt, reads
from ironkeep.incident.evidence.gathering import active, brief, evidence, first, made
from ironkeep.journal.questions import Job

JOBS: Final[Mapping[str, Job]] = {
    "evidence": evidence, "brief": brief, "excerpt": excerpt, "reads": reads,
    "active": active, "made": made, "first": first,
}  # fmt: skip
