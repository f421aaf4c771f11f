"""`ironkeep demo`: the breach replay, on real processes of this machine alone."""

import tempfile
import time
from pathlib import Path
from typing import Final

from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import LOCAL, OK
from ironkeep.demo.estate import Estate
from ironkeep.demo.replay import Replay
from ironkeep.demo.stage import built
from ironkeep.demo.teller import StoryBroken, Teller


def _demo(context: Context) -> int:
    terminal = context.terminal
    teller, began = Teller(terminal), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ironkeep-demo-") as name:
        teller.chapter("An estate: a vault, two witnesses, a PostgreSQL that holds backups")
        with built(Path(name)) as stage:
            estate = Estate(stage, teller)
            estate.build()
            teller.tell("What opens what is on record, and a baseline of the database, before")
            teller.tell("anything happens. An auditor pins the keys of log, witnesses and packs.")
            try:
                Replay(estate, teller).play()
            except StoryBroken as broken:
                terminal.note(f"ironkeep demo: {broken}")
                return LOCAL
    seconds = time.monotonic() - began
    terminal.say(f"\n{teller.checks} checks held, in {seconds:.0f} seconds.")
    return OK


DEMO: Final = Command(
    "Replay a breach: a leak, what it exposed, the way out, and the proof. Every step is asserted.",
    _demo,
    "",
    "  $ ironkeep demo",
    remote=False,
    output=False,
)
