"""The attacker as a program: it has what is in its loot, the source code, and the address.

    python -m tests.attacks.attacker LOOT [POSITION]

LOOT is a folder with `target.json` (address, CA file, mounts), and what the attacker brings along.
POSITION is where they stand:

    thief            has what was stolen from a person's machine, or a live shell on it (default)
    stranger         is on the network, with nothing
    page             is open in the browser of a person who uses the vault
    client           holds a valid token, and what it stands on
    administrator    may set up people, roles, rules and budgets, alone
    database         is an administrator with a database server of their own
    machine          has an enrolled device that lies, or one that was turned away

It tries all that the source code lets it think of, and prints one JSON document: a row for each
step (tried, let in, statuses), and everything that it was answered.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.attacks.administrator import Administrator
from tests.attacks.attempts import Attempts
from tests.attacks.client import Client
from tests.attacks.database import Database
from tests.attacks.machine import Machine
from tests.attacks.page import Page
from tests.attacks.stranger import Stranger
from tests.attacks.thief import Thief

POSITIONS: Final[dict[str, Callable[[Attempts], Any]]] = {
    "thief": Thief,
    "stranger": Stranger,
    "page": Page,
    "client": Client,
    "administrator": Administrator,
    "database": Database,
    "machine": Machine,
}


def main(loot: Path, position: str = "thief") -> None:
    """Try everything from one position, and print the report."""
    attempts = Attempts(loot)
    with attempts.stack:
        POSITIONS[position](attempts).run()
    rows = [vars(row) for row in attempts.rows]
    json.dump({"rows": rows, "answers": attempts.answers}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
