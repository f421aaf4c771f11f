"""Commands on secrets and mounts.

`logical.py` reads and writes any path of the API. `kv.py` and `kv_metadata.py` handle key-value
secrets of both versions, which `kv_mount.py` tells apart. `lease.py` and `mounts.py` handle leases,
secrets engines and auth methods.
"""
