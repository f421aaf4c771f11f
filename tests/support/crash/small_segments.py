"""A real server whose journal's segments are small: they rotate, and go into bundles, all the time.

python -m tests.support.crash.small_segments server -config=…
"""

import sys
from functools import partial
from typing import Final

from ironkeep.adapters.log import node_logs
from ironkeep.cli.main import main
from ironkeep.journal.recovery import open_journal

FILE_BYTES: Final = 32 << 10

if __name__ == "__main__":
    small = partial(open_journal, file_bytes=FILE_BYTES)
    node_logs.open_journal = small  # type: ignore[attr-defined]
    sys.exit(main())
