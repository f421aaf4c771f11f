"""The store: encrypted records, executed in transactions and committed together with the journal.

    engine ──> barrier.Store ──> state.Tx ──> state.State ──> cache ──> Storage (port)
               names, ciphers    one request  executed                  durable
                                                  │
                                                  └── ledger: close → persist → settle ──> journal

A service or engine reads and writes records by path through a `Store`, which is bound to one place
(`names.Place`) and one view of the rows (`rows.View`). `names` turns paths into blind row keys
under the name key; `barrier` encrypts each row and binds it to its key and due time. Both use a
`Keyring` with its prepared `Ciphers`. `record` encodes structs as bytes.

A request writes into a `Tx`; success merges it into `State`, where the next request sees it. The
`Ledger` closes everything executed since the last batch into one commit and one journal frame,
makes both durable, and only then may the answers leave. With each commit it updates the set-hash
(`sethash`), which detects rows that were changed, removed or rolled back outside Ironkeep.

`reserved` names the places of the kernel's own services, `history` keeps past values with their
times, and `demolition` deletes large folders in bounded steps.

The room relies on `core` for ports, envelopes and secrets, and on `journal` for frames and epochs.
Invariants:

- Storage sees only blind keys, ciphertext and due times.
- A row opens only at the key and due time that it was written with.
- The database commits first and carries the journal frame in its outbox, so the journal never
  records a change that the database lacks.
- Everything that is not durable can be forgotten: no answer to it has left.
"""
