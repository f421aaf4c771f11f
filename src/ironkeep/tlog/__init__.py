"""Transparency logs in the c2sp.org formats: pure values, no I/O, clock or randomness.

    wire         strict base64, decimals and text, shared by the text formats
    merkle       RFC 6962 trees: frontier, inclusion, consistency and range proofs
    tile         tlog-tiles: paths of tiles, entry bundles
    note         signed-note: verifier keys, signing keys, signatures
    checkpoint   tlog-checkpoint: the signed head of a log
    cosignature  tlog-cosignature: a witness's dated signature over a head
    policy       tlog-policy: trusted logs and witnesses, and the quorum
    proof        tlog-proof: one entry's inclusion, checked offline
    witness      tlog-witness: the decision on add-checkpoint
    mirror       tlog-mirror: the upload of entries to a mirror

A log is a Merkle tree over its entries (`merkle`, stored as `tile`s). Its operator signs the tree's
size and root as a `checkpoint`, which is a signed `note`. A witness cosigns a checkpoint only after
a proof that it extends the last one (`witness`, `cosignature`), so that two readers who trust a
quorum (`policy`) see the same log. A reader with a `proof` checks one entry offline; a `mirror`
keeps a copy of all entries.

The room relies only on `core` for errors and secrets, and knows nothing of Ironkeep's journal.
Invariants:

- Every wire format has one encoding: a decoder refuses bytes that its encoder would not write.
- Verification raises IntegrityError; it never returns a bool.
- Configuration that cannot be parsed (keys, policies, tile paths) raises InvalidRequest.
"""
