"""What clients and operators are told when nothing can be made durable: the machine's words."""

import json

from ironkeep.core.errors import Unavailable
from ironkeep.plugin.effects.answer import Answer


def lost(error: BaseException) -> Answer:
    """Return the answer to a request whose batch failed; it may have become durable all the same.

    Only the machine's own words are given: any other error may hold what nobody should see.
    """
    text = "the disk failed while this request was made durable: its outcome is unknown"
    if isinstance(error, OSError | MemoryError):
        text = f"{text} ({_cause(error)})"
    return Answer(None, json.dumps({"errors": [text]}).encode(), Unavailable)


def _cause(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def reason_of(error: BaseException) -> str:
    """Return why nothing is made durable for now, in words for whoever asks."""
    return (
        f"nothing can be written for now: {_cause(error)}. The server goes on by itself when that "
        "is mended"
    )
