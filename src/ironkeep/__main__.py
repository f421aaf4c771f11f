"""`python -m ironkeep`: the same as the `ironkeep` command."""

import sys

from ironkeep.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
