"""The checks of a verdict: one small function for each reason why a claim may not hold.

A check takes the case file and yields a `Finding` for each problem; it yields nothing when the
claim holds. `table.CHECKS` lists all checks with their claims. `credentials` has the checks on
exposed credentials, `intruders` those on exposed principals and the changes they may have left
behind, `record` those on the case, the log and Ironkeep's own root of trust.

The texts of findings and the names in the table are part of signed packs and must not change: the
offline verifier recomputes the verdict and compares it with the one in the pack.
"""
