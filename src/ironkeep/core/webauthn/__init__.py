"""WebAuthn: verification of passkeys and of touches for single requests.

`webauthn` verifies registrations and assertions as pure functions over bytes (Web Authentication
Level 3, 7.1 and 7.2), with the `fido2` package for parsing and signatures. `cbor_bounds` limits
hostile CBOR before that package parses it. `step_up` defines the statement that one touch signs for
one request, and verifies its evidence in an audit entry without the server.
"""
