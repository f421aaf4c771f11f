"""The one form of a path of which some segments have several spellings.

Names of users, roles and policies are the same in capitals; a mount is the same with a slash at its
end; a number is the same with a zero in front. A route declares which of its captured names are so
(plugin/route.py). A request's path is brought into its one form in routing, before anything is
decided on it, and rules that were written in another spelling are brought into that form by the
same `Spelling`, segment by segment.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")


class Form(StrEnum):
    """How the one form of a name is made of any of its spellings."""

    FOLDED = "folded"
    """Capitals are the same as small letters."""
    FOLDER = "folder"
    """Slashes at both ends, and repeated ones, say nothing."""
    NUMBER = "number"
    """A whole number in decimal."""


def folded(text: str) -> str:
    """Return text in small letters, each letter by itself.

    `str.lower` writes a capital sigma otherwise at the end of a word, and no other letter by what
    is beside it; the end of a rule is not that of the names which it is a prefix of.
    """
    return text.replace("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER SIGMA}").lower()


def formed(form: Form, text: str) -> str:
    """Return the one form of a captured name."""
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
    """Which segments of a path have other spellings, by their position.

    `rests` are names that hold all segments from a position on.
    """

    segments: tuple[tuple[int, Form], ...] = ()
    rests: tuple[tuple[int, Form], ...] = ()

    @property
    def has_folder(self) -> bool:
        """Return whether a slash at the end of the path says nothing."""
        return any(form is Form.FOLDER for _, form in self.rests)

    def below(self, folder: str) -> "Spelling":
        """Return the same for paths that start with folder, which ends in a slash."""
        count = folder.count("/")
        return Spelling(_moved(self.segments, count), _moved(self.rests, count))

    def respell(self, text: str, *, is_prefix: bool = False) -> str:
        """Return a path, or what a rule says of paths, with those segments in their one form.

        The last segment of a prefix may go on in the path, and so is no number yet.
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
    """Return parts without empty ones; of a prefix the last stays, which a slash may end."""
    kept = [part for part in parts[:-1] if part]
    return [*kept, parts[-1]] if is_prefix or parts[-1] or not kept else kept
