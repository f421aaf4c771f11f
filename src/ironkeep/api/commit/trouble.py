"""Texts for clients and operators when nothing can be made durable."""

import json
from typing import Final

from ironkeep.core.errors import Unavailable
from ironkeep.plugin.effects.answer import Answer

OUTCOME_UNKNOWN: Final = (
    "the server could not make sure that this request is durable: its outcome is unknown"
)


def lost(error: BaseException) -> Answer:
    """Return the answer to a request whose batch failed; the batch may be durable all the same.

    Only errors of the operating system are quoted: any other error may contain secret values.
    """
    text = OUTCOME_UNKNOWN
    if isinstance(error, OSError | MemoryError):
        text = "the disk failed while this request was made durable: its outcome is unknown"
        text = f"{text} ({_cause(error)})"
    return Answer(None, json.dumps({"errors": [text]}).encode(), Unavailable)


def _cause(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def reason_of(error: BaseException) -> str:
    """Return the text that says why nothing can be made durable for now."""
    return (
        f"nothing can be written for now: {_cause(error)}. The server resumes by itself once that "
        "is resolved"
    )
