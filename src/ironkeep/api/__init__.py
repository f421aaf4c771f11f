"""The Vault HTTP API on the wire: listeners, HTTP parsing, answers and the map of errors to status.

A request enters through `http/`. `http/protocol.py` is a uvicorn protocol that parses under limits
and answers plain requests to /v1/ without a coroutine; every other request goes to the ASGI
application in `http/asgi.py`. Both build a `Request` and give it to `Service`, which executes it
through the kernel's pipeline on the loop thread. The result goes to `commit/`, which holds an
answer back until the batch that contains its journal entry is durable, and runs slow work on
threads. `Service` then renders the answer.

    bytes -> http/ -> Service.submit -> kernel pipeline -> commit/ -> Service.render -> bytes

`server.py` runs the vault's listeners, `witness/` the server of a witness or mirror; `listening.py`
and `tls.py` serve both. `callers.py` decides which requests of browsers are accepted.

Invariants: no answer leaves before its journal entry is durable; both ways through `http/` give the
same answer and the same entry; every size, count and wait has a limit; `errors.py` is the only
place where an error becomes an HTTP status.
"""
