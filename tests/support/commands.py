"""The function with which tests of the command line run commands."""

from typing import Protocol

from ironkeep.testing.server import Done


class Run(Protocol):
    """Run the command that the words make, with `given` as its standard input."""

    def __call__(self, *words: str, given: str = "") -> Done: ...
