"""The connector to PostgreSQL 15 to 18."""

from ironkeep.connectors.postgresql.connector import PostgreSQL

__all__ = ["PostgreSQL"]
