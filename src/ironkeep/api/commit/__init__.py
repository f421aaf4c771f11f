"""Answers that wait: for the disk, for witnesses, for worker threads, for outside systems.

`committer.py` joins the loop to the writer thread: it batches executed requests, holds their
answers until the batch (`sync.py`) is durable, and recovers from failures that may pass
(`trouble.py` words them). `quorum.py` holds answers that also need witnesses' cosignatures.
`slow_work.py` takes work off the loop: password hashing and the like go to the fixed threads of
`workers.py`, in the fair order of `turns.py`, and calls to outside systems to `lanes.py`, which
limits them for each system.
"""
