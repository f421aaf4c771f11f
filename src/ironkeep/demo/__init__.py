"""The breach replay of `ironkeep demo`: a story on real processes, in which every step is asserted.

`stage.py` starts a server, two witnesses and a PostgreSQL, and sends requests to them. `estate.py`
fills them with the users, secrets and links of the story. `replay.py` plays the chapters: theft,
exposure, containment, eviction, proof. `teller.py` prints the story and ends the demo at the first
check that does not hold. All runs on this machine, in a temporary directory.
"""
