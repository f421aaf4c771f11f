"""Prints the story on the terminal, and ends it at the first check that does not hold."""

from collections.abc import Iterable
from typing import Final

from ironkeep.cli.output.terminal import Painted, Terminal

_BOLD: Final = "1"
_DIM: Final = "2"
_GREEN: Final = "32"
_RED: Final = "31"


class StoryBroken(Exception):
    """A check of the demo did not hold."""


class Teller:
    """Prints chapters, facts and checks."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal: Final = terminal
        self._chapter = 0
        self.checks = 0

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._chapter += 1
        self._terminal.say("")
        self._terminal.say(Painted(f"{self._chapter}. {title}", _BOLD))

    def tell(self, text: str) -> None:
        """Print a sentence of the story."""
        self._terminal.say(f"   {text}")

    def run(self, command: str) -> None:
        """Print the command that is run."""
        self._terminal.say(Painted(f"   $ {command}", _DIM))

    def show(self, lines: Iterable[str]) -> None:
        """Print lines of an answer."""
        for line in lines:
            self._terminal.say(f"       {line}")

    def check(self, what: str, holds: bool, found: object = "") -> None:
        """Print that something holds; if not, raise StoryBroken with what was found."""
        if not holds:
            self._terminal.say(Painted(f"   ✗ {what}", _RED))
            raise StoryBroken(f"does not hold: {what}" + (f"; found: {found}" if found else ""))
        self.checks += 1
        self._terminal.say("   ", Painted("✓", _GREEN), f" {what}")
