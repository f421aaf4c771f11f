"""The operations of requests on a path, with Vault's names (sdk/logical.Operation)."""

from enum import StrEnum


class Operation(StrEnum):
    """The operation of a request.

    The router turns an UPDATE into a CREATE if the engine has nothing at the path yet.
    """

    READ = "read"
    LIST = "list"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    HELP = "help"
