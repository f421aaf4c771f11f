"""The offline verifier of evidence packs: it needs no server, no network and no secret key.

It trusts the keys that its user pinned in a trust file obtained separately from the pack (`trust`):
the server's pack keys, the log key, the witness keys with their quorum. It also trusts the code of
`core.evidence` and `tlog`, and SHA-256, Ed25519 and the hash tree built on them (RFC 6962).

It does not trust the pack's verdict, exposure or counts. It recomputes the commitment of every
disclosed entry, its place in the log, which entries the verdict depends on and that the log's index
names no further ones, and then exposure and verdict; any difference is an error that names the step
(`verifier.verify_pack`). `disclosed` and `indexed` hold the checks of the log; the server runs the
same code before it signs a pack. `older` reads the packs of earlier releases. `reads` verifies the
proof of the reads of one secret, whose format is in `statement`.

It cannot know what a withheld entry says, or what happened on systems that no log covers; the
report counts the former.

The room imports `ironkeep.core`, `ironkeep.index` and `ironkeep.tlog` alone, and nothing of the
server. A test loads it in a fresh interpreter and checks this.
"""
