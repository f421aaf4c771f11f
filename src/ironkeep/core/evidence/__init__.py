"""Eviction proofs: from the journal's entries on an incident to a recomputable verdict.

    journal leaves ── leaf ──> entries ──> casefile ──> checks ──> verdict ──> packing ──> file
                               records     activity     table      remediation
                                           estate
                                           exposure (reach, node)

Each link, baseline, revocation, probe or sweep of an incident is written to the audit journal as
one of the types in `records`. `casefile` sorts the entries of a log into the facts of one case.
`activity` lists the granted requests, `estate` the links between credentials and systems. From
both, `exposure` computes the nodes that the attacker may hold and the times since when, with the
graph search of `reach`. `checks` is a table of small functions, each of which looks for one reason
why a claim (E1 to E11, `claim`) does not hold. `verdict` applies the table. `packing`
puts the evidence and the conclusions into a signed in-toto statement.

`verdict.decide` is a pure function of `records.Evidence`: no I/O, no clock, no randomness and no
use of earlier conclusions. The server that makes a pack and the offline verifier both call it; the
verifier refuses a pack of the present version whose verdict differs from its own.

Invariants:

- Evidence is only what the log holds. Order in the log, not the time in an entry, decides what came
  first.
- Where the facts leave room, the exposure computed is the larger one, and a claim stays open.
- Titles, check names, labels, finding texts and residue texts are part of a signed pack. A release
  that changes one, or a rule, takes a new version of the pack: the verifier judges packs of earlier
  versions by its own rules, and only quotes their conclusions.
"""
