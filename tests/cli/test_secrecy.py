"""A canary given to the command is in no process's arguments, no error and no file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ironkeep.testing.server import ServerProcess
from tests.support.commands import Run

CANARY = "hvs.canary0123456789canary"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("login", "-"),
    ("unwrap", "-"),
    ("token", "lookup", "-"),
    ("token", "renew", "-"),
    ("token", "revoke", "-"),
    ("token", "capabilities", "-", "secret/data/x"),
    ("operator", "unseal", "-"),
    ("operator", "generate-root", "-decode=-", "-otp=x"),
    ("kv", "put", "nowhere/x", "password=-"),
    ("write", "nowhere/x", "-"),
    ("policy", "write", "canary", "-"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_error_shows_what_was_given(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words, given=CANARY)
    if words[:2] == ("token", "revoke"):
        assert done.code == 0  # revoking what is not there is fine
    elif words[:2] == ("token", "capabilities"):
        assert done.code == 2
    else:
        assert done.code != 0
    assert CANARY not in done.err
    assert CANARY not in done.out


def test_no_error_shows_the_token_in_use(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", CANARY)
    for words in (("read", "secret/data/x"), ("kv", "get", "secret/x"), ("token", "lookup")):
        done = run(*words)
        assert done.code == 2
        assert CANARY not in done.err
    done = run("read", "-output-curl-string", "secret/data/x")
    assert CANARY not in done.out
    monkeypatch.setenv("VAULT_ADDR", f"http://me:{CANARY}@127.0.0.1:1")
    assert run("status").code == 1


def test_no_process_shows_the_token_or_a_piped_secret(dev: ServerProcess, tmp_path: Path) -> None:
    """The command is stopped in the middle of its work by input that does not end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ironkeep", "kv", "put", "secret/slow", "password=-"],
        env={**dev.environment(), "VAULT_TOKEN": CANARY, "HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        # More than a pipe holds: when this returns, the command is reading.
        process.stdin.write(CANARY.encode() * 10_000)
        process.stdin.flush()
        shown = _arguments_of_children()
    finally:
        out, err = process.communicate(timeout=60)
    assert b"password=-" in shown
    assert CANARY.encode() not in shown
    assert process.returncode == 2
    assert CANARY.encode() not in out + err
    assert list(tmp_path.iterdir()) == []


def _arguments_of_children() -> bytes:
    """Return the arguments of all processes that this one started, as anybody may read them."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return b"\0".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children)


def test_a_defect_is_reported_without_its_values(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_path: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr("ironkeep.cli.access.login.tokenfile.store", broken)
    assert run("login", "root").code == 1
    said = capsys.readouterr().err
    assert "ValueError" not in said or CANARY not in said
    assert "login.py" in said
    assert CANARY not in said
