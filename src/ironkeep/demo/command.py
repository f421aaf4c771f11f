"""`ironkeep demo`: the breach replay, with real processes on this machine."""

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
        teller.chapter("The set-up: a vault, two witnesses, and a PostgreSQL with backups")
        with built(Path(name)) as stage:
            estate = Estate(stage, teller)
            estate.build()
            teller.tell("Before the breach, the vault records which secrets open which data, and")
            teller.tell(
                "takes a baseline of the database. An auditor pins the keys of the log, the"
            )
            teller.tell("witnesses and the evidence packs.")
            try:
                Replay(estate, teller).play()
            except StoryBroken as broken:
                terminal.note(f"ironkeep demo: {broken}")
                return LOCAL
    seconds = time.monotonic() - began
    terminal.say(f"\n{teller.checks} checks held, in {seconds:.0f} seconds.")
    return OK


DEMO: Final = Command(
    "Replay a breach: the leak, its exposure, the eviction and the proof. Every step is asserted.",
    _demo,
    "",
    "  $ ironkeep demo",
    remote=False,
    output=False,
)
