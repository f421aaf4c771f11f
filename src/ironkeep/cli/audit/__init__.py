"""Commands for auditors: search the journal, prove one entry, verify a whole log.

`audit.py` reads the journal through the API. `proof.py` and `verify.py` check proofs and logs
offline; `trust.py` holds the keys and policies that they trust.
"""
