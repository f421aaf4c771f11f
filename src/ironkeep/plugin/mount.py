"""One mounted engine or auth method, as an entry of the mount table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ironkeep.core.ids import ROOT_NAMESPACE, MountAccessor, MountUuid, NamespaceId
from ironkeep.store.names import Place


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted engine or auth method. `path` ends in a slash; auth mounts start with `auth/`."""

    path: str
    type: str
    uuid: MountUuid
    accessor: MountAccessor
    namespace: NamespaceId = ROOT_NAMESPACE
    description: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    local: bool = False
    seal_wrap: bool = False
    place: Place = field(init=False, compare=False, repr=False)
    """The place of its records in the store."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", Place(self.namespace, self.uuid))
