"""Build the posture rules that Ironkeep ships, from CISA's catalogue and the ranges kept here.

    python tools/posture_rules.py known_exploited_vulnerabilities.json

Ranges in posture_rules.base.json are copied from NVD, each with its source; this adds what the
catalogue says of each CVE, and its day. Edit the base, not what is built.
"""  # noqa: INP001 - a script

import sys
from pathlib import Path
from typing import Final

from ironkeep.core.device import kev, posture_rules

HERE: Final = Path(__file__).parent
BUILT: Final = HERE.parent / "src" / "ironkeep" / "access" / "posture" / "rules.json"


def build(catalogue: bytes) -> bytes:
    """Return the rules file as built from a catalogue; errors as those of its parts."""
    base = posture_rules.decode((HERE / "posture_rules.base.json").read_bytes())
    return posture_rules.encode(kev.joined(base, kev.parse(catalogue)))


if __name__ == "__main__":
    BUILT.write_bytes(build(Path(sys.argv[1]).read_bytes()))
