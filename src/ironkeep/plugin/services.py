"""The services that a handler may use, found by their type.

A service is a class of another room: `call.use(Tokens)` returns the server's one instance of it.
Therefore a handler can reach only what its module imports, and import-linter checks these imports.
A room cannot reach the services above it, and a deleted feature leaves no field behind.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from ironkeep.plugin.mount import Mount
from ironkeep.store.barrier import Store
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

T = TypeVar("T")


class Services:
    """The services of one server, and access to their stored records.

    `store` returns the records of a reserved place, `mount_store` those of a mount; both raise
    Sealed without keys.
    """

    def __init__(self, store: StoreOf, mount_store: Callable[[Tx, Mount], Store]) -> None:
        self.store: Final = store
        self.mount_store: Final = mount_store
        self._by_type: Final[dict[type, object]] = {}

    def provide(self, *services: object) -> None:
        """Register each service under its own type."""
        for service in services:
            self._by_type[type(service)] = service

    def provide_as(self, kind: type[T], service: T) -> None:
        """Register service under a type that it implements, such as a protocol."""
        self._by_type[kind] = service

    def use(self, kind: type[T]) -> T:
        """Return the service of a type; raise LookupError if none is registered."""
        found: T = self._by_type[kind]  # type: ignore[assignment]
        return found
