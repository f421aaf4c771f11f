"""The inventory's queries on PostgreSQL's catalogues (13 to 18): ways to get in, act or return.

`CLUSTER` is read once, `DATABASE` in each database. Every system catalogue is read by one of these
sources or stands in `reviewed.REVIEWED` with the reason why it cannot give access; any other one
that a server has, a newer version for example, is a gap.
"""

from typing import Final

from ironkeep.connectors.postgresql.catalogue import (
    builtin,
    cluster,
    code,
    extensions,
    files,
    relations,
    sharing,
)
from ironkeep.connectors.postgresql.catalogue.source import Source

CLUSTER: Final[tuple[Source, ...]] = (*cluster.SOURCES, *files.SOURCES)
"""Objects of the cluster, visible from any of its databases, and files of its host."""

DATABASE: Final[tuple[Source, ...]] = (
    *relations.SOURCES,
    *code.SOURCES,
    *sharing.SOURCES,
    *builtin.SOURCES,
    *extensions.SOURCES,
)
"""Objects of one database."""

READ: Final = frozenset(name for source in (*CLUSTER, *DATABASE) for name in source.reads)
"""The system catalogues that are read."""
