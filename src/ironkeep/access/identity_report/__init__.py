"""The identity report: every identity that can still log in with a secret that can be copied.

`copyable_logins.py` is the protocol by which an auth method lists its own; `routes.py` collects
them from all auth mounts, adds unbound tokens, and serves `sys/identity-report`.
"""
