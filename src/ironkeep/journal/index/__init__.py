"""The index of a log on disk: blocks beside the bundles, queries, proofs and checks.

`build` computes the records of a run from the log's leaves, `block` is the file of a run's records,
`blocks` the folder of such files. `index` answers questions from them, builds what is missing and
says which index leaves the log still needs. `prove` makes proofs for a pack, and `check` recomputes
every index leaf of a log for an auditor. The room `ironkeep.index` has the formats and the rules.
"""
