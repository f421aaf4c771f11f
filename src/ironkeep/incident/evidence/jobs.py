"""The incident room's questions to the journal, by their names."""

from collections.abc import Mapping
from typing import Final

from ironkeep.incident.evidence.excerpt import excerpt, pack, reads
from ironkeep.incident.evidence.gathering import active, brief, evidence, first, issued, made
from ironkeep.incident.evidence.readable import readable
from ironkeep.incident.evidence.views import view
from ironkeep.journal.questions import Job

JOBS: Final[Mapping[str, Job]] = {
    "evidence": evidence, "brief": brief, "excerpt": excerpt, "pack": pack, "reads": reads,
    "readable": readable, "active": active, "made": made, "issued": issued, "first": first,
    "view": view,
}  # fmt: skip
