"""The canonical form of paths whose segments have several spellings.

Names of users, roles and policies ignore case; a mount is the same with a slash at its end; a
number is the same with leading zeros. A route declares which of its captured names have such
spellings (plugin/route.py). Routing brings a request's path into the canonical form before any
decision, and the same `Spelling` brings the patterns of policy rules into it, segment by segment.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")


class Form(StrEnum):
    """The kinds of canonical form of a name."""

    FOLDED = "folded"
    """Lower case: the name ignores case."""
    FOLDER = "folder"
    """A path without slashes at its ends and without repeated slashes, which have no meaning."""
    NUMBER = "number"
    """A whole number in decimal, without leading zeros."""


def folded(text: str) -> str:
    """Return text in lower case, each letter independently of its neighbours.

    `str.lower` has one rule that depends on context: a capital sigma at the end of a word. The end
    of a prefix rule is not the end of the names that it matches, so sigma is replaced first.
    """
    return text.replace("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER SIGMA}").lower()


def formed(form: Form, text: str) -> str:
    """Return the canonical form of a captured name."""
    if form is Form.FOLDED:
        return folded(text)
    if form is Form.FOLDER:
        return tidied(text)
    return str(int(text)) if _NUMBER.fullmatch(text) else text


def tidied(text: str) -> str:
    """Return a path without empty segments."""
    return "/".join(part for part in text.split("/") if part)


@dataclass(frozen=True, slots=True)
class Spelling:
    """The segments of a path that have several spellings, by position.

    `rests` are names that take all segments from a position on.
    """

    segments: tuple[tuple[int, Form], ...] = ()
    rests: tuple[tuple[int, Form], ...] = ()

    @property
    def has_folder(self) -> bool:
        """Return whether a slash at the end of the path has no meaning."""
        return any(form is Form.FOLDER for _, form in self.rests)

    def below(self, folder: str) -> "Spelling":
        """Return this spelling shifted to paths that start with folder, which ends in a slash."""
        count = folder.count("/")
        return Spelling(_moved(self.segments, count), _moved(self.rests, count))

    def respell(self, text: str, *, is_prefix: bool = False) -> str:
        """Return a path, or a rule's pattern, with those segments in their canonical form.

        The last segment of a prefix may continue in the path, so it is not a complete number.
        """
        parts = text.split("/")
        last = len(parts) - 1
        for at, form in self.segments:
            whole = at < last or not is_prefix
            if at <= last and (whole or form is Form.FOLDED):
                parts[at] = formed(form, parts[at])
        for start, form in self.rests:
            if start <= last:
                rest = parts[start:]
                parts[start:] = _folder(rest, is_prefix) if form is Form.FOLDER else _folded(rest)
        return "/".join(parts)


def _moved(positions: Iterable[tuple[int, Form]], count: int) -> tuple[tuple[int, Form], ...]:
    return tuple((at + count, form) for at, form in positions)


def _folded(parts: list[str]) -> list[str]:
    return [folded(part) for part in parts]


def _folder(parts: list[str], is_prefix: bool) -> list[str]:
    """Return parts without empty ones; the last part of a prefix is kept even if empty."""
    kept = [part for part in parts[:-1] if part]
    return [*kept, parts[-1]] if is_prefix or parts[-1] or not kept else kept
