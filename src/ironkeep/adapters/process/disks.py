"""The disks of the database and the journal: an operator is warned before they are full."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ironkeep.adapters.process.machine import free

LOW_BYTES: Final = 512 << 20
"""Room below which an operator is warned: some ten minutes at a thousand requests a second, and
several days at ten."""


class Once:
    """Says a kind of trouble when it begins, and not again before it was over."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say: Final = say
        self._said: Final[set[str]] = set()

    def say(self, kind: str, text: str) -> None:
        """Say text, unless kind was said and is not over."""
        if kind not in self._said:
            self._said.add(kind)
            self._say(text)

    def over(self, kind: str) -> None:
        """Note that a kind of trouble is not there now."""
        self._said.discard(kind)


class Disks:
    """Folders by name, and what was said of them."""

    def __init__(self, folders: Mapping[str, Path], say: Callable[[str], None]) -> None:
        self._folders: Final = folders
        self.once: Final = Once(say)

    def look(self) -> tuple[str, ...]:
        """Return a warning for each disk that is nearly full; a new one is said too."""
        found = []
        for name, path in self._folders.items():
            left = free(path)
            if left is not None and left < LOW_BYTES:
                text = f"the disk of the {name} is nearly full: {left >> 20} MiB are left"
                self.once.say(name, text)
                found.append(text)
            else:
                self.once.over(name)
        return tuple(found)
