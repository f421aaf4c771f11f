"""Typed values from the keys and blocks of a configuration file.

All but `is_number` raise InvalidRequest with the place of a key that is unknown or of another type.
"""

from collections.abc import Mapping
from typing import Any

from ironkeep.config.settings import DEFAULT_TTL_SECONDS
from ironkeep.core.policy import hcl


def known(block: hcl.Item, names: frozenset[str]) -> dict[str, Any]:
    """Return the keys of block with their values; refuse any key outside names."""
    given = block.body().plain()
    unknown = sorted(given.keys() - names)
    if unknown:
        raise block.error(f"unknown key {unknown[0]!r} in {block.key}")
    return given


def text(block: hcl.Item, given: Mapping[str, Any], name: str, default: str = "") -> str:
    """Return a string key of block, which `known` has read into given."""
    value = given.get(name, default)
    if not isinstance(value, str):
        raise block.error(f"{name} is a string")
    return value


def is_number(text: str) -> bool:
    """Return whether text is a decimal number of ASCII digits alone."""
    return text.isascii() and text.isdigit()


def flag(block: hcl.Item, value: object) -> bool:
    """Return a truth value in any spelling that Vault accepts."""
    if value in (True, 1, "1", "true"):
        return True
    if value in (False, 0, "0", "false", ""):
        return False
    raise block.error("expected true or false")


def scalar(body: hcl.Body, key: str, kind: type) -> object:
    """Return the value of a top-level key, of type kind; None if the key is absent."""
    item = body.get(key)
    if item is None:
        return None
    if not isinstance(item.value, kind) or isinstance(item.value, bool):
        raise item.error(f"{key} is not of type {kind.__name__}")
    return item.value


def seconds(body: hcl.Body, key: str) -> int:
    """Return a lease duration in seconds; DEFAULT_TTL_SECONDS if the key is absent."""
    item = body.get(key)
    if item is None:
        return DEFAULT_TTL_SECONDS
    text = str(item.value)
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    if not is_number(number):
        raise item.error(f"{key} is a duration such as 768h")
    return int(number) * units[unit]
