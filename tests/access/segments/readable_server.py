"""`ironkeep` whose memory its parent may read: the guard against just that is left out."""

import sys

from ironkeep.cli import main
from ironkeep.cli.operator import server


def _allow_reading() -> None:
    """Stand in for `forbid_dumps`."""


if __name__ == "__main__":
    vars(server)["forbid_dumps"] = _allow_reading
    sys.exit(main.main())
