"""Shorten a story by leaving out steps, as long as it still shows what it was found for."""

from collections.abc import Callable

from ironkeep.testing.simulation.story import Story


def shrunk(story: Story, shows: Callable[[Story], bool]) -> Story:
    """Return a story of which no step can be left out; delta debugging, with ever smaller parts."""
    size = max(len(story) // 2, 1)
    while True:
        at, before = 0, len(story)
        while at < len(story):
            shorter = story[:at] + story[at + size :]
            if shorter and shows(shorter):
                story = shorter
            else:
                at += size
        if size > 1:
            size //= 2
        elif len(story) == before:
            return story
