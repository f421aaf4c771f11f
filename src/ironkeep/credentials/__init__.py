"""Credentials of other systems: connections, rotation, baselines, and the chain of scope.

    connection ─ admin credential ─▶ connector ─▶ system
    managed credential ─ rotation ─ jobs on a worker ─▶ outcomes in the journal

`connections` stores how a system is reached and administered. `store` holds each managed
credential, the state of its rotation and the secrets of its versions. `managed` creates, replaces
and rotates credentials, and `accounts` presents a version, ends sessions and locks; `jobs` are
their parts that call the connector on a worker thread, and `outcomes` writes the journal entries
about the results. `rotation` is the state machine that replaces a credential without losing it in a
crash, pure and without secret material, `rotation_actions` what it asks for and observes, and
`rotation_record` its stored state. `baselines` takes and compares inventories of everything that
grants access to a system. `scope` writes the records which tell an incident case what a secret
opens. `listing` enumerates a mount's secrets for surveys and leak matching, and `gone` records the
removed ones.

The room relies on plugin/effects for operations that survive a crash, on core/credential for the
connector's contract, and on store/ for records, which lie in the mount that owns them. `wiring`
connects the services.

Invariants:
- An intent is durable before another system is called, and every outcome is journalled.
- At every instant the record names the versions that may work, and their secrets are stored.
- A version number is never reused, and neither baselines nor scope records are ever replaced.
"""
