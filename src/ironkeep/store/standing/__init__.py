"""Whether the stored rows are those that were committed.

`sethash.py` turns a row into a number, and the rows of a bucket into a sum. `buckets.py` holds the
sums of all buckets. `accounts.py` keeps them up to date with each commit, stores them encrypted,
and links each commit to the one before it. `guard.py` compares every row that is read with them,
and goes through all rows in the background.
"""
