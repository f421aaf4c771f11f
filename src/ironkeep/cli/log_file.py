"""The option `-log-file` of the commands that keep running: server, witness and agent."""

import argparse
from pathlib import Path

from ironkeep.adapters import log


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--log-file",
        metavar="FILE",
        type=Path,
        help="write messages here too, beside standard error; SIGHUP opens it anew",
    )


def begin(args: argparse.Namespace, configured: Path | None = None) -> None:
    """Write messages to the file that was given, or configured; raise InvalidRequest."""
    log.write_to(args.log_file or configured)
