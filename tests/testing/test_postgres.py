"""The PostgreSQL server for tests: unprivileged, private, quick, and gone afterwards."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from ironkeep.testing import postgres
from ironkeep.testing.postgres import (
    SUPERUSER,
    WHEEL,
    PostgresServer,
    debian_binaries,
    default_binaries,
)


def test_it_runs_unprivileged_on_loopback_with_scram_and_leaves_nothing() -> None:
    with PostgresServer() as server:
        owner = Path(f"/proc/{server.pid}").stat().st_uid
        assert owner != 0
        assert owner == (os.geteuid() or server.data.stat().st_uid)
        assert server.data.parent.stat().st_mode & 0o077 == 0
        assert server.execute("SHOW listen_addresses") == [("127.0.0.1",)]
        methods = {row[0] for row in server.execute("SELECT auth_method FROM pg_hba_file_rules")}
        assert methods == {"scram-sha-256"}
        with pytest.raises(psycopg.OperationalError):
            server.connect(SUPERUSER, "wrong")
        pid, directory = server.pid, server.data.parent
        assert server.password.reveal() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert not (directory / "password").exists()
    assert not Path(f"/proc/{pid}").exists()
    assert not directory.exists()


def test_stop_and_start_keep_data_and_port() -> None:
    with PostgresServer() as server:
        server.execute("CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
        port = server.port
        server.stop()
        server.stop()
        with pytest.raises(RuntimeError):
            _ = server.pid
        server.start()
        assert server.port == port
        assert server.execute("SELECT n FROM kept") == [(7,)]


def test_several_at_once_do_not_meet() -> None:
    def numbered(number: int) -> tuple[int, int]:
        with PostgresServer() as server:
            server.execute(f"CREATE TABLE mine AS SELECT {number} AS n")
            return server.port, server.execute("SELECT n FROM mine")[0][0]

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(numbered, range(3)))
    assert [number for _, number in results] == [0, 1, 2]
    assert len({port for port, _ in results}) == 3


def test_settings_are_passed_and_a_wrong_one_is_reported() -> None:
    with PostgresServer(settings={"max_connections": "12"}) as server:
        assert server.execute("SHOW max_connections") == [("12",)]
    with pytest.raises(RuntimeError, match="no_such_setting"):
        PostgresServer(settings={"no_such_setting": "1"}).__enter__()


def test_a_taken_port_is_exchanged_for_another() -> None:
    with PostgresServer() as first, PostgresServer() as second:
        second.stop()
        second.port = first.port
        second.start()
        assert second.port != first.port
        assert second.execute("SELECT 1") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its rights away")
def test_programs_that_the_unprivileged_user_cannot_reach_are_copied(tmp_path: Path) -> None:
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        pytest.skip("PostgreSQL is not from a wheel here")
    package = Path(spec.origin).parent
    for name in (WHEEL, f"{WHEEL}.libs"):
        shutil.copytree(package.with_name(name), tmp_path / name)
    tmp_path.chmod(0o700)
    with PostgresServer(binaries=tmp_path / WHEEL / "pginstall" / "bin") as server:
        assert server.execute("SELECT 1") == [(1,)]
        program = Path(f"/proc/{server.pid}/exe").readlink()
        assert program.is_relative_to(server.data.parent)


def test_the_newest_version_is_the_last_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("9", "15", "18"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    assert [path.parent.name for path in debian_binaries()] == ["9", "15", "18"]


def test_without_a_wheel_the_newest_of_debian_serves_or_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "WHEEL", "no_such_wheel")
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    with pytest.raises(RuntimeError, match="Debian package `postgresql`"):
        default_binaries()
    (tmp_path / "17" / "bin").mkdir(parents=True)
    (tmp_path / "17" / "bin" / "initdb").touch()
    assert default_binaries() == tmp_path / "17" / "bin"
