"""Operator messages: one line each on standard error, with a time, and never a secret.

What others wrote is part of some of them: an upstream's errors, names. It is spelt out, so that it
neither drives the terminal nor begins a line of its own.

What happened belongs in the journal. These lines tell whoever starts a server what it is doing, and
the place of a defect, without the values involved.
"""

import sys
import traceback
from datetime import UTC, datetime

from ironkeep.core.visible import visible


def say(message: str) -> None:
    """Print one line."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    print(f"{now} {visible(message)}", file=sys.stderr, flush=True)  # noqa: T201 - this is what it is for


def defect(request_id: str, error: BaseException) -> None:
    """Say where a defect is: class, file and line of each frame, but no message and no values."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in reversed(frames))
    say(f"defect in request {request_id}: {type(error).__name__} at {places}")
