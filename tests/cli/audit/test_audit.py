"""audit: searched and followed through the API, proved and verified without it."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ironkeep.cli.output import progress
from ironkeep.cli.output.terminal import Terminal
from ironkeep.testing.server import COMMAND_SECONDS, ServerProcess

VKEY = "vkey"
_TAIL = 'path "sys/audit/log/*" { capabilities = ["read", "sudo"] }'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server in which a few things happened."""
    with ServerProcess.configured(tmp_path_factory.mktemp("audit")) as server:
        server.initialise()
        server.cli("secrets", "enable", "-path=secret", "-version=2", "kv")
        server.cli("kv", "put", "secret/app", "password=canary-of-the-journal")
        server.cli("kv", "get", "secret/app")
        server.cli("read", "nowhere/x")
        # Making a proof waits until a checkpoint covers the entry.
        index = index_of(server, "nowhere/x")
        assert server.cli("audit", "proof", str(index)).code == 0
        yield server


def only_log(home: Path) -> Path:
    """Return the directory of the one log of the server whose home this is."""
    (origin,) = (home / "data" / "audit").glob("*/origin")
    return origin.parent


@pytest.fixture(scope="module")
def folder(server: ServerProcess) -> Path:
    return only_log(server.home)


@pytest.fixture(scope="module")
def vkey(folder: Path) -> str:
    return (folder / VKEY).read_text().strip()


def test_search_finds_by_path_operation_and_outcome(server: ServerProcess) -> None:
    search = ("audit", "search", "-format=json")
    found = server.cli(*search, "-path=secret/data/app").json()
    assert [entry["op"] for entry in found] == ["create", "read"]
    assert found[1]["released"][0]["version"] == 1
    assert server.cli(*search, "-op=read", "-path=secret/").json() == found[1:]
    missed = server.cli(*search, "-outcome=not_found", "-path=nowhere/").json()
    assert [entry["path"] for entry in missed] == ["nowhere/x"]
    assert server.cli(*search, f"-accessor={found[0]['accessor']}", "-limit=1").json()
    assert server.cli(*search, "-path=secret/data/app", "-newest", "-limit=1").json() == found[1:]
    assert server.cli(*search, "-path=secret/", f"-first={found[1]['index']}").json() == found[1:]


def test_names_that_nothing_has_are_errors(server: ServerProcess) -> None:
    for words in (
        ["-entity=nobody"],
        ["-device=none"],
        ["-secret=nowhere/x"],
        ["-since=yesterday"],
        ["-outcome=refusd"],
    ):
        done = server.cli("audit", "search", *words)
        assert (done.code, done.out) == (2, ""), words
        assert words[0].partition("=")[2] in done.err


def test_a_limit_of_nothing_is_an_error(server: ServerProcess) -> None:
    done = server.cli("audit", "search", "-limit=0")
    assert (done.code, done.out) == (2, "")
    assert "limit must be between 1" in done.err


def test_a_search_that_the_limit_cuts_off_says_so(server: ServerProcess) -> None:
    search = ("audit", "search", "-path=secret/data/app")
    assert "more" not in server.cli(*search).err
    for words, which in (((), "oldest 1"), (("-newest",), "newest 1"), (("-format=json",), "1")):
        done = server.cli(*search, "-limit=1", *words)
        assert done.code == 0
        assert "There may be more" in done.err
        assert which in done.err


def test_a_follower_that_is_refused_names_the_cursor_to_go_on_with(server: ServerProcess) -> None:
    server.api("PUT", "sys/policies/acl/tail", {"policy": _TAIL})
    given = server.api("PUT", "auth/token/create", {"policies": ["tail"], "ttl": "3s"})
    done = server.cli(
        "audit", "tail", "-f", "-n=1", env={"VAULT_TOKEN": given["auth"]["client_token"]}
    )
    assert done.code == 2
    log, _, index = done.err.partition("-cursor=")[2].split()[0].rpartition("@")
    assert log.endswith("/1")
    assert int(index) > 0


def test_a_table_tells_what_people_did(server: ServerProcess) -> None:
    lines = server.cli("audit", "search").out.splitlines()
    assert lines[0].split() == ["Index", "Time", "Kind", "Outcome", "Op", "Path", "Name", "Remote"]
    assert any("secret/data/app" in line for line in lines)
    assert not any(" commit " in line for line in lines)
    assert "canary" not in "".join(lines)


def test_tail_shows_the_newest_and_follows(server: ServerProcess) -> None:
    done = server.cli("audit", "tail", "-n=3", "-format=json")
    assert len([json.loads(line) for line in done.out.splitlines()]) == 3

    process = subprocess.Popen(
        [sys.executable, "-m", "ironkeep", "audit", "tail", "-f", "-n=1"],
        env=server.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    # Nothing below waits for ever if what is looked for never comes.
    watchdog = threading.Timer(COMMAND_SECONDS, process.kill)
    watchdog.start()
    try:
        process.stdout.readline()
        server.cli("read", "followed/x")
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "followed/x" in line:
                break
        assert "followed/x" in seen[-1]
        # It sees others, and not its own asking.
        assert not any("sys/audit/log" in line for line in seen)
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def index_of(server: ServerProcess, path: str) -> int:
    found = server.cli("audit", "search", "-format=json", f"-path={path}").json()
    index: int = found[0]["index"]
    return index


def test_an_entry_is_proved_and_checked_without_the_server(
    server: ServerProcess, vkey: str, tmp_path: Path
) -> None:
    index = index_of(server, "secret/data/app")
    done = server.cli("audit", "proof", str(index), cwd=tmp_path)
    assert done.code == 0, done.err
    proof, entry = tmp_path / f"{index}.tlog-proof", tmp_path / f"{index}.entry.json"
    offline = {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": ""}
    check = ("audit", "proof", f"-verify={proof}")
    done = server.cli(*check, f"-vkey={vkey}", "-format=json", env=offline)
    assert done.code == 0, done.err
    document = done.json()
    assert (document["verdict"], document["index"]) == ("VERIFIED", index)
    assert document["entry"]["path"] == "secret/data/app"
    assert "canary" not in done.out

    policy = tmp_path / "policy"
    policy.write_text(f"log {vkey}\nquorum none\n")
    assert server.cli(*check, f"-policy={policy}", "-field=verdict").out == "VERIFIED"
    assert server.cli(*check).code == 1
    # A quorum that has not cosigned is missed.
    witness = "witness.example+ce00b31b+BE6Q5YPS9vY5zEzB8n0Zg8m6nQb0V6i3pTn8uYvJ4XwF"
    policy.write_text(f"log {vkey}\nwitness w {witness}\nquorum w\n")
    assert server.cli(*check, f"-policy={policy}").code in {1, 3}

    changed = json.loads(entry.read_text())
    changed["salt"] = changed["salt"][::-1]
    entry.write_text(json.dumps(changed))
    assert server.cli(*check, f"-vkey={vkey}").code == 3
    entry.write_text("[]")
    assert server.cli(*check, f"-vkey={vkey}").code == 3


def test_a_proof_needs_an_index_that_is_there(server: ServerProcess) -> None:
    assert server.cli("audit", "proof").code == 1
    assert server.cli("audit", "proof", "one").code == 1
    assert server.cli("audit", "proof", "1", "-verify=x").code == 1
    assert server.cli("audit", "proof", "999999999").code == 2


def test_a_whole_log_is_verified_while_the_server_runs(
    server: ServerProcess, folder: Path, vkey: str, tmp_path: Path
) -> None:
    done = server.cli("audit", "verify", str(folder), f"-vkey={vkey}", "-format=json")
    assert done.code == 0, done.err
    assert done.json()["verdict"] == "VERIFIED"
    done = server.cli("audit", "verify", str(folder))
    assert "SELF-CONSISTENT" in done.out
    assert "-vkey" in done.err
    policy = tmp_path / "policy"
    policy.write_text(f"log {vkey}\nquorum none\n")
    words = (str(folder), f"-policy={policy}", "-field=verdict")
    assert server.cli("audit", "verify", *words).out == "VERIFIED"
    words = (str(folder.parent), f"-policy={policy}", "-field=verdict")
    assert server.cli("audit", "verify", *words).out == "VERIFIED"
    assert server.cli("audit", "verify", str(tmp_path)).code == 1


def test_a_long_read_is_shown_to_who_watches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    for stream, shown in ((Watched(), True), (io.StringIO(), False)):
        terminal = Terminal(io.BytesIO(), io.StringIO(), stream)
        with closing(progress.WatchedLogFiles(folder, terminal)) as files:
            assert files.read("vkey", 0, 9) == (folder / VKEY).read_bytes()[:9]
        assert ("0 MiB read (vkey)" in stream.getvalue()) is shown
        assert stream.getvalue().endswith("\r\033[K") is shown


def test_another_logs_key_and_a_changed_log_do_not_verify(
    server: ServerProcess, folder: Path, vkey: str, tmp_path: Path
) -> None:
    name, _, _ = vkey.partition("+")
    other = tmp_path / "other"
    with ServerProcess.configured(_made(other)):
        stranger = (only_log(other) / VKEY).read_text().strip()
    assert stranger.startswith(name + "+")
    assert server.cli("audit", "verify", str(folder), f"-vkey={stranger}").code == 3

    log = only_log(other)
    (segment,) = (log / "wal").glob("*.wal")
    assert server.cli("audit", "verify", str(log), f"-vkey={stranger}").code == 0
    with segment.open("r+b") as file:
        file.seek(200)
        byte = file.read(1)
        file.seek(200)
        file.write(bytes([byte[0] ^ 1]))
        os.fsync(file.fileno())
    # Damaged, or, when it was the last frame, shorter than what was signed.
    assert server.cli("audit", "verify", str(log), f"-vkey={stranger}").code in {3, 4}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
