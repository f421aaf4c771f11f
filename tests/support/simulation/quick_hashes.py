"""Passwords hashed at the lowest cost, for tests that make thousands of logins."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from argon2 import PasswordHasher

from ironkeep.auth.userpass import hashing, login

_LOWEST: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_UNMATCHED: Final = f"$argon2id$v=19$m=8,t=1,p=1${'A' * 22}${'A' * 43}"


@contextmanager
def quick_hashes() -> Iterator[None]:
    """Hash passwords at the lowest cost that argon2 has: the code is the same."""
    with patch.object(hashing, "HASHER", _LOWEST), patch.object(login, "UNMATCHED", _UNMATCHED):
        yield
