"""A database that is gone beside a journal that is there is refused at start and at `init`.

A vault that starts as a new one would hand out new keys, and go on in the log of the one that is
lost without a word.
"""

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.app import Server
from ironkeep.config.settings import Config
from ironkeep.core.errors import IntegrityError
from tests.support.crash.reopened import reopened

NAME = "ironkeep.db"


def used(data: Path) -> None:
    """Leave the directory of a vault that was initialised."""
    with reopened(data) as server:
        assert server.ask("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})[0] == 200
        server.flush()
    with reopened(data) as server:
        assert server.ask("GET", "sys/init") == (200, {"initialized": True})


def delete(data: Path) -> None:
    for path in data.glob(f"{NAME}*"):
        path.unlink()


def delete_all_but_the_lock(data: Path) -> None:
    (data / NAME).unlink()


def empty(data: Path) -> None:
    (data / NAME).write_bytes(b"")


def replace_by_a_new_one(data: Path) -> None:
    delete(data)
    SqliteStorage(data / NAME).close()


def replace_by_one_never_initialised(data: Path) -> None:
    other = data.parent / "other"
    with reopened(other) as server:
        server.flush()
    shutil.copy(other / NAME, data / NAME)


LOSSES: tuple[Callable[[Path], None], ...] = (
    delete,
    delete_all_but_the_lock,
    empty,
    replace_by_a_new_one,
    replace_by_one_never_initialised,
)


@pytest.mark.parametrize("lose", LOSSES)
def test_a_log_of_a_vault_beside_an_empty_database_is_refused(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    data = tmp_path / "data"
    used(data)
    lose(data)
    for _ in range(2):
        # The second start finds the file that the first one made.
        with pytest.raises(IntegrityError, match="was deleted or replaced"):
            Server(Config((), path=data))


@pytest.mark.parametrize("kept", ["-wal", "-journal"])
def test_a_database_of_which_only_the_log_is_left_is_refused(tmp_path: Path, kept: str) -> None:
    data = tmp_path / "data"
    used(data)
    delete(data)
    (data / f"{NAME}{kept}").write_bytes(b"pages")
    with pytest.raises(IntegrityError, match="restore both"):
        Server(Config((), path=data))
    assert not (data / NAME).exists()


def test_data_of_before_the_mark_is_known_by_its_lock(tmp_path: Path) -> None:
    data = tmp_path / "data"
    used(data)
    next((data / "audit").glob("*/initialised")).unlink()
    delete_all_but_the_lock(data)
    for _ in range(2):
        with pytest.raises(IntegrityError, match="was deleted or replaced"):
            Server(Config((), path=data))


def test_a_vault_that_was_never_initialised_starts_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for _ in range(3):
        with reopened(data) as server:
            server.flush()
    assert not list((data / "audit").glob("*/initialised"))
    with reopened(data) as server:
        assert server.ask("GET", "sys/init") == (200, {"initialized": False})


def test_a_file_that_is_gone_is_not_made_by_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with closing(SqliteStorage(path)) as storage:
        path.unlink()
        with pytest.raises(OSError, match="unable to open"):
            storage.checkpoint()
        assert not path.exists()
