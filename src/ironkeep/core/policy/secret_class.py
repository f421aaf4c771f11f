"""How well a secret is guarded, from what anybody with a policy may read to what nobody can alone.

The strictest of all rules that match a path holds: a class is in a table of its own, and not in the
priorities of policies, so that no policy can weaken it.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Demand:
    """What all rules together ask of a read: a class, and who approves where that takes approval.

    Approvers hold every policy in `groups`.
    """

    guard: SecretClass = SecretClass.OPEN
    approvals: int = 1
    groups: frozenset[str] = frozenset()

    def is_weaker_than(self, before: "Demand") -> bool:
        """Return whether anything that before asked for is no longer asked for.

        One dimension is enough: a stricter class with fewer approvals is weaker, because the class
        can then be lowered with those fewer approvals.
        """
        if before.guard is SecretClass.OPEN:
            return False
        return (
            self.guard < before.guard
            or self.approvals < before.approvals
            or not before.groups <= self.groups
        )
