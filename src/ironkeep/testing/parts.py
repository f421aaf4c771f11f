"""Typed parts of a JSON answer.

    text(reply.data, "metadata", "deletion_time")

The words after the answer are the keys and indices on the way to the part. A part that is missing
raises KeyError or IndexError; a part of another type raises TypeError with its path and its value.
"""

from typing import NoReturn


def part(found: object, *path: str | int) -> object:
    """Return whatever is at path."""
    for depth, step in enumerate(path):
        before = path[:depth]
        if isinstance(step, str):
            found = found[step] if isinstance(found, dict) else _refuse("object", found, before)
        else:
            found = found[step] if isinstance(found, list) else _refuse("array", found, before)
    return found


def text(found: object, *path: str | int) -> str:
    """Return the string at path."""
    at = part(found, *path)
    return at if isinstance(at, str) else _refuse("string", at, path)


def number(found: object, *path: str | int) -> int:
    """Return the integer at path, which true and false are not."""
    at = part(found, *path)
    if isinstance(at, bool) or not isinstance(at, int):
        return _refuse("integer", at, path)
    return at


def table(found: object, *path: str | int) -> dict[str, object]:
    """Return the object at path."""
    at = part(found, *path)
    return at if isinstance(at, dict) else _refuse("object", at, path)


def array(found: object, *path: str | int) -> list[object]:
    """Return the array at path."""
    at = part(found, *path)
    return at if isinstance(at, list) else _refuse("array", at, path)


def texts(found: object, *path: str | int) -> list[str]:
    """Return the array of strings at path."""
    return [text(each) for each in array(found, *path)]


def tables(found: object, *path: str | int) -> list[dict[str, object]]:
    """Return the array of objects at path."""
    return [table(each) for each in array(found, *path)]


def _refuse(wanted: str, at: object, path: tuple[str | int, ...]) -> NoReturn:
    raise TypeError(f"{wanted} expected at {list(path)}, not {at!r}")
