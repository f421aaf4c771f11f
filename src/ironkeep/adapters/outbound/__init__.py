"""Calls to other systems: HTTP, mail and webhooks.

`http.py` and `notify.py` implement the ports. Both use `deadline.py`, which bounds a whole
exchange, and `tls.py`, which chooses the trusted authorities. `causes.py` words their failures.
Nothing is taken from the environment: no proxy, no certificate file.
"""
