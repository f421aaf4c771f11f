"""The roles and users by which the holder of an alias may log in, as an auth method knows them.

The history has what each role or user yields (`token_params.LOGIN`), by its name. Which of these
names an alias can use is the method's own knowledge.
"""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from ironkeep.store.barrier import Store


@runtime_checkable
class Admitting(Protocol):
    """An auth method that knows the roles or users of an alias."""

    def login_names(self, store: Store, alias: str) -> Iterable[str] | None:
        """Return the names by which alias may log in, or may have; None for possibly any name."""
        ...

    def excludes(self, store: Store, alias: str, name: str) -> bool:
        """Return whether the role or user `name`, as stored now, certainly refuses alias."""
        ...
