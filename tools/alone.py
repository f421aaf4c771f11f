"""Run each test in its own process, to find tests that depend on others.

A new process imports each file and forks for each of its tests, so a test sees neither the imports
of other files nor the fixtures of other tests.

    python tools/alone.py JOBS [PATH ...]
"""  # noqa: INP001 - a script

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

PYTEST: Final = (
    sys.executable, "-m", "pytest", "-q", "-m", "not slow",
    "-p", "alone", "-p", "no:xdist", "-p", "no:cacheprovider",
)  # fmt: skip
FITS: Final = (0, 5)
"""pytest's exit codes for success, and for a file whose tests are all deselected."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool:
    """Run a test in a fork of the process that has imported its file (a pytest hook)."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in run_in_fork(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def run_in_fork(item: pytest.Item) -> Iterator[pytest.TestReport]:
    """Yield the reports of a test; raise ChildProcessError if its process ended without any."""
    hook = item.config.hook
    with tempfile.TemporaryFile() as told:
        child = os.fork()
        if not child:
            try:
                reports = runtestprotocol(item, log=False, nextitem=None)
                written = [
                    hook.pytest_report_to_serializable(config=item.config, report=report)
                    for report in reports
                ]
                pickle.dump(written, told)
                told.flush()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        told.seek(0)
        written = told.read()
    if not written:
        raise ChildProcessError(f"the process of {item.nodeid} ended with status {status}")
    for data in pickle.loads(written):  # noqa: S301 - our own child wrote it
        yield hook.pytest_report_from_serializable(config=item.config, data=data)


def files_below(paths: list[str]) -> Iterator[str]:
    """Yield the test files at and below paths; raise ValueError for a path without any."""
    for path in map(Path, paths):
        found = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
        if not found:
            raise ValueError(f"{path} contains no tests")
        yield from map(str, found)


def run(file: str) -> tuple[str, str, bool]:
    """Run the tests of a file; return the file, the output, and whether all passed."""
    there = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    with tempfile.TemporaryDirectory(prefix="alone-") as folder:
        command = [*PYTEST, f"--basetemp={folder}/tests", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=there)  # noqa: S603
    return file, done.stdout + done.stderr, done.returncode in FITS


def main(jobs: int, paths: list[str]) -> int:
    """Run the tests at paths; return the number of files that failed."""
    failed: list[str] = []
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(run, file) for file in files_below(paths)]
        for count, done in enumerate(as_completed(running), 1):
            file, printed, fits = done.result()
            last = printed.strip().rpartition("\n")[2]
            print(f"{count} of {len(running)}: {file}: {last}", flush=True)  # noqa: T201
            if not fits:
                failed.append(file)
                print(printed, flush=True)  # noqa: T201
    print(f"{len(failed)} files failed: {' '.join(failed)}")  # noqa: T201
    return len(failed)


if __name__ == "__main__":
    sys.exit(min(main(int(sys.argv[1]), sys.argv[2:]), 1))
