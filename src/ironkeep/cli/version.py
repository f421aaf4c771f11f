"""`ironkeep version`."""

from typing import Final

from ironkeep import __version__
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import OK

API_VERSION: Final = "1.16.3"
"""The release of Vault whose API the server speaks."""


def version_text() -> str:
    """Return the text of `version`; scripts take its second word."""
    return f"Ironkeep v{__version__} (Vault API v{API_VERSION})"


def _version(context: Context) -> int:
    context.terminal.say(version_text())
    return OK


VERSION: Final = Command(
    "Print the version.",
    _version,
    examples="  $ ironkeep version",
    remote=False,
    output=False,
)
