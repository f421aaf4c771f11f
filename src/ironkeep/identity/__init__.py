"""Identity: entities, tokens, sessions, policies, leases and wrapped responses.

    token ─ keyed hash ─▶ token row ─▶ parents, entity, people ─▶ policies ─▶ Session (with its ACL)

`entities` stores people and machines with their aliases at auth methods. `people` computes the
people behind a token, which approvals, budgets and containment rely on. `token_issuer` issues
tokens; `tokens` renews and revokes them, by Vault's rules (`lifetimes`, `token_params`), over the
rows of `token_store`; `batch_token` encrypts records that are not stored; `token_view` formats
tokens for responses. `sessions` authenticates every request and caches the result. `policies`
stores and compiles policies. `leases` tracks credentials that must be revoked at their mount.
`wrapping` stores responses behind single-use tokens. `roles` is the code that the roles of auth
methods share.

Each part stores its records in a reserved place through store/ and writes only to the transaction
it is given. Ending many tokens or leases takes effect at once, by an epoch or a missing parent; the
rows are then removed in bounded steps, by the tick.

Invariants:
- A token is stored nowhere; rows and caches know it by a keyed hash.
- A token is alive only while it, all its parents and all its holders are (see `sessions`).
- The set of people behind a token never shrinks while the token is passed on.
- A derived value (session, ACL) is used only while the rows that it was derived from are the same
  objects, so every change applies to the next request.
"""
