"""The environment variables of the process: no other module of the vault reads them."""

import os


def environment(name: str, default: str = "") -> str:
    """Return an environment variable; only this function reads the environment."""
    return os.environ.get(name, default)
