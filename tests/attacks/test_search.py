"""A search of a long journal must not hold up everybody."""

import pytest

from ironkeep.app import PLUGINS
from ironkeep.engines.system import audit
from ironkeep.testing.parts import array, tables, text
from ironkeep.testing.vault import Vault

SEARCH = "sys/audit/log/search"


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Vault:
    vault = Vault.started(PLUGINS)
    for number in range(20):
        vault.read(f"secret/data/k{number}")
    monkeypatch.setattr(audit, "MAX_LOOKED_AT", 10)
    return vault


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("limit", [3, 100])
def test_a_search_goes_through_a_part_at_a_time(vault: Vault, newest: bool, limit: int) -> None:
    """Gains: an auditor's search that finds nothing stops the vault for the length of the log."""
    size = vault.journal.durable_size
    query: dict[str, object] = {"path": "secret/data/", "limit": limit, "newest": newest}
    query |= {"first": 0, "last": size}
    found: list[str] = []
    asked = 0
    while True:
        data = vault.read(SEARCH, data=query).data
        assert len(array(data, "entries")) <= min(limit, 10)
        paths = [text(entry, "path") for entry in tables(data, "entries")]
        found = [*paths, *found] if newest else [*found, *paths]
        asked += 1
        if data["next"] is None:
            break
        query["last" if newest else "first"] = data["next"]
    assert found == [f"secret/data/k{number}" for number in range(20)]
    assert asked >= size // 10
