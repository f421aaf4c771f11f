"""The attacker as a program: it has what is in its loot, the source code, and the address.

    python -m tests.attacks.positions.attacker LOOT [POSITION]

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

import importlib
import json
import sys
from pathlib import Path
from typing import Final

from tests.attacks.positions.attempts import Attempts

POSITIONS: Final = (
    "thief", "stranger", "page", "client", "administrator", "database", "machine",
)  # fmt: skip
"""Each is a module here with a class of its name. Only the one that is asked for is loaded."""


def main(loot: Path, position: str = "thief") -> None:
    """Try everything from one position, and print the report."""
    if position not in POSITIONS:
        raise SystemExit(f"a position is one of: {', '.join(POSITIONS)}")
    module = importlib.import_module(f"tests.attacks.positions.{position}")
    attempts = Attempts(loot)
    with attempts.stack:
        getattr(module, position.title())(attempts).run()
    rows = [vars(row) for row in attempts.rows]
    json.dump({"rows": rows, "answers": attempts.answers}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
