"""HTTP as it arrives: parsing under limits, and the ASGI application.

`strict.py` holds uvicorn's protocol to RFC 9112 for the vault and the witness. `protocol.py` adds
the deadlines and the short way, which reads heads with `head.py`. `asgi.py` handles all other
requests and reads their bodies with `bodies.py`. Both ways use `wire.py` to turn HTTP into a
`Request` by Vault's transport rules.
"""
