"""`ironkeep` for test_bound_tokens.py: its certificates have expired when they are issued."""

import sys

from ironkeep.access.certificates import certificates as device_certificates
from ironkeep.cli.main import main

if __name__ == "__main__":
    device_certificates.LIFE_SECONDS = -1  # type: ignore[misc]
    sys.exit(main())
