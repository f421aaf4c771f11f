"""Build the posture rules that Ironkeep ships, from CISA's catalogue and posture_rules.base.json.

    python tools/posture_rules.py known_exploited_vulnerabilities.json

The version ranges in posture_rules.base.json are copied from NVD, each with its source. This adds
the catalogue's data on each CVE, and the catalogue's date. Edit the base, not the built file.
"""  # noqa: INP001 - a script

import sys
from pathlib import Path
from typing import Final

from ironkeep.core.device import kev, posture_rules

HERE: Final = Path(__file__).parent
BUILT: Final = HERE.parent / "src" / "ironkeep" / "access" / "posture" / "rules.json"


def build(catalogue: bytes) -> bytes:
    """Return the rules file built from a catalogue; raise the errors of its two parsers."""
    base = posture_rules.decode((HERE / "posture_rules.base.json").read_bytes())
    return posture_rules.encode(kev.joined(base, kev.parse(catalogue)))


if __name__ == "__main__":
    BUILT.write_bytes(build(Path(sys.argv[1]).read_bytes()))
