"""The secrets of a key/value mount, for surveys and leak matching (credentials/listing.py)."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Final

from ironkeep.core.secret import Secret
from ironkeep.credentials.listing import Kept, Served
from ironkeep.engines.kv import document, metadata as meta, versions as stored
from ironkeep.store.barrier import Store

LONG_NUMBER: Final = 10_000_000
"""Integers from here on may be keys or PINs; smaller ones are ports, times and counts."""


def first(store: Store) -> Iterator[Kept]:
    """Yield the secrets of a version 1 mount, in no order; each has the single version 0."""
    return map(partial(_unversioned, store), store.walk())


def first_at(store: Store, path: str) -> Kept | None:
    """Return the secret at a path of a version 1 mount."""
    return None if store.row(path) is None else _unversioned(store, path)


def second(store: Store) -> Iterator[Kept]:
    """Yield the secrets of a version 2 mount, in no order."""
    found = (second_at(store, name.removeprefix("meta/")) for name in store.walk("meta"))
    return (each for each in found if each is not None)


def first_names(store: Store) -> Iterator[tuple[str, str]]:
    """Yield (path, API path) of the secrets of a version 1 mount."""
    return ((path, path) for path in store.walk())


def second_names(store: Store) -> Iterator[tuple[str, str]]:
    """Yield (path, API path) of the secrets of a version 2 mount."""
    paths = (name.removeprefix("meta/") for name in store.walk("meta"))
    return ((path, f"data/{path}") for path in paths)


def second_at(store: Store, path: str) -> Kept | None:
    """Return the secret at a path of a version 2 mount."""
    key = meta.load(store, path)
    if key is None:
        return None
    versions = tuple(
        Served(number, 0 if key.older and number == 1 else version.created_ns)
        for number, version in stored.every(store, path, key)
    )
    past, fields = stored.known_past(store, path, key), partial(_version, store, path)
    return Kept(path, f"data/{path}", versions, key.current, fields, past)


def _unversioned(store: Store, path: str) -> Kept:
    return Kept(path, path, (Served(0),), 0, partial(_fields, store, path))


def _version(store: Store, path: str, number: int) -> tuple[tuple[str, Secret], ...]:
    # The version may be gone by now, and another one in its place.
    key = meta.load(store, path)
    if key is None or stored.find(store, path, key, number) is None:
        return ()
    return _fields(store, stored.data_path(path, key, number), number)


def _fields(store: Store, path: str, _number: int) -> tuple[tuple[str, Secret], ...]:
    record = store.get(path)
    if record is None:
        return ()
    _, secret = document.split(record)
    found = _texts("", json.loads(secret.reveal()))
    return tuple((name, Secret(text.encode())) for name, text in found)


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield every string in a JSON value with the name of the field that it is in.

    Long integers count as strings. Other numbers and booleans are too common to search for.
    """
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, int) and value >= LONG_NUMBER:
        yield name, str(value)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(key, each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(name, each)
