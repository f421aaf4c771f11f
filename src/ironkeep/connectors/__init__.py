"""Connectors: clients of the outside systems whose credentials Ironkeep holds.

A connector implements `core.credential.connector.Connector` for one system: set a password, probe
whether a credential works, lock and unlock an account, list and end its sessions, and take an
inventory of all ways into the system. There is one so far, for PostgreSQL.

Connectors are the only code below the edges that does I/O. Their calls run on worker threads, as
effects, outside of any transaction; a connector keeps no state between calls and never sees the
vault. It treats the system as hostile: every operation has a limit of time and bytes, an answer is
trusted only as far as it is proven, and no text of the system's errors is passed on, because it may
quote a secret. When it cannot tell whether a change took effect it raises `Ambiguous`.
"""
