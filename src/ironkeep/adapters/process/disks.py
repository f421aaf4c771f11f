"""Warns operators before the disks of the database and the journal are full."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ironkeep.adapters.process.machine import free

LOW_BYTES: Final = 512 << 20
"""Free space below which operators are warned: enough for some ten minutes at a thousand requests
a second, and for several days at ten."""


class Once:
    """Reports each kind of trouble once when it begins, and again only after it was over."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say: Final = say
        self._said: Final[set[str]] = set()

    def say(self, kind: str, text: str) -> None:
        """Report text, unless this kind was reported and is not over."""
        if kind not in self._said:
            self._said.add(kind)
            self._say(text)

    def over(self, kind: str) -> None:
        """Note that a kind of trouble is over."""
        self._said.discard(kind)


class Disks:
    """The watched folders by name."""

    def __init__(self, folders: Mapping[str, Path], say: Callable[[str], None]) -> None:
        self._folders: Final = folders
        self.once: Final = Once(say)

    def look(self) -> tuple[str, ...]:
        """Return a warning for each nearly full disk; report a new one through `say` as well."""
        found = []
        for name, path in self._folders.items():
            left = free(path)
            if left is not None and left < LOW_BYTES:
                text = f"the disk of the {name} is nearly full: {left >> 20} MiB left"
                self.once.say(name, text)
                found.append(text)
            else:
                self.once.over(name)
        return tuple(found)
