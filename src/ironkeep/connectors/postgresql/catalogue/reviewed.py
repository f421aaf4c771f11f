"""The system catalogues that are not read, each with the reason why it cannot give access."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

REVIEWED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pg_depend": "it only tells what is dropped together",
        "pg_description": "comments",
        "pg_enum": "labels of enumerations, which are values",
        "pg_init_privs": "privileges as an extension set them, which pg_dump alone reads",
        "pg_largeobject": "the content of large objects, which is data as that of tables is",
        "pg_sequence": "ranges of sequences, which are listed as relations",
        "pg_shdepend": "it only tells what cannot be dropped",
        "pg_shdescription": "comments",
        "pg_statistic": "statistics of columns for the planner",
        "pg_statistic_ext_data": "statistics of several columns for the planner",
        "pg_subscription_rel": "how far a subscription has come in each table",
    }
)
