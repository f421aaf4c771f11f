"""Secret classes: protections beyond policy, such as a touch or other people's approval.

The strictest class of all rules that match a path applies. Classes have a table of their own,
outside the priorities of policies, so that no policy can weaken them.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class SecretClass(IntEnum):
    """The classes in ascending order of strictness."""

    OPEN = 0
    """Policy alone decides."""
    GUARDED = 1
    """Each read needs one touch of the reader's authenticator."""
    TWO_PERSON = 2
    """Each read needs the approval of other people."""
    CUSTODY = 3
    """No server can decrypt it; not available yet: secrets of this class are refused."""

    @property
    def text(self) -> str:
        """The name of the class in rules and messages."""
        return _TEXTS[self]


_TEXTS: Final = {
    SecretClass.OPEN: "open",
    SecretClass.GUARDED: "guarded",
    SecretClass.TWO_PERSON: "two-person",
    SecretClass.CUSTODY: "custody",
}

BY_TEXT: Final = {text: each for each, text in _TEXTS.items()}
"""The classes by name."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The combined demand of all rules on a read: a class, and the approvals that it needs.

    Each approver must have every policy in `groups`.
    """

    secret_class: SecretClass = SecretClass.OPEN
    approvals: int = 1
    groups: frozenset[str] = frozenset()

    def is_weaker_than(self, before: "Demand") -> bool:
        """Return whether this demand is weaker than before in any dimension.

        A stricter class with fewer approvals is weaker: the class could then be lowered with those
        fewer approvals.
        """
        if before.secret_class is SecretClass.OPEN:
            return False
        return (
            self.secret_class < before.secret_class
            or self.approvals < before.approvals
            or not before.groups <= self.groups
        )
