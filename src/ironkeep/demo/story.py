"""The breach replay from its first process to its last check."""

import tempfile
import time
from pathlib import Path

from ironkeep.cli.exits import LOCAL, OK
from ironkeep.cli.output.terminal import Terminal
from ironkeep.demo.estate import Estate
from ironkeep.demo.replay import Replay
from ironkeep.demo.stage import built
from ironkeep.demo.teller import StoryBroken, Teller


def tell(terminal: Terminal) -> int:
    """Replay the breach; return the exit code of the command."""
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
