"""The breach replay of `ironkeep demo`: an attack on real processes, with a check at every step.

`stage.py` starts a server, two witnesses and a PostgreSQL, and sends requests to them. `estate.py`
fills them with the users, secrets and links of the story. `replay.py` plays the chapters: theft,
exposure, containment, eviction, proof. `teller.py` prints the story and ends the demo at the first
check that fails. Everything runs on the local machine, in a temporary directory.

`scenario.py` plays a known breach on a vault in memory instead, and tells what the attacker can
still do.
"""
