"""A search of a long journal must not hold up everybody, nor be recorded page by page."""

from typing import Any

import pytest

from ironkeep.app import PLUGINS
from ironkeep.testing.parts import array, tables, text
from ironkeep.testing.vault import Vault

SEARCH = "sys/audit/log/search"


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    for number in range(20):
        vault.read(f"secret/data/k{number}")
    return vault


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("limit", [3, 100])
def test_a_search_of_many_pages_is_one_entry(vault: Vault, newest: bool, limit: int) -> None:
    """Gains: an auditor drowns the journal, and what it reads page by page is on no record."""
    asked: dict[str, Any] = {"path": "secret/data/", "limit": limit, "newest": newest}
    before = vault.journal.durable_size
    found: list[str] = []
    pages = 0
    while True:
        data = vault.read(SEARCH, data=asked).data
        assert len(array(data, "entries")) <= limit
        paths = [text(entry, "path") for entry in tables(data, "entries")]
        found = [*paths, *found] if newest else [*found, *paths]
        pages += 1
        if data["next"] is None:
            break
        asked = {"reading": data["reading"], "next": data["next"], "limit": limit}
    assert found == [f"secret/data/k{number}" for number in range(20)]
    assert pages == (7 if limit == 3 else 1)
    assert vault.journal.durable_size == before + 1
    entry = [each for _, each in vault.house.audit_reader().entries(before)][-1]
    assert (entry.path, entry.audited["path"]) == (SEARCH, "secret/data/")
    if pages > 1:
        vault.write("sys/seal")
        vault.unseal()
        notices = [
            each.audited
            for _, each in vault.house.audit_reader().entries(before)
            if each.op == "journal-read"
        ]
        assert [(each["reading"], each["entries"]) for each in notices] == [
            (entry.audited["reading"], 20 - limit)
        ]


def test_a_reading_goes_no_further_than_its_question(vault: Vault) -> None:
    """Gains: one harmless question on record opens all of the journal."""
    data = vault.read(SEARCH, data={"path": "secret/data/", "limit": 1}).data
    more = {"reading": data["reading"], "next": data["next"], "limit": 100}
    vault.read("secret/data/later")
    wider = {**more, "path": "", "op": "", "last": 10**6, "first": 0}
    for asked in (more, wider):
        paths = [
            text(each, "path") for each in tables(vault.read(SEARCH, data=asked).data, "entries")
        ]
        assert paths == [f"secret/data/k{number}" for number in range(1, 20)]
    for wrong in ({**more, "next": 10**6}, {**more, "next": -1}, {"reading": data["reading"]}):
        assert vault.read(SEARCH, data=wrong).error is not None


def test_a_reading_is_of_the_token_that_began_it(vault: Vault) -> None:
    """Gains: whoever learns the name of a reading reads on without a trace of its own."""
    policy = 'path "sys/audit/log/*" { capabilities = ["read", "sudo"] }'
    vault.write("sys/policies/acl/auditor", {"policy": policy})
    other = vault.write("auth/token/create", {"policies": ["auditor"]}).token
    data = vault.read(SEARCH, data={"path": "secret/data/", "limit": 1}).data
    more = {"reading": data["reading"], "next": data["next"]}
    assert vault.read(SEARCH, data=more, token=other).error is not None
    assert vault.read(SEARCH, data=more).error is None
