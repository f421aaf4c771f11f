"""Transparency logs in the c2sp.org formats: pure values, no I/O, clock or randomness.

    wire         strict base64 and decimals, shared by the text formats
    merkle       RFC 6962 trees: frontier, inclusion, consistency and range proofs
    tile         tlog-tiles: paths of tiles, entry bundles
    note         signed-note: verifier keys, signing keys, signatures
    checkpoint   tlog-checkpoint: the signed head of a log
    cosignature  tlog-cosignature: a witness's dated signature over a head
    policy       tlog-policy: which logs, which witnesses, how many
    proof        tlog-proof: one entry's inclusion, checked offline
    witness      tlog-witness: what a witness answers

Verification raises IntegrityError; it never returns a bool. Configuration that cannot be parsed
(keys, policies, tile paths) raises InvalidRequest.
"""
