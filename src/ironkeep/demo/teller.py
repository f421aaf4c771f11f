"""Tells the story on the terminal, and stops it when a step does not come out as told."""

from collections.abc import Iterable
from typing import Final

from ironkeep.cli.terminal import Terminal, printable

_BOLD: Final = "\x1b[1m"
_DIM: Final = "\x1b[2m"
_GREEN: Final = "\x1b[32m"
_RED: Final = "\x1b[31m"
_END: Final = "\x1b[0m"


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
        self._terminal.say(self._styled(_BOLD, f"{self._chapter}. {title}"))

    def tell(self, text: str) -> None:
        """Say what happens."""
        self._terminal.say(f"   {printable(text)}")

    def run(self, command: str) -> None:
        """Show a command that is being run."""
        self._terminal.say(self._styled(_DIM, f"   $ {command}"))

    def show(self, lines: Iterable[str]) -> None:
        """Show what an answer says."""
        for line in lines:
            self._terminal.say(f"       {printable(line)}")

    def check(self, what: str, holds: bool, found: object = "") -> None:
        """Say that something holds; raise StoryBroken, with what was found, when it does not."""
        if not holds:
            self._terminal.say(self._styled(_RED, f"   ✗ {what}"))
            raise StoryBroken(f"not as told: {what}" + (f"; found: {found}" if found else ""))
        self.checks += 1
        self._terminal.say(f"   {self._styled(_GREEN, '✓')} {printable(what)}")

    def _styled(self, style: str, text: str) -> str:
        return f"{style}{printable(text)}{_END}" if self._terminal.interactive else printable(text)
