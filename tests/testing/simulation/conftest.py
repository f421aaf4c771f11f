"""What the tests of this folder share."""

from collections.abc import Iterator

import pytest

from tests.support.simulation.quick_hashes import quick_hashes


@pytest.fixture(autouse=True, scope="module")
def cheap_logins() -> Iterator[None]:
    """Hash passwords at the lowest cost."""
    with quick_hashes():
        yield
