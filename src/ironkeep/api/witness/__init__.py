"""The server of a witness or mirror (c2sp.org/tlog-witness, c2sp.org/tlog-mirror).

`state.py` answers add-checkpoint and keeps each log's newest checkpoint on disk before it cosigns.
`mirror.py` answers add-entries: it stores the leaves of a checkpoint and signs once it has all of
them. `uploads.py` bounds concurrent uploads. `witness.py` is the ASGI application over them, and
`server.py` runs it on one listener. A witness needs no vault and holds no secret of one.
"""
