"""Tells the story on the terminal, and stops it when a step does not come out as told."""

from collections.abc import Iterable
from typing import Final

from ironkeep.cli.output.terminal import Painted, Terminal

_BOLD: Final = "1"
_DIM: Final = "2"
_GREEN: Final = "32"
_RED: Final = "31"


class StoryBroken(Exception):
    """A step of the demo did not come out as told."""


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
        """Say what happens."""
        self._terminal.say(f"   {text}")

    def run(self, command: str) -> None:
        """Show a command that is being run."""
        self._terminal.say(Painted(f"   $ {command}", _DIM))

    def show(self, lines: Iterable[str]) -> None:
        """Show what an answer says."""
        for line in lines:
            self._terminal.say(f"       {line}")

    def check(self, what: str, holds: bool, found: object = "") -> None:
        """Say that something holds; raise StoryBroken, with what was found, when it does not."""
        if not holds:
            self._terminal.say(Painted(f"   ✗ {what}", _RED))
            raise StoryBroken(f"not as told: {what}" + (f"; found: {found}" if found else ""))
        self.checks += 1
        self._terminal.say("   ", Painted("✓", _GREEN), f" {what}")
