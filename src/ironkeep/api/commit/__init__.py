"""Answers that wait: for the disk, for worker threads, for outside systems.

`committer.py` joins the loop to the writer thread: it batches executed requests, holds their
answers until the batch (`sync.py`) is durable, and recovers from failures that may pass
(`trouble.py` words them). `workers.py` runs password hashing and other slow work on fixed threads,
in the fair order of `turns.py`. `lanes.py` limits the calls to each outside system.
"""
