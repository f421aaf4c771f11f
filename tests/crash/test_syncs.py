"""Every sync call in the source is needed: with any one of them deleted, a test fails.

The calls are found in the syntax tree, so that a new one is under this test too. Each is deleted in
a copy of the package, and the tests that watch over it have to fail on that copy.
"""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

import ironkeep

SOURCE: Final = Path(ironkeep.__file__).parent
TESTS: Final = Path(__file__).parents[1]
OUTSIDE: Final = frozenset({"testing", "demo"})
"""Rooms that keep nothing."""

SYNCS: Final = frozenset({"fsync", "fdatasync", "sync", "_sync", "_sync_folder"})
FLAG: Final = "_DSYNC"
PRAGMA: Final = "synchronous = FULL"

WATCHED_BY: Final = {
    "agent/private_files.py": "crash/test_private_files.py",
    "adapters/log/files.py": "crash/test_logfiles.py",
    "adapters/sqlite/connection.py": "crash/test_sqlite.py",
    "adapters/sqlite/storage.py": "crash/test_sqlite.py",
    "adapters/sqlite/files.py": "crash/test_sqlite.py",
    "cli/client/tokenfile.py": "crash/test_tokenfile.py",
    "journal/tree.py": "crash/test_hashes.py",
}

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and "CI" not in os.environ, reason="strace is not installed"
)


@dataclass(frozen=True, slots=True)
class Site:
    """Where the source syncs, and what stands there when it is deleted."""

    file: str
    line: int
    start: int
    end: int
    instead: str

    @property
    def text(self) -> str:
        """The code as it is."""
        line = (SOURCE / self.file).read_text(encoding="utf-8").splitlines()[self.line - 1]
        return line[self.start : self.end]

    def delete_from(self, package: Path) -> None:
        """Delete it from a copy of the package."""
        path = package / self.file
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        line = lines[self.line - 1]
        lines[self.line - 1] = line[: self.start] + self.instead + line[self.end :]
        path.write_text("".join(lines), encoding="utf-8")


def sites() -> list[Site]:
    """Return every place in the source that makes something durable."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        file = path.relative_to(SOURCE).as_posix()
        if file.partition("/")[0] not in OUTSIDE:
            for node, instead in _syncs(ast.parse(path.read_text(encoding="utf-8"))):
                assert node.lineno == node.end_lineno
                assert node.end_col_offset is not None
                found.append(Site(file, node.lineno, node.col_offset, node.end_col_offset, instead))
    return found


def _syncs(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Yield the expressions that sync, with what stands there when they are deleted."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in SYNCS:
                yield node, "None"
            case ast.Call(args=[*_, ast.Name(id=name) as flag]) if name == FLAG:
                yield flag, "0"
            case ast.Constant(value=value) if value == PRAGMA:
                yield node, repr("synchronous = OFF")


SITES: Final = sites()


def test_every_sync_is_watched_over() -> None:
    assert {site.file for site in SITES} == set(WATCHED_BY)
    words = [site.text for site in SITES]
    assert sum("fsync" in text for text in words) >= 5
    assert FLAG in words
    assert repr(PRAGMA).replace("'", '"') in words


def outcome(tmp_path: Path, file: str, site: Site | None) -> subprocess.CompletedProcess[str]:
    """Run what watches over a file on a copy of the package, with a sync deleted or as it is."""
    package = tmp_path / "src" / "ironkeep"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    if site is not None:
        site.delete_from(package)
    words = ["-x", "-q", "-p", "no:cacheprovider", str(TESTS / WATCHED_BY[file])]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("site", SITES, ids=lambda site: f"{site.file}:{site.text}")
def test_with_a_sync_deleted_a_test_fails(tmp_path: Path, site: Site) -> None:
    done = outcome(tmp_path, site.file, site)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", WATCHED_BY)
def test_with_nothing_deleted_none_fails(tmp_path: Path, file: str) -> None:
    done = outcome(tmp_path, file, None)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
