"""Every storage keeps the one contract."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.core.ports import Storage
from ironkeep.testing.memory import MemoryStorage
from tests.support.contracts import StorageContract


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()

    def reopen(self, storage: Storage) -> Storage:
        copy = MemoryStorage()
        copy.restore(cast("MemoryStorage", storage).snapshot())
        return copy


class TestSqliteStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        self.path = tmp_path / "vault" / "rows.db"
        storage = SqliteStorage(self.path)
        yield storage
        storage.close()

    def reopen(self, storage: Storage) -> Storage:
        storage.close()
        return SqliteStorage(self.path)
