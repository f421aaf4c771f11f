"""How well a secret is guarded, from what anybody with a policy may read to what nobody can alone.

The strictest of all rules that match a path holds: a class is in a table of its own, and not in the
priorities of policies, so that no policy can weaken it.
"""

from enum import IntEnum
from typing import Final


class SecretClass(IntEnum):
    """In ascending order of strictness."""

    OPEN = 0
    """Policy alone decides."""
    GUARDED = 1
    """Each read takes one touch of the reader's authenticator."""
    TWO_PERSON = 2
    """Each read takes the approval of other people."""
    CUSTODY = 3
    """No server can open it: what is put here is refused until custody is there."""

    @property
    def text(self) -> str:
        """The name as people write it."""
        return _TEXTS[self]


_TEXTS: Final = {
    SecretClass.OPEN: "open",
    SecretClass.GUARDED: "guarded",
    SecretClass.TWO_PERSON: "two-person",
    SecretClass.CUSTODY: "custody",
}

BY_TEXT: Final = {text: each for each, text in _TEXTS.items()}
"""The classes by the names that people write."""
