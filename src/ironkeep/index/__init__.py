"""The index of a log: finds the entries of an actor, a secret or a kind, and proves the answer.

    Entry ── terms ──> run of 4,096 leaves ── sorted tree ──> index leaf (in the log)
                                    │
                                    └──> block (encrypted, beside the bundles)

`terms` names the facts by which an entry is found: its actors, the secrets that it released, the
things that it made, its kind and its path. The positions of every term in one run of leaves form a
sorted Merkle tree, whose root an index leaf puts on record in the log itself. A block holds the
tree's content for queries; it can be rebuilt from the log at any time. `closure` says which terms
the verdict of a case depends on.

The room is pure: it relies on `core` for entries and on `tlog` for trees, and does no I/O. The
journal writes blocks and index leaves (`journal`), and the offline verifier checks proofs with the
same code. Invariants:

- The same entries give the same terms, the same tree and the same root, on every machine.
- A proof shows all positions of a term in a run, or that there are none.
"""
