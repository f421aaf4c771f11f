"""Ironkeep: a secrets vault that proves what happened on the day of a breach."""

import sys

__version__ = "0.1.0"

# httpx brings a command line of its own, made of click, rich and pygments: a third of the start of
# a server, and of every command. A module that is None cannot be imported, which httpx expects.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
