"""The core: values, formats and decisions as pure functions, without I/O, clock or randomness.

    errors, ids, units, operation   the vocabulary that every other room uses
    ports, logport                  protocols of all side effects; adapters implement them
    event, envelope, secret, shamir audit entries, encrypted bytes, secret values, key shares
    text/                           spelling of paths, names and numbers
    policy/                         policies, segments and secret classes: allow or deny
    evidence/                       incident records, exposure, the verdict and its checks
    credential/                     the connector contract, inventories, the rotation machine
    device/                         device proofs, posture reports and posture rules
    webauthn/                       passkeys and touches for single requests

Everything above this room imports it; it imports nothing of Ironkeep but itself. Bytes, the time
and random numbers come in as arguments, so each decision can be tested with a table and recomputed
elsewhere: the offline verifier runs the same functions as the server.

Invariants:

- Signed documents and stored records have one canonical encoding: decoders refuse all others.
- A check raises an error of `errors` that says what to do next; it never shows a secret value.
- Secret values travel as `Secret`, which cannot be printed, compared, hashed or serialised.
- Every input has a named limit on size, count or depth.
"""
