"""The seal: root keys, the wraps and shares that open them, and the keys of segments.

The vault and each of its segments is a key domain with a seal of its own:

    key shares ── Shamir ──▶ wrapping key ─┐
                                           ├─ opens ─▶ root key ─ opens ─▶ keyring ─▶ records
    key file (development) ────────────────┘

`config` defines the stored wraps; `wraps` makes and opens them and the keyring under the root key.
`shares` decodes submitted shares and counts the progress of one attempt. `Seal` (seal.py) is the
state machine that combines these: uninitialised, sealed, unsealed. `Rekey` and `RootGeneration` are
the two procedures that need the consent of threshold shareholders. `Upkeep` rotates the keyring
before AES-GCM's limits and saves its use counts. `Segments` stores segments in the table of
`segment_record`, and `SegmentKeys` holds a seal for each. `reading_key` stores the private keys of
the journal.

The room relies on store/ for rows, keyrings and barriers, and on core/ for envelopes and Shamir's
scheme. It does no I/O of its own: it reads and writes rows through the transaction it is given.

Invariants:
- The root key of one key domain opens no other: wraps and keyrings are bound to their domain.
- Shares are returned once and never stored; only a hash of each share is, to recognise it.
- The caller makes rows durable before it shows shares; with verification, a rekey takes effect only
  after the new shares were given back.
- Attempts live in memory. Sealing, a restart or a completed rekey ends each of them.
- Memory reflects executed writes. After a commit with an unknown outcome, the kernel calls
  `Seal.load` and `SegmentKeys.resync`, which read the stored rows again.
"""
