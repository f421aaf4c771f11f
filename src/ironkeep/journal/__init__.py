"""The audit journal on disk: an append-only Merkle log, served as c2sp.org/tlog-tiles.

    Entry ── encrypt ──> open batch ──> frame ──> wal ──> tile/entries (full bundles)
                              journal      frame     │
                                                     └──> tree (hash/L<n>) ──> log: tiles, proofs
                                                               │
                                                               └──> checkpoint, signed, cosigned

`journal.Journal` is the only writer. It encrypts each entry into a leaf (core/evidence/leaf.py),
collects leaves into a batch, and makes the batch durable as one `frame` in the write-ahead log
(`wal`). Then `tree` adds the leaf hashes, and about once a second `checkpoints` signs the durable
size as a checkpoint, to which witnesses add cosignatures. `wal` later moves leaves of finished WAL
files into bundles.

`log.Log` is the read side: leaves, tiles and proofs. `entries.Reader` decrypts entries with the
private reading key. `questions` are functions over a log, cut into turns, and `search` is one of
them. `recovery` opens a journal at start-up and checks it against every head that
was signed; `scan` tells a torn tail from damage. `epochs` starts a new log after one that must not
be continued, and drains the database's outbox into the log. `verify` checks a whole log offline,
and `static_log` keeps and checks a copy of a log.

The room relies on `core` for ports, entries and leaves, and on `tlog` for trees, notes and tiles.
All I/O goes through the ports `LogFiles`, `Entropy` and `Storage`. Invariants:

- A checkpoint covers only durable leaves, is durable before anybody sees it, and never contradicts
  an earlier one: a signed fork would end the log.
- A failed write is final until a restart reads the disk again, unless the system refused to begin
  it.
- Recovery only removes a torn tail and rebuilds the derived hash files. It refuses any other
  difference, so that the directory stays as evidence.
"""
