"""One step of a story: a value that can be printed, read back, left out, and played."""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ironkeep.testing.simulation.world import World


class Step(msgspec.Struct, frozen=True, tag_field="do", omit_defaults=True):
    """Base of all steps; fields have defaults, so that a step can be printed as a single word."""

    def play(self, world: "World") -> None:
        """Do it; do nothing where the story so far does not allow it."""
        self._play(world)

    def _play(self, world: "World") -> None:
        raise NotImplementedError

    def __str__(self) -> str:
        fields = msgspec.to_builtins(self)
        verb = fields.pop("do")
        kept = (f"{key}={_word(value)}" for key, value in fields.items())
        return " ".join([verb, *kept])


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
