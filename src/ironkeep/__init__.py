"""Ironkeep: a secrets vault that proves what happened on the day of a breach."""

import sys

__version__ = "0.1.0"

# httpx imports its own command line, with click, rich and pygments, which would take a third of the
# start-up time of a server and of every command. Importing a module that is None raises
# ImportError, which httpx handles.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
