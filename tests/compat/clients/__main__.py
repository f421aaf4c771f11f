"""Runs real clients, unmodified, against real servers: `make clients`.

`python -m tests.compat.clients [--write] [node bao agent ansible hvac]` compares what came out with
expected.json; with --write the lists go into docs/api.md. The exit status is 1 when anything came
out otherwise than expected. A client that is not on this machine is named and left out.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.compat import hvac_suite
from tests.compat.clients import ansible, bao, bao_agent, node, report
from tests.compat.clients.outcome import Suite

FOLDER: Final = report.ROOT / ".venv" / "clients"
SUITES: Final[dict[str, Callable[[Path, Path], Suite]]] = {
    "node": node.run,
    "bao": bao.run,
    "agent": bao_agent.run,
    "ansible": ansible.run,
}
HVAC: Final = "hvac"


def main(words: list[str]) -> int:
    """Run the suites that words name, or all."""
    write = "--write" in words
    wanted = [word for word in words if word != "--write"] or [*SUITES, HVAC]
    unknown = set(wanted) - {*SUITES, HVAC}
    if unknown:
        print(f"no such client: {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}, hvac")
        return 2
    surprised = False
    for key in wanted:
        begun = time.monotonic()
        surprised |= _hvac(write=write) if key == HVAC else _one(key, write=write)
        print(f"  {time.monotonic() - begun:.0f} seconds", flush=True)
    return 1 if surprised else 0


def _one(key: str, *, write: bool) -> bool:
    with tempfile.TemporaryDirectory(prefix="ironkeep-clients-") as home:
        suite = SUITES[key](FOLDER, Path(home))
    if suite.missing:
        print(f"{suite.title}: SKIPPED, {suite.missing}")
        return False
    passed = sum(each.passed for each in suite.outcomes)
    print(f"{suite.title}: {passed} of {len(suite.outcomes)} pass")
    found = report.surprises(suite)
    for line in found:
        print(f"  {line}")
    if write:
        report.write(suite)
    return bool(found)


def _hvac(*, write: bool) -> bool:
    if not hvac_suite.SUITE.exists():
        print("hvac 2.4.0: SKIPPED, its source distribution is not there")
        return False
    results = hvac_suite.run()
    print(f"hvac 2.4.0: {len(results.passed)} pass, {len(results.failed)} fail")
    if write:
        hvac_suite.write(results)
        return False
    same = hvac_suite.as_markdown(results) == hvac_suite.documented()
    if not same:
        print("  its lists in docs/api.md are others now")
    return not same


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
