"""The connector to PostgreSQL 15 to 18; it speaks the wire protocol itself, without libpq.

connector   the operations
probe       one login with a password, as a test of it; refusal explains a refused one
link        an administrative connection, for statements
administration  getting in, logins under way, poolers
stock       the inventory: runs the queries of catalogue, shows values by redaction
login       the login as a state machine without I/O; outcome interprets its end
channel     socket, TLS (trust), and the budget of time and bytes
wire, scram the protocol's messages, and SCRAM-SHA-256
"""

from ironkeep.connectors.postgresql.connector import PostgreSQL

__all__ = ["PostgreSQL"]
