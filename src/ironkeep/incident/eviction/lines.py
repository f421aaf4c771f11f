"""The text of an inventory's item in a record of a case: short, and still unique."""

from typing import Final

from ironkeep.credentials.baselines import id_of

MAX_ITEM: Final = 240
"""Characters of an item in a record; a longer one is cut and ends in its id."""


def line_of(text: str) -> str:
    """Return the text of an item for a record: cut to a limit, but still unique."""
    return text if len(text) <= MAX_ITEM else f"{text[: MAX_ITEM - 18]}… {id_of(text)}"
