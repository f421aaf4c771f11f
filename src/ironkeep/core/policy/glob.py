"""Text patterns in which `*` matches any text, even empty; all other characters are literal."""

from collections.abc import Iterable


def matches(patterns: Iterable[str], text: str) -> bool:
    """Return whether text matches one of patterns."""
    return any(_matches(pattern, text) for pattern in patterns)


def _matches(pattern: str, text: str) -> bool:
    """Match without backtracking: each part matches at its first occurrence, in linear time.

    A regular expression with many stars could backtrack without bound.
    """
    first, *parts = pattern.split("*")
    if not parts:
        return text == first
    last = parts.pop()
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in parts:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
