import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import argon2
import pytest
from hypothesis import settings

from ironkeep.auth.userpass import hashing
from ironkeep.core.ports import Entropy, Row
from ironkeep.store.rows import RowView
from ironkeep.testing.memory import SeededEntropy
from tests.support.rows import DictView

settings.register_profile("fast", max_examples=50, derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=5_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

ROOT: Final = str(Path(__file__).parents[1])
"""Programs that tests start import `tests.support` as well, wherever they run."""
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))

SHIPPED: Final = hashing.HASHER


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Hash passwords at the cost that argon2-cffi has for tests, in this process alone.

    Hundreds of tests log somebody in on their way to something else. Servers that tests start are
    processes of their own, and hash as they are shipped.
    """
    cheap = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "HASHER", cheap)
        yield


@pytest.fixture
def shipped_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords as a server does, where that is what is tested."""
    monkeypatch.setattr(hashing, "HASHER", SHIPPED)


@pytest.fixture(scope="session")
def entropy() -> Entropy:
    return SeededEntropy()


@pytest.fixture(scope="session")
def view_over() -> Callable[[dict[bytes, Row]], RowView]:
    return DictView


@pytest.fixture
def rows() -> dict[bytes, Row]:
    return {}


@pytest.fixture
def view(rows: dict[bytes, Row]) -> RowView:
    return DictView(rows)
