"""The seal and what it guards: key shares, wraps, rekeying, and the keys of segments."""
