"""List all secrets of a key/value mount, for surveys and leak matching (credentials/listing.py)."""

import json
from collections.abc import Iterator
from functools import partial

from ironkeep.core.secret import Secret
from ironkeep.credentials.listing import Kept, Served
from ironkeep.engines.kv import document, metadata as meta, versions as stored
from ironkeep.store.barrier import Store


def first(store: Store) -> Iterator[Kept]:
    """Yield the secrets of a version 1 mount; each has the single version 0."""
    for path in sorted(store.walk()):
        yield Kept(path, path, (Served(0),), 0, partial(_values, store, path))


def second(store: Store) -> Iterator[Kept]:
    """Yield the secrets of a version 2 mount."""
    for name in sorted(store.walk("meta")):
        path = name.removeprefix("meta/")
        key = meta.load(store, path)
        if key is not None:
            versions = tuple(
                Served(number, 0 if key.older and number == 1 else version.created_ns)
                for number, version in stored.every(store, path, key)
            )
            values = partial(_version, store, path)
            yield Kept(path, f"data/{path}", versions, key.current, values)


def _version(store: Store, path: str, number: int) -> tuple[Secret, ...]:
    return _values(store, stored.data_path(path, number), number)


def _values(store: Store, path: str, _number: int) -> tuple[Secret, ...]:
    record = store.get(path)
    if record is None:
        return ()
    _, secret = document.split(record)
    return tuple(Secret(text.encode()) for text in _texts(json.loads(secret.reveal())))


def _texts(value: object) -> Iterator[str]:
    """Yield every string in a JSON value; numbers and booleans are too common to search for."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
