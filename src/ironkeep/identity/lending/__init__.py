"""Leases of credentials on other systems: lent by an engine, taken back by it, whatever happens.

An engine registers a lease with `lend` before it makes the credential, so that a crash in between
leaves a lease and never an unknown credential. `performer` is the hook that the engine implements,
`performing` calls it as an effect when the lease ends: journalled, repeated after a growing pause,
without end. `sweeping` ends many leases at once, in steps. The rows are in `identity/leases.py`.
"""
