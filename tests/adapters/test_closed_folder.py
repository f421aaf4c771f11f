"""State folders that others may write to are refused at every start, of every program."""

import os
from pathlib import Path
from typing import Any

import pytest

from ironkeep.adapters.closed_folder import require_closed
from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.agent import private_files
from ironkeep.agent.enrolment import Enrolment
from ironkeep.agent.listening import bind_socket
from ironkeep.core.errors import InvalidRequest

OPEN = [0o777, 0o757, 0o1777, 0o775, 0o770, 0o722]
CLOSED = [0o700, 0o750, 0o755, 0o711]

OPENERS: dict[str, Any] = {
    "database": lambda folder: SqliteStorage(folder / "ironkeep.db").close(),
    "log": lambda folder: DirectoryLogFiles(folder).close(),
    "agent": private_files.require_own_folder,
}


@pytest.mark.parametrize("who", OPENERS)
def test_an_open_folder_is_refused_at_a_later_start_too(who: str, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    for mode in CLOSED:
        folder.chmod(mode)
        OPENERS[who](folder)
    for mode in OPEN:
        folder.chmod(mode)
        with pytest.raises(InvalidRequest, match="chmod"):
            OPENERS[who](folder)


def test_the_agent_reads_nothing_in_an_open_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(InvalidRequest, match="chmod"):
        Enrolment.load(tmp_path)
    with pytest.raises(InvalidRequest, match="chmod"):
        bind_socket(tmp_path / "agent.sock")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away takes root")
def test_a_group_may_write_where_a_volume_is_shared_with_a_service(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, 12_345)
    tmp_path.chmod(0o2775)
    require_closed(tmp_path)
    tmp_path.chmod(0o2777)
    with pytest.raises(InvalidRequest):
        require_closed(tmp_path)
