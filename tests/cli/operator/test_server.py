"""`ironkeep server`: what it refuses, what it leaves; and what commands load."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ironkeep.api.listening import is_loopback
from ironkeep.core.secret import Secret
from ironkeep.testing.server import ServerProcess, environment, stop
from ironkeep.tlog.note import Signer, SigningKey


def start(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Start a server that is to refuse, and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "ironkeep", "server", *words],
        env=environment(home), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "-config=FILE"),
        (("-dev", "-config=x"), "-dev takes no -config"),
        (("-config=x", "-dev-root-token-id=canary"), "need -dev"),
        (("-config=/nonexistent",), "/nonexistent"),
        (("-dev", "-dev-listen-address=nowhere"), "host:port"),
        (("-dev", "-log-file=/nonexistent/log"), "cannot write to the log file /nonexistent/log"),
        (("-dev", "-dev-listen-address=127.0.0.1:0", "-dev-root-token-id=hvs.x"), "custom token"),
    ],
)
def test_what_cannot_be_started_says_why(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = start(tmp_path, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    config = tmp_path / "c.hcl"
    config.write_text('storage "inmem" {}\nlistner "tcp" {}\n')
    done = start(tmp_path, f"-config={config}")
    assert (done.returncode, "listner" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("example.com", False)],
)  # fmt: skip
def test_a_development_server_knows_when_others_can_reach_it(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_a_taken_address_is_named(dev: ServerProcess, tmp_path: Path) -> None:
    done = start(tmp_path, "-dev", f"-dev-listen-address={dev.address.partition('//')[2]}")
    assert done.returncode == 5
    assert "cannot listen on 127.0.0.1:" in done.stderr


def test_a_directory_in_use_has_its_exit_code(tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path):
        done = start(tmp_path, f"-config={tmp_path / 'ironkeep.hcl'}")
    assert done.returncode == 5
    assert "another process" in done.stderr


@pytest.mark.parametrize("what", ["storage", "audit", "witness", "mirror"])
def test_a_place_that_cannot_be_used_is_named_and_has_its_exit_code(
    what: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    gone = tmp_path / "file" / "data"
    folder = {"storage": tmp_path / "data", "audit": tmp_path / "data/audit", what: gone}
    config = tmp_path / "c.hcl"
    config.write_text(
        'listener "tcp" {\n  address = "127.0.0.1:0"\n  tls_disable = true\n}\n'
        f'storage "sqlite" {{ path = "{folder["storage"]}" }}\n'
        f'audit {{ path = "{folder["audit"]}" }}\n'
    )
    words = ["server", f"-config={config}"]
    if what in {"witness", "mirror"}:
        vkey = Signer(SigningKey("example/node/1", Secret(bytes(32)))).key.format()
        words = ["witness", f"-dir={folder.get('witness', tmp_path / 'own')}", f"-mirror={gone}"]
        words += [f"-log={vkey}", "-listen=127.0.0.1:0"]
    done = subprocess.run(
        [sys.executable, "-m", "ironkeep", *words], env=environment(tmp_path), text=True,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert "cannot use " in done.stderr
    assert str(gone.parent) in done.stderr


@pytest.mark.parametrize(
    ("what", "said"), [("link", "it is a symbolic link"), ("file", "it is a file, not a folder")]
)
@pytest.mark.parametrize("place", ["data", "data/audit"])
def test_a_place_that_is_no_folder_is_called_what_it_is(
    what: str, said: str, place: str, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / place).parent.mkdir(exist_ok=True, mode=0o700)
    if what == "link":
        (tmp_path / place).symlink_to(tmp_path / "real")
    else:
        (tmp_path / place).touch()
    done = _started(tmp_path)
    assert done.returncode == 5
    assert said in done.stderr


def test_a_limit_on_files_that_are_written_is_named(tmp_path: Path) -> None:
    done = _started(tmp_path, "prlimit", "--fsize=4096")
    assert done.returncode == 5
    assert "limits of this process" in done.stderr


def _started(folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Run a server that cannot start."""
    config = folder / "c.hcl"
    config.write_text(
        'listener "tcp" {\n  address = "127.0.0.1:0"\n  tls_disable = true\n}\n'
        f'storage "sqlite" {{ path = "{folder / "data"}" }}\n'
    )
    return subprocess.run(
        [*before, sys.executable, "-m", "ironkeep", "server", f"-config={config}"],
        env=environment(folder), text=True, capture_output=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_development_server_is_ready_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with ServerProcess.development(tmp_path, token="chosen") as running:
        assert len(list(scratch.iterdir())) == 1
        assert running.cli("kv", "put", "secret/a", "x=1").code == 0
        mounts = running.cli("secrets", "list", "-format=json").json()
        assert mounts["secret/"]["options"] == {"version": "2"}
        accessors = running.cli("list", "-format=json", "auth/token/accessors").json()
        assert len(accessors) == 1, "the first root token is gone"
    assert list(scratch.iterdir()) == []
    said = (tmp_path / "server.err").read_text().splitlines()
    assert [line.split(" ", 1)[1].partition(":")[0] for line in said] == [
        "SIGTERM", "the longest stretches of the loop"
    ]  # fmt: skip


def test_a_stopped_server_has_exited_well(tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path) as running:
        stop(running.process)
        assert running.process.returncode == 0


def test_the_log_file_has_what_standard_error_has(tmp_path: Path) -> None:
    messages = tmp_path / "messages"
    with ServerProcess.configured(tmp_path, more=f'log_file = "{messages}"') as running:
        stop(running.process)
    said = messages.read_text()
    assert "SIGTERM: stopping" in said
    assert said == (tmp_path / "server.err").read_text()


def test_starting_a_command_loads_no_more_than_it_needs() -> None:
    """A person waits for each import: these are the dear ones, measured."""
    script = (
        "import sys; from ironkeep.cli import main; main.call(['read', 'x', '-address=http://:1'],"
        " main.Terminal.standard()); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded: Any = set(done.stdout.split())
    assert "ironkeep.cli.secrets.logical" in loaded
    dear = {"httpx", "rich", "uvicorn", "asyncio", "cryptography", "msgspec", "sqlite3"}
    assert not dear & loaded


def test_a_reader_that_goes_away_is_no_defect() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "ironkeep", "version"],
        stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
