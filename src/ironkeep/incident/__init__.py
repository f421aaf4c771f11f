"""The incident room: from the first suspicion to a signed proof of eviction.

A case states what may be compromised and since when at the earliest. Everything else is computed
from the journal: what was exposed, which steps remain, and the verdict. No conclusion is stored;
`core.evidence` recomputes it from the entries each time, here and in the verifier alike.

    suspicion      case/cases            subjects, earliest start, and why it is not earlier
        |          case/documents        leaked text matched against the stored secrets
        v
    exposure       survey/               what the policies of that time let a subject read
        |          case/links            what opens, wraps or yields what
        v          case/views            did read, could have read, could have reached
    containment    eviction/containment  tokens, leases and logins end
        v
    rotation       eviction/rotation     new passwords; old sessions end; old passwords are
        |                                presented to every host and must be refused
        v
    sweep          eviction/sweep        inventory compared with the baseline, and explained
        v
    statements     case/statements       exemptions, residue, checks of the root (case/root)
        v
    verdict        core.evidence         PROVEN, NOT PROVEN or DISPROVEN, by claims E1 to E11
        v
    signed pack    evidence/packer       log entries, proofs and verdict in a DSSE envelope
        v
    verification   verifier/             offline: recomputes everything from the pack

`engine.Incident` is the plugin that mounts the routes of `case/` and `eviction/`. `case/workspace`
opens a case for one request: it rebuilds the case file on a worker and writes the caller's records.

Invariants. A record is written only after its act is durable. A principal exposed in a case cannot
write records in it unless readmitted. A case never becomes narrower and is never deleted. This file
imports nothing, so that the verifier loads no server code.
"""
