"""What a request wants to do to a path, in Vault's words (sdk/logical.Operation)."""

from enum import StrEnum


class Operation(StrEnum):
    """One verb on one path.

    The router turns an UPDATE into a CREATE when the engine says that nothing is there yet.
    """

    READ = "read"
    LIST = "list"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    HELP = "help"
