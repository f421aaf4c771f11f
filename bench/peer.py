"""The same load on Ironkeep and on OpenBao, in alternation: see docs/performance.md.

    python bench/peer.py [--seconds 5] [--rounds 5] [--connections 1 64 256] [--only reads]
                         [--page docs/performance.md]

Both servers run on disk on this machine, with the same keys, policies, users and number of tokens.
In each round one server is measured after the other; the order changes from round to round. A
figure is the median over the rounds, and so is a ratio, which compares the two runs of one round.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import page
import wrk
from house import KEYS, USERS, House, Server
from openbao import OpenBao, program_of
from processes import HERE, Process, make_certificate
from run import WORK, machine

from ironkeep import __version__

CONNECTIONS = (1, 64, 256)
OPENBAO = HERE.parent / ".venv" / "openbao"
"""Where `make bench-peer` installs OpenBao."""
LOGIN_SECONDS = 20
"""Seconds of logins, at least: hundreds of connections wait for one another's passwords."""
REST = 1
"""Seconds between two measurements, after all data is on the disk."""
BEGIN = "<!-- comparison: written by bench/peer.py --page -->"
END = "<!-- end of comparison -->"
MEASURES = ("per_second", "p50_ms", "p99_ms", "all_us")
COLUMNS = ("a second", "p50 ms", "p99 ms", "CPU us each")
HEAD = f"| work | connections | {' | ratio | '.join(COLUMNS)} | ratio |\n|---|{'--:|' * 9}\n"
NOTHING = "-"


@dataclass
class Side:
    """One of the two servers."""

    name: str
    server: Server
    process: Process

    def measure(self, work: str, connections: int, seconds: int) -> wrk.Figures:
        """Load the server with one kind of work."""
        os.sync()
        time.sleep(REST)
        arguments = [str(USERS)] if work == "logins" else [str(self.server.tokens), str(KEYS)]
        if work == "logins":
            seconds = max(seconds, LOGIN_SECONDS)
        url = self.process.urls["plain"]
        found = wrk.drive(self.process, url, work, arguments, connections, seconds)
        if work == "logins":
            self.server.login()
        if isinstance(self.server, OpenBao) and not self.server.take_audited():
            raise SystemExit("OpenBao wrote no audit log: the figures would not compare")
        failed = f"  {found.failed} failed" if found.failed else ""
        print(
            f"{self.name:9}{work:7} c={connections:<4}{found.per_second:10,.0f}/s"
            f"  p50 {found.p50_ms:8.2f} ms  p99 {found.p99_ms:8.2f} ms"
            f"  {found.all_us:9.1f} us{failed}",
            flush=True,
        )
        return found


@dataclass
class Line:
    """The figures of one kind of work at one number of connections, a pair for each round."""

    work: str
    connections: int
    pairs: list[tuple[wrk.Figures, wrk.Figures]]

    def row(self) -> str:
        """Return the line of the table."""
        cells = [self.work, str(self.connections)]
        for measure in MEASURES:
            pairs = [(getattr(one, measure), getattr(two, measure)) for one, two in self.pairs]
            ours, theirs = (median(pair[side] for pair in pairs) for side in (0, 1))
            ratios = [one / two for one, two in pairs if one and two]
            cells.append(f"{_shown(ours)} / {_shown(theirs)}")
            cells.append(f"{median(ratios):.2f}" if ratios else NOTHING)
        return f"| {' | '.join(cells)} |\n"

    def failures(self) -> tuple[int, int]:
        """Return the failed requests of both sides in all rounds."""
        return sum(pair[0].failed for pair in self.pairs), sum(
            pair[1].failed for pair in self.pairs
        )


def _shown(value: float) -> str:
    if not value:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def compare(sides: tuple[Side, Side], options: argparse.Namespace) -> list[Line]:
    """Measure everything, round by round; return a line for each work and number of connections."""
    lines = [
        Line(work, connections, []) for work in options.only for connections in options.connections
    ]
    for number in range(options.rounds):
        order = sides if number % 2 == 0 else sides[::-1]
        for line in lines:
            found = {
                side.name: side.measure(line.work, line.connections, options.seconds)
                for side in order
            }
            line.pairs.append((found[sides[0].name], found[sides[1].name]))
    return lines


def report(lines: list[Line], version: str, options: argparse.Namespace) -> str:
    """Return the table, with the conditions under which it was measured."""
    found: dict[str, Any] = machine()
    rounds = "one round" if options.rounds == 1 else f"{options.rounds} rounds"
    logins = max(options.seconds, LOGIN_SECONDS)
    conditions = (
        f"Ironkeep {__version__} / {version}; a ratio is ours to theirs. {found['cpus']} CPUs, "
        f"Python {found['python']}, Linux {found['kernel']}; medians of {rounds} of "
        f"{options.seconds} s ({logins} s of logins); load average at the end "
        f"{', '.join(map(str, found['load']))}."
    )
    failed = [
        f"{line.work} at {line.connections} connections: {ours} of ours, {theirs} of theirs"
        for line in lines
        for ours, theirs in [line.failures()]
        if ours or theirs
    ]
    text = f"{conditions}\n\n{HEAD}{''.join(line.row() for line in lines)}"
    if failed:
        text += (
            "\nRequests that were refused or not answered, whose times and CPU are in the table: "
            f"{'; '.join(failed)}.\n"
        )
    return text.rstrip()


def measure(root: Path, program: Path, options: argparse.Namespace) -> str:
    """Start both servers, compare them, stop them; return the report."""
    cert, key = make_certificate(root)
    folders = root / "ironkeep", root / "openbao"
    for folder in folders:
        folder.mkdir()
    ours, theirs = House(folders[0], cert, key), OpenBao(folders[1], program)
    started: list[Process] = []
    try:
        for server in (ours, theirs):
            started.append(server.start())
            server.fill()
        sides = Side("ironkeep", ours, started[0]), Side("openbao", theirs, started[1])
        return report(compare(sides, options), theirs.version, options)
    finally:
        for process in started:
            process.stop()


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=list(CONNECTIONS))
    parser.add_argument("--only", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--page", type=Path, help="write the table into this page")
    options = parser.parse_args()
    # A terminated run stops its servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wrk.require()
    program = program_of(OPENBAO)
    with tempfile.TemporaryDirectory(prefix="ironkeep-peer-") as name:
        found = measure(Path(name), program, options)
    print(f"\n{found}")
    if options.page:
        page.put(options.page, BEGIN, END, found)


if __name__ == "__main__":
    main()
