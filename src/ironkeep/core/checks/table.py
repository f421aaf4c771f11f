"""The table of checks: every way in which a verdict must not say PROVEN."""

from typing import Final

from ironkeep.core.checks import credentials, intruders, record
from ironkeep.core.claim import Check, ClaimId

CHECKS: Final = (
    Check(ClaimId.SCOPE, "case not opened", record.case_not_opened),
    Check(ClaimId.SCOPE, "scope cut", record.scope_cut),
    Check(ClaimId.SCOPE, "no basis", record.no_basis),
    Check(ClaimId.SCOPE, "not surveyed", record.not_surveyed),
    Check(ClaimId.REVOKED, "not revoked", credentials.not_revoked),
    Check(ClaimId.REVOKED, "no receipt", credentials.no_receipt),
    Check(ClaimId.REFUSED, "no verifier", credentials.no_verifier),
    Check(ClaimId.REFUSED, "not presented", credentials.not_presented),
    Check(ClaimId.REFUSED, "not answered", credentials.not_answered),
    Check(ClaimId.REFUSED, "accepted elsewhere", credentials.accepted_elsewhere),
    Check(ClaimId.REFUSED, "worked after revocation", credentials.worked_after_revocation),
    Check(ClaimId.ENDED, "not contained", intruders.not_contained),
    Check(ClaimId.ENDED, "acts again", intruders.acts_again),
    Check(ClaimId.ENDED, "readmitted unsigned", intruders.readmitted_unsigned),
    Check(ClaimId.ENDED, "sessions not ended", intruders.sessions_not_ended),
    Check(ClaimId.ENDED, "sessions remain", intruders.sessions_remain),
    Check(ClaimId.PERSISTENCE, "no baseline", intruders.no_baseline),
    Check(ClaimId.PERSISTENCE, "not swept", intruders.not_swept),
    Check(ClaimId.PERSISTENCE, "not seen", intruders.not_seen),
    Check(ClaimId.PERSISTENCE, "not explained", intruders.not_explained),
    Check(ClaimId.PERSISTENCE, "stranger acts", intruders.stranger_acts),
    Check(ClaimId.PERSISTENCE, "foothold in vault", intruders.foothold_in_vault),
    Check(ClaimId.REISSUE, "delivered early", credentials.delivered_early),
    Check(ClaimId.REISSUE, "delivered to exposed", credentials.delivered_to_exposed),
    Check(ClaimId.REISSUE, "issued from exposed", credentials.issued_from_exposed),
    Check(ClaimId.LOGS, "starts too late", record.starts_too_late),
    Check(ClaimId.LOGS, "not witnessed", record.not_witnessed),
    Check(ClaimId.LOGS, "ends too early", record.ends_too_early),
    Check(ClaimId.LOGS, "clock ran back", record.clock_ran_back),
    Check(ClaimId.LOGS, "source silent", record.source_silent),
    Check(ClaimId.LOGS, "source lost messages", record.source_lost_messages),
    Check(ClaimId.LATER_USE, "ended session worked", intruders.ended_session_worked),
    Check(ClaimId.LATER_USE, "not watched", credentials.not_watched),
    Check(ClaimId.LATER_USE, "used later", credentials.used_later),
    Check(ClaimId.ROOT, "root not checked", record.root_not_checked),
    Check(ClaimId.ROOT, "root unsound", record.root_unsound),
    Check(ClaimId.ROOT, "hand of exposed", record.hand_of_exposed),
    Check(ClaimId.INDEPENDENT, "withheld", record.withheld),
    Check(ClaimId.RESIDUE, "no residue", record.no_residue),
)
