"""The option `-log-file` of the commands that keep running: server, witness and agent."""

import argparse
from pathlib import Path

from ironkeep.adapters.process import messages as log


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--log-file",
        metavar="FILE",
        help="also write messages to this file; SIGHUP reopens it",
    )


def begin(args: argparse.Namespace, configured: Path | None = None) -> None:
    """Write messages to the given or configured file, if any; raise InvalidRequest."""
    log.write_to(Path(args.log_file) if args.log_file else configured)
