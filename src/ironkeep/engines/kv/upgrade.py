"""Upgrade a mount from version 1 to version 2: each object becomes version 1 of its key.

Source: the Vault HTTP API, secret/kv, "upgrade a version 1 kv". Vault upgrades in the background
and refuses requests meanwhile. Here it is one transaction, so a mount is always entirely of one
version, and the number of secrets is limited. The secrets' paths stay the same, and with them the
rules and budgets on these paths.
"""

from itertools import islice
from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.engines.kv import metadata as meta, versions
from ironkeep.engines.kv.metadata import KeyMetadata, Version
from ironkeep.store.barrier import Store

MAX_SECRETS: Final = 512
"""Secrets moved in one transaction, some 0.2 s during which no other request is served."""


def to_second(store: Store, now_ns: int) -> None:
    """Convert the contents of a version 1 mount; raise InvalidRequest when there are too many.

    Everything is read before anything is written, because the path of an object may be one that
    version 2 uses for its own records.
    """
    paths = sorted(islice(store.walk(), MAX_SECRETS + 1))
    if len(paths) > MAX_SECRETS:
        raise InvalidRequest(
            f"the mount has more than {MAX_SECRETS} secrets: mount kv-v2 elsewhere and copy them"
        )
    records = [(path, record) for path in paths if (record := store.get(path)) is not None]
    store.delete_all(paths)
    for path, record in records:
        key = KeyMetadata(
            created_ns=now_ns,
            updated_ns=now_ns,
            current=1,
            versions={1: Version(now_ns)},
            older=True,
        )
        store.put(versions.data_path(path, key, 1), record)
        meta.save(store, path, key)
