"""From version 1 to version 2: each object becomes the first version of its key.

Source: the Vault HTTP API, secret/kv, "upgrade a version 1 kv". Vault works on it in the background
and answers nothing meanwhile; here it is one step, so a mount is wholly of one version or of the
other, and the number of secrets is limited. Paths, and so the rules and budgets on them, stay.
"""

from itertools import islice
from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.engines.kv import metadata as meta
from ironkeep.engines.kv.metadata import KeyMetadata, Version
from ironkeep.store.barrier import Store

MAX_SECRETS: Final = 512
"""Moved in one transaction, some 0.2 s; nobody else is served meanwhile."""


def to_second(store: Store, now_ns: int) -> None:
    """Rewrite what a mount of version 1 holds; raise InvalidRequest when that is too much.

    All is read before anything is written: an object may lie where version 2 keeps something else.
    """
    paths = sorted(islice(store.walk(), MAX_SECRETS + 1))
    if len(paths) > MAX_SECRETS:
        raise InvalidRequest(
            f"more than {MAX_SECRETS} secrets are there: mount kv-v2 elsewhere and copy them"
        )
    records = [(path, record) for path in paths if (record := store.get(path)) is not None]
    store.delete_all(paths)
    for path, record in records:
        store.put(meta.data_path(path, 1), record)
        key = KeyMetadata(
            created_ns=now_ns, updated_ns=now_ns, current=1, versions={1: Version(now_ns)},
            older=True,
        )  # fmt: skip
        meta.save(store, path, key)
